import { ZaskError } from './errors.ts'
import { builtIns, statsMethod } from './introspection.ts'
import type { Kernel } from './kernel.ts'
import { defaultLimits, type Limits, longestTimerMs } from './limits.ts'
import { type EndOptions, wireOptions } from './options.ts'
import { StrangerLog } from './precautions.ts'
import { ServedCall, type ServedCallOwner } from './served-call.ts'
import { type ServerStats, ServiceFigures, type ServiceStats } from './service-stats.ts'
import type { Service } from './service.ts'
import type { Channel } from './wire/channel.ts'
import type { CurveServerKeys } from './wire/curve.ts'
import { isInproc } from './wire/endpoint.ts'
import type { Event } from './wire/event.ts'
import { ServerMultiplexer, type WireOptions } from './wire/multiplexer.ts'

export interface ServerOptions extends EndOptions {
  /** Calls of one service that run at the same time. Default: 1000. */
  poolSize?: number
  /** Calls of one service that may wait for a place; beyond it they are refused as Overloaded. Default: 1000. */
  queueSize?: number
  /** Open calls and streams of one endpoint. Default: 10,000; at least `poolSize` and `queueSize` where those were raised. */
  maxChannels?: number
  /** Open calls and streams of one connection. Default: 2000; `poolSize` and `queueSize` where those were raised. */
  maxChannelsPerPeer?: number
  /** Milliseconds a stream waits for a reader that takes nothing. Default: 60,000; Infinity: no limit. */
  streamIdleTimeoutMs?: number
  /**
   * Whether callers may ask what there is: `_zerorpc_inspect`, `_list`, `_name`, `_help` and `_args`, and `_zask_stats`.
   * Where they may not, these are unknown names; `_zerorpc_ping` is answered in any case. Default: true, or what the
   * config key `INTROSPECTION` says.
   */
  introspection?: boolean
}

/** How long closing waits until the last answers are on their way. */
const lingerMs = 1000

/** The calls of one service: so many run, so many wait, the rest is refused. */
class Pool implements ServedCallOwner {
  readonly kernel: Kernel
  readonly service: Service
  readonly figures: ServiceFigures = new ServiceFigures()
  readonly streamIdleTimeoutMs: number
  readonly builtIns: ReadonlySet<string>
  /** Calls of that name look at the figures, and count in none of them. */
  readonly #look: string | undefined
  readonly #channels: () => number
  readonly #size: number
  readonly #queueSize: number
  /** In no order. A `Set` of what comes and goes so fast would keep the dead alive: see ChannelTable. */
  readonly #running: ServedCall[] = []
  readonly #queue = new Set<ServedCall>()
  /** Sessions that have not ended, those of refused calls included. */
  #open = 0
  #onIdle: (() => void)[] = []
  #filling = false

  constructor(
    kernel: Kernel,
    service: Service,
    limits: Limits,
    introspection: boolean,
    channels: () => number,
  ) {
    this.kernel = kernel
    this.service = service
    this.builtIns = builtIns(introspection)
    this.#look = introspection ? statsMethod : undefined
    this.#channels = channels
    this.#size = limits.poolSize
    this.#queueSize = limits.queueSize
    this.streamIdleTimeoutMs = limits.streamIdleTimeoutMs
  }

  accept(call: ServedCall): void {
    if (this.#running.length < this.#size) {
      this.#open++
      this.#run(call)
    } else if (this.#queue.size < this.#queueSize) {
      this.#open++
      this.#queue.add(call)
      this.kernel.stats.queued++
      this.kernel.stats.met.poolSize++
    } else if (call.method === this.#look) {
      // Who looks why calls are refused must see it: the answer is there at once and takes nobody's place.
      this.#open++
      call.run()
    } else {
      this.kernel.stats.served.overloaded++
      this.kernel.stats.met.queueSize++
      this.figures.overloaded++
      this.refuse(
        call,
        new ZaskError(
          'ZASK_SERVER_OVERLOADED',
          `${this.service.displayName} is overloaded: ${this.#size} calls run and ${this.#queue.size} wait. Try again later.`,
          { retryable: true },
        ),
      )
    }
  }

  refuse(call: ServedCall, error: ZaskError): void {
    this.#open++
    call.refuse(error)
  }

  onEnded(call: ServedCall): void {
    const { stats } = this.kernel
    const isLook = call.method === this.#look
    const { outcome } = call
    if (outcome?.ok === true) {
      stats.served.ok++
      if (!isLook) this.figures.ok++
    } else {
      stats.served.failed++
      if (!isLook) this.figures.failed++
    }
    this.#open--
    if (call.place >= 0) {
      this.#leave(call)
      stats.running--
      if (!isLook && outcome !== undefined && outcome.items === undefined) {
        this.figures.latency.record(outcome.durationMs)
      }
      if (this.#queue.size > 0) this.#fill()
    } else if (this.#queue.delete(call)) stats.queued--
    if (this.#open > 0 || this.#onIdle.length === 0) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  report(): ServiceStats {
    const [running, queued, sessions] = [this.#running.length, this.#queue.size, this.#open]
    return this.figures.report(this.service, { running, queued, sessions, streams: this.figures.streams })
  }

  /** The call that looks is none of those it sees. */
  look(call: ServedCall): ServerStats {
    const report = this.report()
    const { running, sessions } = report.now
    const now = { ...report.now, running: running - Number(call.place >= 0), sessions: sessions - 1 }
    return { ...report, now, channels: this.#channels() - 1, process: this.kernel.gauge.look() }
  }

  /** Resolves when no session is open: nothing runs, nothing waits, and no observer is still at work. */
  idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  /** Ends what still runs or waits; answers how many calls that were. */
  cut(error: ZaskError): number {
    const open = [...this.#queue, ...this.#running].filter((call) => call.outcome === undefined)
    for (const call of open) call.cut(error)
    return open.length
  }

  #run(call: ServedCall): void {
    call.place = this.#running.push(call) - 1
    this.kernel.stats.running++
    call.run()
  }

  /** The last takes its place. */
  #leave(call: ServedCall): void {
    const last = this.#running.pop() as ServedCall
    if (last !== call) {
      this.#running[call.place] = last
      last.place = call.place
    }
    call.place = -1
  }

  /** A loop, and only one: calls that end as they are run would nest as deep as the queue is long. */
  #fill(): void {
    if (this.#filling) return
    this.#filling = true
    for (const call of this.#queue) {
      if (this.#running.length >= this.#size) break
      this.#queue.delete(call)
      this.kernel.stats.queued--
      this.#run(call)
    }
    this.#filling = false
  }
}

/** The services that one start serves, on one or several endpoints. */
export class Server {
  readonly #kernel: Kernel
  readonly #options: WireOptions
  readonly #pools: readonly Pool[]
  readonly #sockets: ServerMultiplexer[] = []
  readonly #strangers: StrangerLog
  #draining = false

  /** @param limits Those of config, with those of the options laid over them. */
  constructor(kernel: Kernel, services: readonly Service[], options: ServerOptions, limits: Limits) {
    this.#kernel = kernel
    this.#strangers = new StrangerLog(() => kernel.log())
    this.#options = wireOptions(options, lingerMs, withRoomForPools(limits))
    const channels = (): number => this.openChannels
    const { introspection = true } = options
    this.#pools = services.map((service) => new Pool(kernel, service, limits, introspection, channels))
  }

  get services(): Service[] {
    return this.#pools.map((pool) => pool.service)
  }

  get openChannels(): number {
    return this.#sockets.reduce((sum, socket) => sum + socket.openChannels, 0)
  }

  report(): ServiceStats[] {
    return this.#pools.map((pool) => pool.report())
  }

  /** Serves some of the services at an endpoint, and answers with its real address. */
  async bind(
    endpoint: string,
    services: readonly Service[],
    curve: CurveServerKeys | undefined,
  ): Promise<string> {
    const pools = this.#poolsOf(services)
    // What is said over inproc stays in the process; ZeroMQ does not encrypt it.
    const bound = await this.#socket(pools, isInproc(endpoint) ? undefined : curve).bind(endpoint)
    for (const { figures } of pools) figures.endpoints.push(bound)
    return bound
  }

  /** Serves by dialling out to an endpoint where a client is bound. */
  connect(endpoint: string, services: readonly Service[]): void {
    const pools = this.#poolsOf(services)
    this.#socket(pools, undefined).connect(endpoint)
    for (const { figures } of pools) figures.endpoints.push(endpoint)
  }

  /**
   * Refuses new calls and waits for the running ones, at most so long; answers how many had to be cut. The sockets
   * stay bound: unbinding would cut every connection, and with it the answers still to come.
   */
  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true
    const idle = Promise.all(this.#pools.map((pool) => pool.idle()))
    let timer: NodeJS.Timeout | undefined
    const expired = new Promise<'expired'>((resolve) => {
      if (timeoutMs <= longestTimerMs) timer = setTimeout(() => resolve('expired'), timeoutMs)
    })
    const result = await Promise.race([idle, expired])
    clearTimeout(timer)
    if (result !== 'expired') return 0
    const cut = this.#cut()
    this.#kernel.stats.met.shutdownTimeoutMs += cut
    await idle
    return cut
  }

  /** Ends what still runs, closes the sockets, and waits for the sessions to end. */
  async close(): Promise<void> {
    this.#draining = true
    this.#cut()
    await Promise.all(this.#sockets.map((socket) => socket.close()))
    await Promise.all(this.#pools.map((pool) => pool.idle()))
  }

  #cut(): number {
    const error = stopping('The server stopped before the call was done.')
    return this.#pools.reduce((sum, pool) => sum + pool.cut(error), 0)
  }

  #poolsOf(services: readonly Service[]): Pool[] {
    return this.#pools.filter((pool) => services.includes(pool.service))
  }

  #socket(pools: readonly Pool[], curve: CurveServerKeys | undefined): ServerMultiplexer {
    const { wheel, counters } = this.#kernel
    const socket = new ServerMultiplexer(
      { ...this.#options, curve },
      wheel,
      counters,
      (channel, request) => this.#accept(pools, channel, request),
      (reason, publicKey, address) => this.#strangers.note(reason, publicKey, address),
    )
    const [pool] = pools as readonly [Pool]
    socket.specimen.listener = new ServedCall(pool, pool.service, socket.specimen, noRequest)
    this.#sockets.push(socket)
    return socket
  }

  #accept(pools: readonly Pool[], channel: Channel, request: Event): void {
    const [pool, problem] = choose(pools, request)
    const call = new ServedCall(pool, pool.service, channel, request)
    if (this.#draining) pool.refuse(call, stopping(`${pool.service.displayName} is stopping.`))
    else if (problem !== undefined) pool.refuse(call, problem)
    else pool.accept(call)
  }
}

/** Of the call that is never run: while it lives, the engine keeps its code for calls. */
const noRequest: Event = {
  id: undefined,
  responseTo: undefined,
  version: 3,
  headers: {},
  name: '',
  args: [],
  malformed: undefined,
}

/** Whoever raises pool or queue means it: limits of channels that nobody has set do not stand in the way. */
function withRoomForPools(limits: Limits): Limits {
  const calls = limits.poolSize + limits.queueSize
  if (calls <= defaultLimits.poolSize + defaultLimits.queueSize) return limits
  const room = (name: 'maxChannels' | 'maxChannelsPerPeer'): number =>
    limits[name] === defaultLimits[name] ? Math.max(limits[name], calls) : limits[name]
  return { ...limits, maxChannels: room('maxChannels'), maxChannelsPerPeer: room('maxChannelsPerPeer') }
}

function stopping(message: string): ZaskError {
  return new ZaskError('ZASK_SERVER_STOPPING', `${message} Try another endpoint, or later.`, {
    retryable: true,
  })
}

/**
 * Which of the services at one endpoint is meant: the one the header names, of its versions the one it names, else
 * the only one that has the method.
 */
function choose(pools: readonly Pool[], request: Event): [Pool, ZaskError?] {
  const only = pools[0] as Pool
  if (pools.length === 1) return [only]
  const asked = request.headers['service_name']
  const named = pools.filter((pool) => pool.service.name !== undefined && pool.service.name === asked)
  if (named.length > 0) {
    const version = request.headers['service_version']
    return [named.find((pool) => pool.service.version === version) ?? (named[0] as Pool)]
  }
  const having = pools.filter((pool) => pool.service.method(request.name) !== undefined)
  if (having.length === 1) return [having[0] as Pool]
  if (having.length === 0 && !only.builtIns.has(request.name)) return [only]
  const names = pools.map((pool) => `'${pool.service.displayName}'`).join(', ')
  return [
    only,
    new ZaskError(
      'ZASK_SERVICE_AMBIGUOUS',
      `Several services share this endpoint and more than one has '${request.name.slice(0, 200)}'. ` +
        `Say which in the header service_name: ${names}.`,
      { details: { services: pools.map(({ service }) => [service.name ?? null, service.version ?? null]) } },
    ),
  ]
}
