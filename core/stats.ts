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

/** Numbers of one core. All but those under `now` only ever grow. */
export interface StatsReport {
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
    readonly lostPeers: number
    /** What came in and was not used, by reason. */
    readonly dropped: Readonly<Record<string, number>>
    /** Connections that were turned away before they could say anything, by reason. */
    readonly refused: Readonly<Record<string, number>>
  }
  /** How often each limit was met: docs/limits.md has a line for each. */
  readonly limits: Readonly<MetLimits & MetLimitsAbove>
  /** Each service that is served, as it answers `_zask_stats` itself. */
  readonly services: readonly ServiceStats[]
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

  report(counters: WireCounters, channels: number, timers: number): Omit<StatsReport, 'services'> {
    const { running, queued, calling } = this
    return {
      served: { ...this.served },
      made: { ...this.made },
      now: { running, queued, calling, channels, timers },
      wire: {
        eventsIn: counters.eventsIn,
        messagesOut: counters.messagesOut,
        lostPeers: counters.lostPeers,
        dropped: Object.fromEntries(counters.dropped),
        refused: Object.fromEntries(counters.refused),
      },
      limits: { ...counters.met, ...this.met },
    }
  }
}
