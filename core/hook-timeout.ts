import { ZaskError } from './errors.ts'
import type { HookName } from './hook-contract.ts'
import type { HookSet } from './hooks.ts'
import { type Limits, longestTimerMs } from './limits.ts'
import type { CoreStats } from './stats.ts'

/** Waits for what the taps of a lifecycle hook are needed for, at most `hookTimeoutMs`; then names those that hang. */
export async function withinTime<R>(
  hooks: Pick<HookSet, 'pending'>,
  hook: HookName,
  running: Promise<R>,
  { hookTimeoutMs }: Limits,
  stats: CoreStats,
): Promise<R> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => {
        const hanging = hooks.pending().filter((tap) => tap.hook === hook)
        stats.met.hookTimeoutMs++
        reject(
          hookTimeout(
            hook,
            hanging.map((tap) => tap.plugin),
            hookTimeoutMs,
          ),
        )
      },
      Math.min(hookTimeoutMs, longestTimerMs),
    )
  })
  try {
    return await Promise.race([running, expired])
  } finally {
    clearTimeout(timer)
  }
}

export function hookTimeout(hook: HookName, plugins: readonly string[], timeoutMs: number): ZaskError {
  return new ZaskError(
    'ZASK_HOOK_TIMEOUT',
    `plugin ${plugins.join(', ')} has not finished in ${hook} for ${timeoutMs / 1000} s: a promise it returned never ` +
      'resolved. Look for a connection that is not answered, or a callback that is not called.',
    { details: { hook, plugins } },
  )
}
