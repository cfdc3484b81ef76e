import { describeThrown, ZaskError } from './errors.ts'
import type { ServiceStats } from './service-stats.ts'
import type { MetLimits, WireCounters } from './wire/counters.ts'

/** How often each limit above the wire was met. */
interface MetLimitsAbove {
  poolSize: number
  queueSize: number
  streamIdleTimeoutMs: number
  shutdownTimeoutMs: number
  maxWaiting: number
  hookTimeoutMs: number
  blockedLoopMs: number
}

/** Numbers of one core. All but those under `now` only ever grow. `P` is what its plugins count. */
export interface StatsReport<P = Readonly<Record<string, object>>> {
  /** Calls served. `failed` counts those refused without having been run, too; `overloaded` says how many of
   * them found pool and queue full. */
  readonly served: { readonly ok: number; readonly failed: number; readonly overloaded: number }
  /** Calls made by clients of this core. */
  readonly made: { readonly ok: number; readonly failed: number; readonly retried: number }
  readonly now: {
    readonly running: number
    readonly queued: number
    readonly calling: number
    readonly channels: number
    readonly timers: number
  }
  readonly wire: {
    readonly eventsIn: number
    readonly messagesOut: number
    /** Connections that broke under calls, or whose peer read too slowly to be kept. */
    readonly lostPeers: number
    /** Calls and streams given up because their peer was silent for two beats, although its connection stood. */
    readonly missedBeats: number
    /** What came in and was not used, by reason. */
    readonly dropped: Readonly<Record<string, number>>
    /** Connections that were turned away before they could say anything, by reason. */
    readonly refused: Readonly<Record<string, number>>
  }
  /** How often each limit was met: docs/limits.md has a line for each. */
  readonly limits: Readonly<MetLimits & MetLimitsAbove>
  /** Each service that is served, as it answers `_zask_stats` itself. */
  readonly services: readonly ServiceStats[]
  /** Observers of plugins that failed while nothing else did; the log names each. */
  readonly hooks: { readonly failed: number }
  /** What plugins count, each under its name; missing where it counts nothing, or could not say. */
  readonly plugins: Readonly<Partial<P>>
}

/** Where servers and clients count. */
export class CoreStats {
  served = { ok: 0, failed: 0, overloaded: 0 }
  made = { ok: 0, failed: 0, retried: 0 }
  readonly met: MetLimitsAbove = {
    poolSize: 0,
    queueSize: 0,
    streamIdleTimeoutMs: 0,
    shutdownTimeoutMs: 0,
    maxWaiting: 0,
    hookTimeoutMs: 0,
    blockedLoopMs: 0,
  }
  running = 0
  queued = 0
  calling = 0
  hooksFailed = 0

  report(
    counters: WireCounters,
    channels: number,
    timers: number,
  ): Omit<StatsReport, 'services' | 'plugins'> {
    const { running, queued, calling, hooksFailed } = this
    return {
      served: { ...this.served },
      made: { ...this.made },
      now: { running, queued, calling, channels, timers },
      wire: {
        eventsIn: counters.eventsIn,
        messagesOut: counters.messagesOut,
        lostPeers: counters.lostPeers,
        missedBeats: counters.missedBeats,
        dropped: Object.fromEntries(counters.dropped),
        refused: Object.fromEntries(counters.refused),
      },
      hooks: { failed: hooksFailed },
      limits: { ...counters.met, ...this.met },
    }
  }
}

/** What plugins count. It is asked for when `core.stats` is read, and costs nothing before. */
export class PluginStats {
  readonly #reporters = new Map<string, () => object>()

  /** @throws ZaskError `ZASK_PLUGIN_INVALID` */
  add(name: string, report: () => object): void {
    const refuse = (why: string): never => {
      throw new ZaskError('ZASK_PLUGIN_INVALID', `addStats('${name}') ${why}`, { details: { plugin: name } })
    }
    if (typeof name !== 'string' || name === '') refuse('has no name: use that of the plugin')
    if (typeof report !== 'function') refuse('has no function that returns an object of numbers')
    if (this.#reporters.has(name)) refuse('was called before: a name has one report. Use that of the plugin')
    this.#reporters.set(name, report)
  }

  /** @param onError Told of a report that fails; the others are made all the same. */
  report(onError: (plugin: string, error: unknown) => void): Record<string, object> {
    const reports: Record<string, object> = {}
    for (const [name, report] of this.#reporters) {
      try {
        reports[name] = checked(report())
      } catch (error) {
        onError(name, error)
      }
    }
    return reports
  }
}

function checked(report: unknown): object {
  const { then } = Object(report) as { then?: unknown }
  if (typeof report === 'object' && report !== null && typeof then !== 'function') return report
  // Nobody waits for it, and its rejection must not end the process.
  if (typeof then === 'function') void Promise.resolve(report).catch(() => undefined)
  const seen = typeof then === 'function' ? 'a promise' : describeThrown(report).message
  throw new TypeError(`it returned ${seen}, where an object of numbers is wanted at once`)
}
