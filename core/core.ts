import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type Call, createCallStorage } from './call.ts'
import { ClientEnd, type ClientOptions, createClient } from './client.ts'
import { Config } from './config.ts'
import { describeThrown, ZaskError } from './errors.ts'
import { type Hooks, HookSet } from './hooks.ts'
import type { Kernel } from './kernel.ts'
import { endpointsOf, list, locate, type Places, refuseTwins } from './location.ts'
import { createLogger, type Logger } from './logger.ts'
import { checkKinds, checkOptions, milliseconds } from './options.ts'
import {
  type CallOf,
  checkPlugins,
  type ConfigViewOf,
  type CreateCoreOptions,
  type Plugin,
  type PluginCore,
} from './plugin.ts'
import { ProcessGauge } from './process-gauge.ts'
import type { AnyService, Client } from './remote.ts'
import { Server, type ServerOptions } from './server.ts'
import { Service, type ServiceOptions } from './service.ts'
import { ShutdownSignals } from './signals.ts'
import { CoreStats, type StatsReport } from './stats.ts'
import { type SeenEvent, WireCounters } from './wire/counters.ts'
import { TimerWheel } from './wire/timer-wheel.ts'

export interface StartOptions extends ServerOptions, ServiceOptions {
  /** Where to bind: `tcp://127.0.0.1:4242`, `ipc://…`, `inproc://…`; port `*` or 0 takes a free one. */
  bind?: string | readonly string[]
  /** Endpoints of bound clients to connect out to. */
  connect?: string | readonly string[]
  /** Whether SIGTERM and SIGINT stop the core and end the process. Default: true. */
  signals?: boolean
  /** Milliseconds that running calls are given when the core stops. Default: 25,000. */
  shutdownTimeoutMs?: number
}

/** What `start` has brought up. */
export interface Started {
  /** The real endpoints of all services: free ports and wildcards resolved. */
  readonly endpoints: readonly string[]
  readonly services: readonly {
    readonly service: string
    readonly version: string | undefined
    readonly endpoints: readonly string[]
  }[]
}

/** One application, or one caller: its plugins, config, servers and clients. Two cores share nothing. */
export interface Core<P extends readonly Plugin[] = readonly []> extends AsyncDisposable {
  /** The folder that relative paths start from. */
  readonly root: string
  readonly config: ConfigViewOf<P>
  readonly hooks: Hooks<CallOf<P>, ConfigViewOf<P>, Core<P>>
  readonly log: Logger
  /** The current call, anywhere below its method or a tap; `ZASK_NO_CALL` outside of one. */
  readonly call: CallOf<P>
  /** The current call, or undefined. */
  readonly currentCall: CallOf<P> | undefined
  readonly stats: StatsReport
  /** Uses another logger from here on. */
  setLogger(log: Logger): void
  /** Sends each event of the wire to `listener` until it is replaced or undefined. Nobody pays while there is none. */
  traceEvents(listener: ((seen: SeenEvent) => void) | undefined): void
  /**
   * Serves an object's methods, or those of several, and resolves when everything is bound.
   * Without `bind` and `connect` the endpoint comes from a plugin, by the service's name and version.
   */
  start(service: object | readonly object[], options?: StartOptions): Promise<Started>
  /**
   * A client of a service by its name, or by its endpoint or endpoints. Connecting goes on in the background: calls
   * wait for it as long as their time allows.
   */
  client<T = AnyService>(target: string | readonly string[], options?: ClientOptions): Promise<Client<T>>
  /**
   * Stops: new calls are refused, running ones finish, sessions end, sockets close. Resolves to how many calls had
   * to be cut. Calling it again gives the same promise.
   */
  stop(): Promise<number>
}

/** What a core can be told besides its plugins and config. */
export interface CoreLimits {
  /**
   * Milliseconds that the taps of one run of a hook may take together: then start or stop fails, naming the plugin
   * that hangs, and a call goes on without its observers. Default: 10,000. Gates of a call have the call's deadline.
   */
  hookTimeoutMs?: number
}

/**
 * Makes a core of a list of plugins.
 *
 * Throws `ZASK_PLUGIN_INVALID`, `_DUPLICATE`, `_REQUIRES`, `_CONFIG_KEY` for a list that cannot work.
 */
export function createCore<const P extends readonly Plugin[]>(
  options: CreateCoreOptions<P> & CoreLimits = {},
): Core<P> {
  checkOptions('createCore', options, ['root', 'plugins', 'config', 'hookTimeoutMs'])
  checkKinds(options, { root: 'text' })
  return new LiveCore(options) as unknown as Core<P>
}

class LiveCore {
  readonly root: string
  readonly config: Config
  readonly #hooks: HookSet<Call, never, never>
  readonly #storage = createCallStorage()
  readonly #wheel = new TimerWheel()
  readonly #counters = new WireCounters()
  readonly #stats = new CoreStats()
  readonly #gauge = new ProcessGauge()
  readonly #kernel: Kernel
  readonly #hookTimeoutMs: number
  /** Runs a function as if nobody had called it: what it starts belongs to no call. */
  readonly #outside = AsyncLocalStorage.snapshot()
  readonly #idPrefix = randomBytes(4).toString('hex')
  readonly #servers = new Set<Server>()
  readonly #clients = new Set<ClientEnd>()
  #log: Logger = createLogger()
  #calls = 0
  #ready: Promise<void> | undefined
  #stopping: Promise<number> | undefined
  #signals: ShutdownSignals | undefined
  #shutdownTimeoutMs = 25_000

  constructor(options: CreateCoreOptions & CoreLimits) {
    const plugins: readonly Plugin[] = options.plugins ?? []
    checkPlugins(plugins)
    this.root = resolve(options.root ?? process.cwd())
    this.#hookTimeoutMs = Math.min(milliseconds('hookTimeoutMs', options.hookTimeoutMs, 10_000), 2 ** 31 - 1)
    this.config = new Config({ root: this.root })
    this.config.setDefault('DEBUG', true, 'core')
    this.#hooks = new HookSet({
      onObserverError: (error, { hook, plugin }) => {
        const { message } = describeThrown(error)
        this.#log.error({ err: error, plugin, hook }, `plugin ${plugin} failed in ${hook}: ${message}`)
      },
    })
    this.#kernel = this.#share()
    for (const plugin of plugins) this.#apply(plugin)
    if (options.config !== undefined) this.config.fromObject(options.config, 'createCore')
  }

  get hooks(): Hooks<Call, never, never> {
    return this.#hooks.facade
  }

  get log(): Logger {
    return this.#log
  }

  setLogger(log: Logger): void {
    this.#log = log
  }

  traceEvents(listener: ((seen: SeenEvent) => void) | undefined): void {
    this.#counters.watcher =
      listener &&
      (({ direction, peer: key, name }) => {
        const peer = key.includes('://') ? key : Buffer.from(key, 'latin1').toString('hex')
        try {
          listener({ direction, peer, name })
        } catch (error) {
          this.#log.error(
            { err: error },
            `a listener of traceEvents failed: ${describeThrown(error).message}`,
          )
        }
      })
  }

  get currentCall(): Call | undefined {
    return this.#storage.getStore()
  }

  get call(): Call {
    const call = this.#storage.getStore()
    if (call !== undefined) return call
    throw new ZaskError(
      'ZASK_NO_CALL',
      'There is no current call here. core.call exists in a served method, in taps of that call, and in what they ' +
        'await; use core.currentCall where there may be none.',
    )
  }

  get stats(): StatsReport {
    let channels = 0
    for (const end of [...this.#servers, ...this.#clients]) channels += end.openChannels
    const services = [...this.#servers].flatMap((server) => server.report())
    return { ...this.#stats.report(this.#counters, channels, this.#wheel.size), services }
  }

  async start(target: object | readonly object[], options: StartOptions = {}): Promise<Started> {
    checkOptions('start', options, startOptionNames)
    this.#refuseStopped()
    const targets: readonly object[] = Array.isArray(target) ? target : [target]
    if (targets.length === 0)
      throw new ZaskError('ZASK_SERVICE_INVALID', 'start was given an empty list: there is nothing to serve.')
    checkKinds(options, { signals: 'boolean' })
    const places = { binds: list('bind', options.bind), connects: list('connect', options.connect) }
    const services = targets.map((one) => Service.from(one, serviceOptions(options, targets.length)))
    const server = new Server(this.#kernel, services, options)
    this.#shutdownTimeoutMs = milliseconds(
      'shutdownTimeoutMs',
      options.shutdownTimeoutMs,
      this.#shutdownTimeoutMs,
    )
    await this.#configLoaded()
    this.#refuseStopped()
    this.#servers.add(server)
    try {
      const started = await this.#open(server, services, places)
      this.#refuseStopped()
      if (options.signals !== false) this.#signals ??= this.#listenToSignals()
      await this.#notify('started')
      return started
    } catch (error) {
      this.#servers.delete(server)
      if (this.#servers.size === 0 && this.#stopping === undefined) {
        this.#signals?.remove()
        this.#signals = undefined
      }
      await server.close()
      throw error
    }
  }

  async client<T>(target: string | readonly string[], options: ClientOptions = {}): Promise<Client<T>> {
    checkOptions('client', options, clientOptionNames)
    checkKinds(options, { version: 'text', service: 'text', headers: 'object', bind: 'boolean' })
    this.#refuseStopped()
    await this.#configLoaded()
    const found = await locate(this.#hooks, target, options.version)
    this.#refuseStopped()
    const end: ClientEnd = new ClientEnd(this.#kernel, found.endpoints, { ...options, ...found.about }, () =>
      this.#clients.delete(end),
    )
    this.#clients.add(end)
    try {
      // A client made within a call lives on after it: its socket must not keep that call as the current one.
      await this.#outside(() => end.open(options.bind === true))
    } catch (error) {
      await end.close()
      throw error
    }
    return createClient<T>(end)
  }

  stop(): Promise<number> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #share(): Kernel {
    const { config } = this
    const log = (): Logger => this.#log
    return {
      hooks: this.#hooks,
      storage: this.#storage,
      wheel: this.#wheel,
      counters: this.#counters,
      stats: this.#stats,
      gauge: this.#gauge,
      log,
      hookTimeoutMs: this.#hookTimeoutMs,
      nextId: () => `${this.#idPrefix}-${(++this.#calls).toString(36)}`,
      get debug() {
        return config.get('DEBUG') === true
      },
    }
  }

  #apply(plugin: Plugin): void {
    for (const [key, value] of Object.entries(plugin.defaults ?? {}))
      this.config.setDefault(key, value, plugin.name)
    let result: unknown
    try {
      result = plugin.apply(this as unknown as PluginCore)
    } catch (error) {
      throw new ZaskError(
        'ZASK_PLUGIN_INVALID',
        `plugin ${plugin.name} failed in apply: ${describeThrown(error).message}`,
        { cause: error, details: { plugin: plugin.name } },
      )
    }
    if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') return
    throw new ZaskError(
      'ZASK_PLUGIN_INVALID',
      `plugin ${plugin.name} returned a promise from apply: nobody waits for it. Do the waiting in a tap of configLoaded.`,
      { details: { plugin: plugin.name } },
    )
  }

  /** Once, before anything binds or connects. */
  #configLoaded(): Promise<void> {
    this.#ready ??= (async () => {
      this.config.validate()
      try {
        await this.#within('configLoaded', this.#hooks.configLoaded.run(this.config as never))
      } catch (error) {
        throw this.#hooks.named(error)
      }
    })()
    return this.#ready
  }

  async #notify(hook: 'started' | 'stopping' | 'stopped'): Promise<void> {
    await this.#within(hook, this.#hooks[hook].run(this as never))
  }

  /** Waits for the taps of a hook, at most `hookTimeoutMs`; then an error names those that hang. */
  async #within(hook: string, running: Promise<void> | undefined): Promise<void> {
    if (running === undefined) return
    let timer: NodeJS.Timeout | undefined
    const expired = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const hanging = this.#hooks.pending().filter((tap) => tap.hook === hook)
        const names = hanging.map((tap) => tap.plugin).join(', ')
        reject(
          new ZaskError(
            'ZASK_HOOK_TIMEOUT',
            `plugin ${names} has not finished in ${hook} for ${this.#hookTimeoutMs / 1000} s: a promise it returned never ` +
              'resolved. Look for a connection that is not answered, or a callback that is not called.',
            { details: { hook, plugins: hanging.map((tap) => tap.plugin) } },
          ),
        )
      }, this.#hookTimeoutMs)
    })
    try {
      await Promise.race([running, expired])
    } finally {
      clearTimeout(timer)
    }
  }

  async #open(server: Server, services: readonly Service[], { binds, connects }: Places): Promise<Started> {
    const wanted = new Map<string, Service[]>()
    for (const service of services) {
      const own = binds.length > 0 || connects.length > 0 ? binds : await endpointsOf(this.#hooks, service)
      for (const endpoint of own) wanted.set(endpoint, [...(wanted.get(endpoint) ?? []), service])
    }
    for (const [endpoint, served] of wanted) refuseTwins(endpoint, served)
    for (const endpoint of connects) refuseTwins(endpoint, services)
    const bound: { endpoint: string; services: Service[] }[] = []
    for (const [endpoint, served] of wanted) {
      bound.push({ endpoint: await server.bind(endpoint, served), services: served })
    }
    for (const endpoint of connects) {
      server.connect(endpoint, services)
      bound.push({ endpoint, services: [...services] })
    }
    return {
      endpoints: bound.map(({ endpoint }) => endpoint),
      services: services.map((service) => ({
        service: service.displayName,
        version: service.version,
        endpoints: bound.filter((one) => one.services.includes(service)).map(({ endpoint }) => endpoint),
      })),
    }
  }

  #refuseStopped(): void {
    if (this.#stopping === undefined) return
    throw new ZaskError('ZASK_CORE_STOPPED', 'This core has been stopped. Make a new one with createCore.')
  }

  #listenToSignals(): ShutdownSignals {
    return new ShutdownSignals(
      () => this.stop(),
      (signal) => this.#log.info({ signal }, `${signal}: stopping`),
      (error) => this.#log.error({ err: error }, `stopping failed: ${describeThrown(error).message}`),
    )
  }

  /** Every step is taken, whatever the one before it did; the first error is thrown at the end. */
  async #stop(): Promise<number> {
    const errors: unknown[] = []
    const attempt = async <R>(step: () => Promise<R>): Promise<R | undefined> => {
      try {
        return await step()
      } catch (error) {
        errors.push(error)
        return undefined
      }
    }
    const servers = [...this.#servers]
    // Refuse first: what comes in while taps take their time would be cut at the end.
    const draining = servers.map((server) => attempt(() => server.drain(this.#shutdownTimeoutMs)))
    await attempt(() => this.#notify('stopping'))
    const cut = (await Promise.all(draining)).reduce<number>((sum, count) => sum + (count ?? 0), 0)
    for (const client of this.#clients) await attempt(() => client.close())
    for (const server of servers) await attempt(() => server.close())
    await attempt(() => this.#notify('stopped'))
    this.#wheel.close()
    this.#gauge.close()
    this.#signals?.remove()
    if (errors.length > 0) throw errors[0]
    return cut
  }
}

const endOptionNames = ['heartbeat', 'window', 'coalesce', 'maxEventBytes', 'maxPendingBytes'] as const
const clientOptionNames: readonly (keyof ClientOptions)[] = [
  ...endOptionNames,
  'version',
  'service',
  'timeoutMs',
  'headers',
  'bind',
]
const startOptionNames: readonly (keyof StartOptions)[] = [
  ...endOptionNames,
  'poolSize',
  'queueSize',
  'service',
  'version',
  'expose',
  'bind',
  'connect',
  'signals',
  'shutdownTimeoutMs',
]

/** What is said of one service would be wrong of several. */
function serviceOptions(options: StartOptions, count: number): ServiceOptions {
  const { service, version, expose } = options
  const given = { ...(service === undefined ? {} : { service }), ...(expose === undefined ? {} : { expose }) }
  if (count > 1 && Object.keys(given).length > 0) {
    throw new ZaskError(
      'ZASK_OPTION_INVALID',
      `${Object.keys(given).join(' and ')} cannot hold for ${count} services: make it static in each class.`,
    )
  }
  return { ...given, ...(version === undefined ? {} : { version }) }
}
