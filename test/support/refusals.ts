import { ZaskError } from '../../core/errors.ts'

/** The error of zask that something throws; any other is thrown on. */
export function refusal(act: () => unknown): ZaskError {
  try {
    act()
  } catch (error) {
    return own(error)
  }
  throw new Error('was not refused')
}

/** As `refusal`, of a promise, or of what may throw at once or later. */
export async function rejection(act: PromiseLike<unknown> | (() => unknown)): Promise<ZaskError> {
  try {
    await (typeof act === 'function' ? act() : act)
  } catch (error) {
    return own(error)
  }
  throw new Error('was not refused')
}

function own(error: unknown): ZaskError {
  if (error instanceof ZaskError) return error
  throw error
}
