import type { Call, Outcome, PluginCore } from '../../core/index.ts'
import { maskedHeaders } from './plain.ts'

/**
 * Tells the life of each call: its beginning with arguments and headers, each tap and how long it took, its outcome.
 * Only while `on` says so; whoever traces hooks as well takes the place of this trace.
 */
export function watchCalls(core: PluginCore, on: () => boolean): void {
  core.hooks.beforeCall.tap('debug-log', (call) => {
    if (!on()) return
    const { args } = call
    call.log.debug(
      { side: call.side, peer: call.peer, args, headers: maskedHeaders(call.headers) },
      call.side === 'server' ? 'call came in' : 'call goes out',
    )
  })
  core.hooks.afterCall.tap('debug-log', (call, outcome) => {
    if (on()) tellOutcome(call, outcome)
  })
}

/** Tells each run of each tap, with its time. */
export function watchHooks(core: PluginCore): void {
  core.hooks.trace(({ hook, plugin, durationMs, error }) => {
    const fields = { plugin, hook, ms: rounded(durationMs), ...(error !== undefined && { err: error }) }
    if (error === undefined) core.log.trace(fields, 'tap ran')
    else core.log.debug(fields, 'tap failed')
  })
}

/** Tells each event that comes in or goes out. */
export function watchEvents(core: PluginCore): void {
  core.traceEvents(({ direction, peer, name }) => {
    core.log.trace({ peer, event: name }, direction === 'in' ? 'event in' : 'event out')
  })
}

function tellOutcome(call: Call, outcome: Outcome): void {
  const { durationMs, items } = outcome
  const fields = { side: call.side, ms: rounded(durationMs), ...(items !== undefined && { items }) }
  if (outcome.ok) call.log.debug(fields, 'call ended: OK')
  else call.log.debug({ ...fields, err: outcome.error }, 'call ended: ERROR')
}

function rounded(durationMs: number): number {
  return Math.round(durationMs * 1000) / 1000
}
