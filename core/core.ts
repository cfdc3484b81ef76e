import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { Call } from './call.ts'
import { CallStorage } from './call-storage.ts'
import { ClientEnd, type ClientOptions, createClient } from './client.ts'
import { checkConfigKeys, Config } from './config.ts'
import { clientKeys, declareCurve, refuseWaiting } from './curve.ts'
import { describeThrown, ZaskError } from './errors.ts'
import type { HookName, Hooks } from './hook-contract.ts'
import { HookSet } from './hooks.ts'
import { withinTime } from './hook-timeout.ts'
import type { Kernel } from './kernel.ts'
import { berthsOf, list, locate } from './location.ts'
import { checkLimits, declareLimits, defaultLimits, type Limits, limitsOf, limitsWith } from './limits.ts'
import { describeBlock, LoopWatch } from './loop-watch.ts'
import { checkLogger, createLogger, type Logger } from './logger.ts'
import { openAt } from './opening.ts'
import { checkKinds, checkOptions } from './options.ts'
import {
  type CallOf,
  checkPlugins,
  type ConfigViewOf,
  type CreateCoreOptions,
  type Plugin,
  type PluginCore,
  type StatsOf,
} from './plugin.ts'
import { ProcessGauge } from './process-gauge.ts'
import { warnOfFewFiles, warnOfPlaintext } from './precautions.ts'
import type { AnyService, Client } from './remote.ts'
import { Server } from './server.ts'
import { Service } from './service.ts'
import { ShutdownSignals } from './signals.ts'
import {
  clientOptionNames,
  type CoreLimits,
  coreOptionNames,
  serviceOptions,
  type Started,
  type StartOptions,
  startOptionNames,
} from './start-options.ts'
import { CoreStats, PluginStats, type StatsReport } from './stats.ts'
import { type SeenEvent, WireCounters } from './wire/counters.ts'
import { TimerWheel } from './wire/timer-wheel.ts'

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
  /** Counters since the core was made; a new report at each reading. */
  readonly stats: StatsReport<StatsOf<P>>
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
  client<T = AnyService>(target: string | readonly string[], options?: ClientOptions<T>): Promise<Client<T>>
  /**
   * Stops: new calls are refused, running ones finish, sessions end, sockets close. Resolves to how many calls had
   * to be cut. Calling it again gives the same promise.
   */
  stop(): Promise<number>
}

/**
 * Makes a core of a list of plugins.
 *
 * Throws `ZASK_PLUGIN_INVALID`, `_DUPLICATE`, `_REQUIRES`, `_CONFIG_KEY` for a list that cannot work.
 */
export function createCore<const P extends readonly Plugin[]>(
  options: CreateCoreOptions<P> & CoreLimits = {},
): Core<P> {
  checkOptions('createCore', options, coreOptionNames)
  checkKinds(options, { root: 'text' })
  return new LiveCore(options) as unknown as Core<P>
}

class LiveCore {
  readonly root: string
  readonly config: Config
  readonly #hooks: HookSet<Call, never, never>
  readonly #storage = new CallStorage()
  readonly #wheel = new TimerWheel()
  readonly #counters = new WireCounters()
  readonly #stats = new CoreStats()
  readonly #pluginStats = new PluginStats()
  readonly #gauge = new ProcessGauge()
  readonly #kernel: Kernel
  readonly #ownLimits: CoreLimits
  /** Runs a function as if nobody had called it: what it starts belongs to no call. */
  readonly #idPrefix = randomBytes(4).toString('hex')
  readonly #servers = new Set<Server>()
  readonly #clients = new Set<ClientEnd>()
  #log: Logger = createLogger()
  #calls = 0
  #ready: Promise<void> | undefined
  #stopping: Promise<number> | undefined
  #signals: ShutdownSignals | undefined
  #limits: Limits
  #shutdownTimeoutMs: number
  #loop: LoopWatch | undefined
  #filesCounted: Promise<void> | undefined

  constructor(options: CreateCoreOptions & CoreLimits) {
    const plugins: readonly Plugin[] = options.plugins ?? []
    checkPlugins(plugins)
    this.root = resolve(options.root ?? process.cwd())
    this.#ownLimits = options
    this.#limits = limitsWith(options, defaultLimits)
    this.#shutdownTimeoutMs = this.#limits.shutdownTimeoutMs
    this.config = new Config({ root: this.root })
    declareLimits(this.config)
    declareCurve(this.config)
    this.#hooks = new HookSet({
      onObserverError: (error, { hook, plugin }) => {
        this.#stats.hooksFailed++
        const { message } = describeThrown(error)
        this.#log.error({ err: error, plugin, hook }, `plugin ${plugin} failed in ${hook}: ${message}`)
      },
    })
    this.#kernel = this.#share()
    for (const plugin of plugins) this.#apply(plugin)
    if (options.config !== undefined) {
      checkConfigKeys(this.config, options.config)
      this.config.fromObject(options.config, 'createCore')
    }
  }

  get hooks(): Hooks<Call, never, never> {
    return this.#hooks.facade
  }

  get log(): Logger {
    return this.#log
  }

  setLogger(log: Logger): void {
    checkLogger(log)
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
    const plugins = this.#pluginStats.report((plugin, error) => {
      const { message } = describeThrown(error)
      this.#log.error({ err: error, plugin }, `plugin ${plugin} failed in core.stats: ${message}`)
    })
    return { ...this.#stats.report(this.#counters, channels, this.#wheel.size), services, plugins }
  }

  addStats(name: string, report: () => object): void {
    this.#pluginStats.add(name, report)
  }

  async start(target: object | readonly object[], options: StartOptions = {}): Promise<Started> {
    checkOptions('start', options, startOptionNames)
    this.#refuseStopped()
    const targets: readonly object[] = Array.isArray(target) ? target : [target]
    if (targets.length === 0)
      throw new ZaskError('ZASK_SERVICE_INVALID', 'start was given an empty list: there is nothing to serve.')
    checkKinds(options, { signals: 'boolean', introspection: 'boolean' })
    const places = { binds: list('bind', options.bind), connects: list('connect', options.connect) }
    const services = targets.map((one) => Service.from(one, serviceOptions(options, targets.length)))
    checkLimits(options)
    await this.#configLoaded()
    this.#refuseStopped()
    const limits = limitsWith(options, this.#limits)
    const introspection = options.introspection ?? this.config.get('INTROSPECTION') !== false
    const server = new Server(this.#kernel, services, { ...options, introspection }, limits)
    this.#shutdownTimeoutMs = limits.shutdownTimeoutMs
    this.#servers.add(server)
    try {
      const berths = await this.#within('resolveEndpoint', berthsOf(this.#hooks, services, places))
      const started = await openAt(server, services, berths, places, options.curve, this)
      this.#filesCounted ??= warnOfFewFiles(this.#log)
      await this.#filesCounted
      this.#refuseStopped()
      if (options.signals !== false) this.#signals ??= this.#listenToSignals()
      this.#watchLoop()
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

  async client<T>(
    target: string | readonly string[],
    options: ClientOptions<AnyService> = {},
  ): Promise<Client<T>> {
    checkOptions('client', options, clientOptionNames)
    checkKinds(options, { version: 'text', service: 'text', headers: 'object', idempotent: 'list of names' })
    const { bind = false } = options
    const bound = typeof bind === 'boolean' ? [] : list('bind', bind)
    checkLimits(options)
    this.#refuseStopped()
    await this.#configLoaded()
    const found = await this.#within('resolveEndpoint', locate(this.#hooks, target, options.version))
    this.#refuseStopped()
    const endpoints = [...found.endpoints, ...bound]
    const isBound = (endpoint: string): boolean => bind === true || bound.includes(endpoint)
    const keys = clientKeys(options.curve, found.curve, this.config)
    if (keys !== undefined) refuseWaiting(endpoints.filter(isBound))
    const about = { ...options, ...found.about }
    const end: ClientEnd = new ClientEnd(this.#kernel, endpoints, about, this.#limits, keys, () =>
      this.#clients.delete(end),
    )
    this.#clients.add(end)
    try {
      // A client made within a call lives on after it: its socket must not keep that call as the current one.
      const waiting = await this.#storage.outside(() => end.open(isBound))
      if (this.config.get('CURVE_ALLOW') !== 'plaintext') warnOfPlaintext(this.#log, waiting)
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
    const limits = (): Limits => this.#limits
    return {
      hooks: this.#hooks,
      storage: this.#storage,
      wheel: this.#wheel,
      counters: this.#counters,
      stats: this.#stats,
      gauge: this.#gauge,
      log,
      nextId: () => `${this.#idPrefix}-${(++this.#calls).toString(36)}`,
      get limits() {
        return limits()
      },
      get debug() {
        try {
          return config.get('DEBUG') === true
        } catch {
          // Somebody has set it to what is no boolean since the start: no reason to fail while an error is answered.
          return false
        }
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
      this.#limits = limitsWith(this.#ownLimits, limitsOf(this.config))
      try {
        const running = this.#hooks.configLoaded.run(this.config as never)
        if (running !== undefined) await this.#within('configLoaded', running)
      } catch (error) {
        throw this.#hooks.named(error)
      }
    })()
    return this.#ready
  }

  #watchLoop(): void {
    this.#loop ??= new LoopWatch(this.#idPrefix, {
      blockedMs: this.#limits.blockedLoopMs,
      currentCall: () => this.#storage.getStore(),
      onBlock: (block) => {
        this.#stats.met.blockedLoopMs++
        this.#log.warn({ ...block }, describeBlock(block))
      },
    })
    this.#loop.start()
  }

  async #notify(hook: 'started' | 'stopping' | 'stopped'): Promise<void> {
    const running = this.#hooks[hook].run(this as never)
    if (running !== undefined) await this.#within(hook, running)
  }

  #within<R>(hook: HookName, running: Promise<R>): Promise<R> {
    return withinTime(this.#hooks, hook, running, this.#limits, this.#stats)
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
    await attempt(async () => await this.#loop?.close())
    this.#signals?.remove()
    if (errors.length > 0) throw errors[0]
    return cut
  }
}
