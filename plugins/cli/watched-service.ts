import { performance } from 'node:perf_hooks'
import {
  type Bucket,
  type Client,
  quantile,
  RemoteError,
  type ServerStats,
  ZaskError,
} from '../../core/index.ts'
import { isUnknown } from './description.ts'
import { sharingServices } from './shared-endpoint.ts'

/** What is known of a service at one moment; null is what is not. */
export interface Sample {
  readonly service: string | null
  readonly version: string | null
  readonly endpoint: string
  /**
   * `plain` answers pings and tells no figures, as zerorpc's own servers; `refused` answers with an error;
   * `starting` has not had the time to answer yet.
   */
  readonly state: 'up' | 'plain' | 'refused' | 'down' | 'starting'
  /** Why it is refused, or a zask server is plain. */
  readonly problem: string | null
  readonly pingMs: number | null
  /** Between the last two looks, as the next three. */
  readonly callsPerSecond: number | null
  readonly failedPerSecond: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly running: number | null
  readonly queued: number | null
  readonly streams: number | null
  readonly sessions: number | null
  readonly lagMs: number | null
  readonly rssBytes: number | null
  readonly uptimeMs: number | null
}

/** One service at one endpoint that is looked at again and again. */
export class WatchedService {
  readonly #client: Client
  readonly #timeoutMs: number
  #service: string | null
  #version: string | null
  #state: Sample['state'] = 'starting'
  #problem: string | null = null
  #pingMs: number | null = null
  #before: ServerStats | undefined
  #last: ServerStats | undefined
  /** Where the endpoint turns out to have several services. */
  #parts: readonly WatchedService[] = []
  #looking: Promise<void> | undefined

  /** @param service Its name as far as it is known before it has answered. */
  constructor(
    client: Client,
    timeoutMs: number,
    service: string | null = null,
    version: string | null = null,
  ) {
    this.#client = client
    this.#timeoutMs = timeoutMs
    this.#service = service
    this.#version = version
  }

  /** Asks the service, if it is not being asked already. What goes wrong is told by `samples`. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    if (this.#parts.length > 0) {
      await Promise.all(this.#parts.map((part) => part.look()))
      return
    }
    // Without a connection there is nobody to ask; the client sees to it that there is one again.
    if (this.#state === 'down' && this.#client.$endpoints[0]?.up !== true) return
    try {
      if (this.#state === 'plain') await this.#ping()
      else await this.#ask()
    } catch (error) {
      this.#fail(error)
      await Promise.all(this.#parts.map((part) => part.look()))
    }
  }

  samples(): Sample[] {
    if (this.#parts.length > 0) return this.#parts.flatMap((part) => part.samples())
    const [{ endpoint, up } = { endpoint: '', up: false }] = this.#client.$endpoints
    // A lost connection is known before the look that waits for it gives up.
    const state = !up && this.#state !== 'starting' ? 'down' : this.#state
    const seen = state === 'up' ? this.#last : undefined
    return [
      {
        service: this.#service,
        version: this.#version,
        endpoint,
        state,
        problem: state === 'refused' || state === 'plain' ? this.#problem : null,
        pingMs: state === 'up' || state === 'plain' ? this.#pingMs : null,
        ...figures(this.#before, seen),
      },
    ]
  }

  async #ask(): Promise<void> {
    let answer: unknown
    try {
      answer = await this.#timed('_zask_stats')
    } catch (error) {
      // To others the name is unknown: zerorpc-python answers so, zerorpc-node not at all.
      if (!(error instanceof ZaskError) || !plainAnswers.has(error.code)) throw error
      await this.#ping()
      this.#problem = isUnknown(error) ? keptToItself : null
      return
    }
    const stats = readStats(answer)
    // A service that was started anew counts from nought again.
    const isSame = this.#last !== undefined && stats.uptimeMs >= this.#last.uptimeMs
    this.#before = isSame ? this.#last : undefined
    this.#last = stats
    this.#service = stats.service
    this.#version = stats.version
    this.#state = 'up'
  }

  async #ping(): Promise<void> {
    const answer = await this.#timed('_zerorpc_ping')
    if (Array.isArray(answer) && typeof answer[1] === 'string') this.#service = answer[1]
    this.#state = 'plain'
    this.#last = undefined
  }

  async #timed(method: string): Promise<unknown> {
    const begin = performance.now()
    const answer = await this.#client.$call(method, [], { timeoutMs: this.#timeoutMs })
    this.#pingMs = performance.now() - begin
    return answer
  }

  #fail(error: unknown): void {
    if (!(error instanceof ZaskError)) throw error
    this.#last = undefined
    if (!(error instanceof RemoteError)) {
      this.#state = 'down'
      return
    }
    this.#parts = sharingServices(error, this.#client).map(
      ({ client, name, version }) => new WatchedService(client, this.#timeoutMs, name, version),
    )
    this.#state = 'refused'
    this.#problem = `${error.remoteName}: ${error.message}`
  }
}

/** Short: it stands in a cell of the table. */
const keptToItself = 'tells no figures: start it without introspection: false to see them'

/** Of errors that a peer may answer a name with that it does not know. */
const plainAnswers: ReadonlySet<string> = new Set(['ZASK_REMOTE', 'ZASK_METHOD_UNKNOWN', 'ZASK_CALL_TIMEOUT'])

type Figures = Omit<Sample, 'service' | 'version' | 'endpoint' | 'state' | 'problem' | 'pingMs'>

function figures(before: ServerStats | undefined, now: ServerStats | undefined): Figures {
  const seconds = now === undefined || before === undefined ? 0 : (now.uptimeMs - before.uptimeMs) / 1000
  const rate = (of: (stats: ServerStats) => number): number | null =>
    seconds > 0 ? (of(now as ServerStats) - of(before as ServerStats)) / seconds : null
  const buckets = between(before, now)
  return {
    callsPerSecond: rate(({ served }) => served.ok + served.failed),
    failedPerSecond: rate(({ served }) => served.failed),
    p50Ms: quantile(buckets, 0.5),
    p99Ms: quantile(buckets, 0.99),
    running: now?.now.running ?? null,
    queued: now?.now.queued ?? null,
    streams: now?.now.streams ?? null,
    sessions: now?.now.sessions ?? null,
    lagMs: now?.process.loop?.lagMs ?? null,
    rssBytes: now?.process.rssBytes ?? null,
    uptimeMs: now?.uptimeMs ?? null,
  }
}

/** The calls that came in between two looks. */
function between(before: ServerStats | undefined, now: ServerStats | undefined): Bucket[] {
  if (before === undefined || now === undefined) return []
  const known = new Map(before.latency.buckets)
  return now.latency.buckets
    .map(([upToUs, calls]): Bucket => [upToUs, calls - (known.get(upToUs) ?? 0)])
    .filter(([, calls]) => calls > 0)
}

/** A peer may answer anything: what is missing, or is no number, counts as nought. */
function readStats(answer: unknown): ServerStats {
  const { service, version, endpoints, uptimeMs, served, now, latency, process, channels } = record(answer)
  const { loop, ...memory } = record(process)
  const pairs = (Array.isArray(record(latency)['buckets']) ? record(latency)['buckets'] : []) as unknown[]
  return {
    service: text(service) ?? 'a service',
    version: text(version),
    endpoints: Array.isArray(endpoints) ? endpoints.map(String) : [],
    uptimeMs: count(uptimeMs),
    served: counts(served, ['ok', 'failed', 'overloaded']),
    methods: {},
    now: counts(now, ['running', 'queued', 'sessions', 'streams']),
    latency: {
      p50Ms: null,
      p99Ms: null,
      buckets: pairs.map((pair) => {
        const [upToUs, calls] = Array.isArray(pair) ? (pair as unknown[]) : []
        return [count(upToUs), count(calls)]
      }),
    },
    channels: count(channels),
    process: {
      ...counts(memory, ['uptimeMs', 'rssBytes', 'heapUsedBytes']),
      loop: loop === null || loop === undefined ? null : counts(loop, ['lagMs', 'busy']),
    },
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function counts<const K extends string>(value: unknown, names: readonly K[]): Record<K, number> {
  const seen = record(value)
  return Object.fromEntries(names.map((name) => [name, count(seen[name])])) as Record<K, number>
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
