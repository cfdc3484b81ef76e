import { randomUUID } from 'node:crypto'
import {
  checkOptions,
  type Client,
  type ClientOptions,
  type ConfigOf,
  type Core,
  type CoreConfig,
  createCore,
  type Plugin,
  type StartOptions,
  ZaskError,
} from '../../core/index.ts'

export interface TestCoreOptions<P extends readonly Plugin[], S extends readonly object[]> {
  /** The services under test, at least one. */
  services: S
  /** The plugins of the core that is made, in their order. Default: none. */
  plugins?: P
  /** Config values of the core that is made. */
  config?: Partial<CoreConfig & ConfigOf<P>>
  /** Where relative paths in config start. Default: the working directory. */
  root?: string
  /** A core to use in place of one that is made: the application's own, which its services know. */
  core?: Core<P>
  /** How the services are started: heartbeat, poolSize and the like. */
  start?: Omit<StartOptions, 'bind' | 'connect' | 'signals'>
  /** Options of `client`: timeoutMs, headers and the like. */
  client?: ClientOptions<S[0]>
}

/** A core that serves in memory, and a client that calls it. */
export interface TestCore<P extends readonly Plugin[], S extends readonly object[]> extends AsyncDisposable {
  readonly core: Core<P>
  /** Calls the first service. */
  readonly client: Client<S[0]>
  /** Where the first service is, `inproc://…`: for clients of other cores in this process. */
  readonly endpoint: string
  /** Another client of one of the services, given as the object that was passed. */
  clientOf<T extends S[number]>(service: T, options?: ClientOptions<T>): Promise<Client<T>>
  /** Stops the core; `await using` does it at the end of the block. */
  stop(): Promise<void>
}

interface Place {
  readonly service: string | undefined
  readonly version: string | undefined
  readonly endpoint: string
}

/**
 * Serves objects over ZeroMQ's in-memory transport, `inproc://`: no port is opened, and all the rest is what
 * production runs: encoding, headers, hooks, streams with their credit, deadlines.
 *
 * Client and server belong to one core, so that plugins run on both sides and one config serves both. The names of
 * the services under test lead to them without any config: what they call by name is found.
 *
 * @throws ZaskError `ZASK_OPTION_INVALID` without services, or where both `core` and `plugins`, `config` or `root`
 *   are given.
 */
export async function testCore<
  const S extends readonly object[],
  const P extends readonly Plugin[] = readonly [],
>(options: TestCoreOptions<P, S>): Promise<TestCore<P, S>> {
  checkOptions('testCore', options, names)
  const { services } = options
  if (!Array.isArray(services) || services.length === 0) {
    throw optionError('testCore serves a list of at least one service: testCore({ services: [new Users()] })')
  }
  const places = new Map<object, Place>()
  const core = options.core === undefined ? createTestCore(options, places) : givenCore(options)
  const clientOf = async <T extends object>(service: T, more: ClientOptions<T> = {}): Promise<Client<T>> => {
    const place = places.get(service)
    if (place === undefined)
      throw optionError('clientOf takes one of the objects that testCore was given to serve')
    const { endpoint, service: name, version } = place
    const about = { ...(name !== undefined && { service: name }), ...(version !== undefined && { version }) }
    return await core.client<T>(endpoint, { ...about, ...more })
  }
  try {
    for (const service of services as readonly object[]) {
      const endpoint = `inproc://zask-test-${randomUUID()}`
      // Known before the start: taps of `started` may already call by name.
      places.set(service, placeOf(service, options.start ?? {}, endpoint))
      await core.start(service, { ...options.start, bind: endpoint, signals: false })
    }
    const first: S[0] = services[0] as object
    return {
      core,
      client: await clientOf(first, options.client),
      endpoint: (places.get(first) as Place).endpoint,
      clientOf,
      stop: async () => void (await core.stop()),
      [Symbol.asyncDispose]: async () => void (await core.stop()),
    }
  } catch (error) {
    await core.stop()
    throw error
  }
}

function createTestCore<P extends readonly Plugin[]>(
  { plugins, config, root }: TestCoreOptions<P, readonly object[]>,
  places: ReadonlyMap<object, Place>,
): Core<P> {
  const list: readonly Plugin[] = [inMemory(places), ...(plugins ?? [])]
  // The types of the list are those of the caller's: the plugin put before it adds nothing.
  const core: Core<readonly Plugin[]> = createCore<readonly Plugin[]>({
    plugins: list,
    ...(config !== undefined && { config }),
    ...(root !== undefined && { root }),
  })
  return core
}

/** A misspelt option would leave a plugin out of the test, and the test would pass. */
const names: readonly string[] = ['services', 'plugins', 'config', 'root', 'core', 'start', 'client']

function givenCore<P extends readonly Plugin[]>(options: TestCoreOptions<P, readonly object[]>): Core<P> {
  for (const key of ['plugins', 'config', 'root'] as const) {
    if (options[key] === undefined) continue
    throw optionError(`testCore uses the core it is given: ${key} belongs into its createCore`)
  }
  return options.core as Core<P>
}

/** Stands first, so that a name under test is never looked up anywhere else. */
function inMemory(places: ReadonlyMap<object, Place>): Plugin {
  return {
    name: 'testing',
    apply(core) {
      core.hooks.resolveEndpoint.tap('testing', ({ service, version, role }) => {
        if (role === 'server') return undefined
        const found = [...places.values()].find(
          (place) => place.service === service && (version === undefined || place.version === version),
        )
        return found && { version: found.version, endpoints: [found.endpoint] }
      })
    },
  }
}

/** As core reads it: what `start` says, else what the class says. */
function placeOf(service: object, start: StartOptions, endpoint: string): Place {
  // An object without a prototype has no constructor, whatever its type says.
  const declared = service.constructor as
    | { readonly service?: unknown; readonly version?: unknown }
    | undefined
  return {
    service: start.service ?? text(declared?.service),
    version: start.version ?? text(declared?.version),
    endpoint,
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function optionError(message: string): ZaskError {
  return new ZaskError('ZASK_OPTION_INVALID', `${message}.`)
}
