import { ZaskError } from './errors.ts'
import type { Kernel } from './kernel.ts'
import { type EndOptions, wholeNumber, wireOptions } from './options.ts'
import { ServedCall, type ServedCallOwner } from './served-call.ts'
import type { Service } from './service.ts'
import type { Channel } from './wire/channel.ts'
import type { Event } from './wire/event.ts'
import { ServerMultiplexer, type WireOptions } from './wire/multiplexer.ts'

export interface ServerOptions extends EndOptions {
  /** Calls of one service that run at the same time. Default: 1000. */
  poolSize?: number
  /** Calls of one service that may wait for a place; beyond it they are refused as Overloaded. Default: 1000. */
  queueSize?: number
}

/** How long closing waits until the last answers are on their way. */
const lingerMs = 1000

/** The calls of one service: so many run, so many wait, the rest is refused. */
class Pool implements ServedCallOwner {
  readonly kernel: Kernel
  readonly service: Service
  readonly #size: number
  readonly #queueSize: number
  readonly #running = new Set<ServedCall>()
  /** Calls that ended while they waited stay in here until they come up. */
  #queue: ServedCall[] = []
  #onIdle: (() => void) | undefined

  constructor(kernel: Kernel, service: Service, options: ServerOptions) {
    this.kernel = kernel
    this.service = service
    this.#size = wholeNumber('poolSize', options.poolSize, 1000, 1, 1_000_000)
    this.#queueSize = wholeNumber('queueSize', options.queueSize, 1000, 0, 1_000_000)
  }

  accept(call: ServedCall): void {
    if (this.#running.size < this.#size) this.#run(call)
    else if (this.#queue.length < this.#queueSize || this.#dropEnded()) {
      this.#queue.push(call)
      this.kernel.stats.queued++
    } else {
      this.kernel.stats.served.overloaded++
      call.refuse(
        new ZaskError(
          'ZASK_SERVER_OVERLOADED',
          `${this.service.displayName} is overloaded: ${this.#size} calls run and ${this.#queue.length} wait. Try again later.`,
          { retryable: true },
        ),
      )
    }
  }

  onEnded(call: ServedCall): void {
    const { stats } = this.kernel
    if (call.outcome?.ok === true) stats.served.ok++
    else stats.served.failed++
    if (!this.#running.delete(call)) return
    stats.running--
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      stats.queued--
      if (next.over) continue
      this.#run(next)
      break
    }
    if (this.#running.size === 0) this.#onIdle?.()
  }

  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#onIdle = resolve))
  }

  /** Ends what still runs or waits; answers how many calls that were. */
  cut(error: ZaskError): number {
    const open = [...this.#queue.filter((call) => !call.over), ...this.#running].filter(
      (call) => call.outcome === undefined,
    )
    for (const call of open) call.cut(error)
    return open.length
  }

  #run(call: ServedCall): void {
    this.#running.add(call)
    this.kernel.stats.running++
    call.run()
  }

  #dropEnded(): boolean {
    const before = this.#queue.length
    this.#queue = this.#queue.filter((call) => !call.over)
    this.kernel.stats.queued -= before - this.#queue.length
    return this.#queue.length < before
  }
}

/** The services that one start serves, on one or several endpoints. */
export class Server {
  readonly #kernel: Kernel
  readonly #options: WireOptions
  readonly #pools: readonly Pool[]
  readonly #sockets: ServerMultiplexer[] = []
  #draining = false

  constructor(kernel: Kernel, services: readonly Service[], options: ServerOptions) {
    this.#kernel = kernel
    this.#options = wireOptions(options, lingerMs)
    this.#pools = services.map((service) => new Pool(kernel, service, options))
  }

  get services(): Service[] {
    return this.#pools.map((pool) => pool.service)
  }

  get openChannels(): number {
    return this.#sockets.reduce((sum, socket) => sum + socket.openChannels, 0)
  }

  /** Serves some of the services at an endpoint, and answers with its real address. */
  async bind(endpoint: string, services: readonly Service[]): Promise<string> {
    const socket = this.#socket(services)
    return await socket.bind(endpoint)
  }

  /** Serves by dialling out to an endpoint where a client is bound. */
  connect(endpoint: string, services: readonly Service[]): void {
    this.#socket(services).connect(endpoint)
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
      timer = setTimeout(() => resolve('expired'), timeoutMs)
    })
    const result = await Promise.race([idle, expired])
    clearTimeout(timer)
    if (result !== 'expired') return 0
    const error = stopping('The server stopped before the call was done.')
    const cut = this.#pools.reduce((sum, pool) => sum + pool.cut(error), 0)
    await idle
    return cut
  }

  async close(): Promise<void> {
    this.#draining = true
    await Promise.all(this.#sockets.map((socket) => socket.close()))
  }

  #socket(services: readonly Service[]): ServerMultiplexer {
    const pools = this.#pools.filter((pool) => services.includes(pool.service))
    const { wheel, counters } = this.#kernel
    const socket = new ServerMultiplexer(this.#options, wheel, counters, (channel, request) =>
      this.#accept(pools, channel, request),
    )
    this.#sockets.push(socket)
    return socket
  }

  #accept(pools: readonly Pool[], channel: Channel, request: Event): void {
    const [pool, problem] = choose(pools, request)
    const call = new ServedCall(pool, pool.service, channel, request)
    if (this.#draining) call.refuse(stopping(`${pool.service.displayName} is stopping.`))
    else if (problem !== undefined) call.refuse(problem)
    else pool.accept(call)
  }
}

function stopping(message: string): ZaskError {
  return new ZaskError('ZASK_SERVER_STOPPING', `${message} Try another endpoint, or later.`, { retryable: true })
}

/**
 * Which of the services at one endpoint is meant: the one the header names, else the only one that has the method.
 */
function choose(pools: readonly Pool[], request: Event): [Pool, ZaskError?] {
  const only = pools[0] as Pool
  if (pools.length === 1) return [only]
  const asked = request.headers['service_name']
  const named = pools.find((pool) => pool.service.name !== undefined && pool.service.name === asked)
  if (named !== undefined) return [named]
  const having = pools.filter((pool) => pool.service.method(request.name) !== undefined)
  if (having.length === 1) return [having[0] as Pool]
  if (having.length === 0 && !request.name.startsWith('_zerorpc_')) return [only]
  const names = pools.map((pool) => `'${pool.service.displayName}'`).join(', ')
  return [
    only,
    new ZaskError(
      'ZASK_SERVICE_AMBIGUOUS',
      `Several services share this endpoint and more than one has '${request.name.slice(0, 200)}'. ` +
        `Say which in the header service_name: ${names}.`,
    ),
  ]
}
