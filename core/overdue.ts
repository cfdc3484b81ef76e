import { ZaskError } from './errors.ts'
import { hookTimeout } from './hook-timeout.ts'
import type { TapPlace } from './hook-contract.ts'
import type { Kernel } from './kernel.ts'

/** What a served call waited for when its time ran out. */
export interface Overdue {
  readonly method: string
  readonly deadline: number | undefined
  readonly heldBy: TapPlace | undefined
  /** Taps of `beforeCall`, or a reader that grants credit; undefined: the method. */
  readonly awaits: 'gate' | 'reader' | undefined
  readonly streamIdleTimeoutMs: number
  elapsedMs(): number
}

/** The error of a served call whose time has run out, by whose fault it has; counts the limit. */
export function overdue(call: Overdue, { limits, stats }: Kernel): ZaskError {
  const { method, awaits, heldBy } = call
  if (awaits === 'reader') {
    stats.met.streamIdleTimeoutMs++
    const seconds = call.streamIdleTimeoutMs / 1000
    return new ZaskError(
      'ZASK_STREAM_IDLE',
      `The stream of ${method} was ended: its reader took no item for ${seconds} s. Read it, or leave the loop.`,
    )
  }
  if (awaits === 'gate' && call.deadline === undefined) {
    stats.met.hookTimeoutMs++
    return hookTimeout('beforeCall', [heldBy?.plugin ?? ''], limits.hookTimeoutMs)
  }
  const place =
    awaits === 'gate' ? `: plugin ${heldBy?.plugin} held it in beforeCall` : `, while running ${method}`
  return new ZaskError('ZASK_CALL_TIMEOUT', `timeout after ${Math.round(call.elapsedMs())}ms${place}`)
}
