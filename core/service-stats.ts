import { type Bucket, Histogram, quantile } from './histogram.ts'
import type { Service } from './service.ts'

/**
 * Numbers of one service since it was started. Those under `now` are of this moment, the others only ever grow: who
 * looks twice knows what was between. Calls of `_zask_stats` itself count nowhere.
 */
export interface ServiceStats {
  readonly service: string
  /** Null where the service has none. */
  readonly version: string | null
  /** Where it is bound, or connected out to. */
  readonly endpoints: readonly string[]
  readonly uptimeMs: number
  /**
   * Calls whose session has ended. `failed` counts the refused ones, too, and `overloaded` says how many of them found
   * pool and queue full.
   */
  readonly served: { readonly ok: number; readonly failed: number; readonly overloaded: number }
  /** How often each method was run that was run at all. */
  readonly methods: Readonly<Record<string, number>>
  /** `sessions` have not ended: calls that run, that wait, or whose observers are still at work. */
  readonly now: {
    readonly running: number
    readonly queued: number
    readonly sessions: number
    readonly streams: number
  }
  /**
   * How long calls took that were run, streams left out: half of them at most `p50Ms`; null while there are none.
   * `buckets` have all of them, as `[up to so many µs, calls]`.
   */
  readonly latency: {
    readonly p50Ms: number | null
    readonly p99Ms: number | null
    readonly buckets: readonly Bucket[]
  }
}

/** What a running service answers to `_zask_stats`. */
export interface ServerStats extends ServiceStats {
  /** Open conversations of all services that were started together. */
  readonly channels: number
  readonly process: ProcessStats
}

/** What all services of a process share. */
export interface ProcessStats {
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly heapUsedBytes: number
  /** Since somebody last looked; null where that is longer ago than 10 s. */
  readonly loop: {
    /** The longest time that the event loop was late. */
    readonly lagMs: number
    /** The share of the time in which it was busy, from 0 to 1. */
    readonly busy: number
  } | null
}

/** Where the calls of one service are counted. */
export class ServiceFigures {
  ok = 0
  failed = 0
  overloaded = 0
  streams = 0
  readonly latency: Histogram = new Histogram()
  readonly endpoints: string[] = []
  readonly #startedMs = performance.now()

  report({ displayName, version, methods }: Service, now: ServiceStats['now']): ServiceStats {
    const { ok, failed, overloaded } = this
    const buckets = this.latency.buckets()
    const run = [...methods.values()].filter(({ runs }) => runs > 0)
    return {
      service: displayName,
      version: version ?? null,
      endpoints: [...this.endpoints],
      uptimeMs: Math.round(performance.now() - this.#startedMs),
      served: { ok, failed, overloaded },
      methods: Object.fromEntries(run.map(({ name, runs }) => [name, runs])),
      now,
      latency: { p50Ms: quantile(buckets, 0.5), p99Ms: quantile(buckets, 0.99), buckets },
    }
  }
}
