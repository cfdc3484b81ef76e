import { type Client, type ClientOptions, Config, type Core, createCore } from '../../core/index.ts'
import { type CommandLine, Misuse, numberOption, type Options, textsOption } from '../command/command.ts'
import { escapeControls, type Terminal } from '../command/terminal.ts'
import { isRecord } from '../record.ts'
import { findApplication, howToName, loadCore } from './application.ts'
import type { Place } from './places.ts'

/** What every command has that may need an application. */
export const applicationOptions: Options = {
  app: {
    type: 'string',
    value: '<file>',
    says: 'the module that exports core (default: ZASK_APP, or app.ts in this folder)',
  },
}

/** What every command that calls a service can be told. */
export const remoteOptions: Options = {
  timeout: {
    type: 'string',
    value: '<s>',
    says: 'seconds to wait for the first answer, 0 for no limit (default: 30)',
  },
  heartbeat: {
    type: 'string',
    value: '<s>',
    says: 'seconds between heartbeats, 0 for none (default: 5)',
  },
  'active-hb': {
    type: 'boolean',
    says: 'expect heartbeats from the start (default: from services of zask, and of those that have sent one)',
  },
  header: { type: 'string', multiple: true, value: '<k=v>', says: 'a header to send along; may be repeated' },
  version: { type: 'string', value: '<v>', says: 'the version of the service to ask for' },
  'server-key': { type: 'string', value: '<key>', says: 'encrypt, for the server with this public key' },
  keys: {
    type: 'string',
    value: '<file>',
    says: 'call with the key pair that `zask keygen --out` wrote there',
  },
  ...applicationOptions,
}

/** For commands that have no other `-d`. */
export const debugOption: Options = {
  debug: { type: 'boolean', short: 'd', says: 'print each event of the wire to stderr' },
}

/** A client of a service, and where that is: one endpoint, or all that a name led to. */
export interface Remote {
  readonly client: Client
  readonly target: string
}

/**
 * The services that one command line talks to. An endpoint is called by a core of its own, without plugins; a name by
 * the core of the application, and so is everything where `--app` names one.
 */
export class Remotes implements AsyncDisposable {
  readonly #line: CommandLine
  #application: Promise<Core> | undefined
  #bare: Core | undefined

  constructor(line: CommandLine) {
    this.#line = line
  }

  /** A client of an endpoint or of a service, as the options of the command line say. Ctrl-C aborts its calls. */
  async open(target: string): Promise<Remote> {
    const isEndpoint = target.includes('://')
    if (!isEndpoint && /[:/]/.test(target)) {
      throw new Misuse(
        `'${target}' is no endpoint and no name of a service. Write one such as tcp://127.0.0.1:4242`,
      )
    }
    const options = { ...clientOptions(this.#line, isEndpoint), ...(await encryption(this.#line)) }
    const told = this.#line.options['app'] !== undefined
    const core = isEndpoint && !told ? (this.#bare ??= createCore()) : await this.application(target)
    return this.#remote(core, await core.client(endpointsOf(target), options))
  }

  /** A client of one place of a service of the application. */
  async openAt({ service, version, endpoint }: Place): Promise<Remote> {
    const core = await this.application(service)
    const { curve = serverKeyOf(core, service) } = await encryption(this.#line)
    const options = { ...clientOptions(this.#line, true), service, ...(version !== null && { version }) }
    return this.#remote(
      core,
      await core.client(endpoint, { ...options, ...(curve !== undefined && { curve }) }),
    )
  }

  #remote(core: Core, client: Client): Remote {
    if (this.#line.options['debug'] === true) showEvents(core, this.#line.terminal)
    const found = client.$endpoints.map(({ endpoint }) => endpoint).join(', ')
    return { client: client.$with({ signal: this.#line.terminal.signal }), target: found }
  }

  /**
   * The core of the application, which is loaded at the first use.
   *
   * @param target The name it is needed for, to say so where there is none.
   */
  application(target?: string): Promise<Core> {
    this.#application ??= (async () => {
      const file = await findApplication(this.#line.options['app'])
      if (file !== undefined) return loadCore(file)
      const why =
        target === undefined
          ? 'No application is found here'
          : `'${target}' is no endpoint such as tcp://127.0.0.1:4242, and no application is found that knows a ` +
            'service of that name'
      throw new Misuse(`${why}: ${howToName}.`)
    })()
    return this.#application
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bare?.stop()
    await (await this.#application?.catch(() => undefined))?.stop()
  }
}

/** Runs something with a client of the service that is the first word of the command line. */
export async function withClient<T>(line: CommandLine, run: (remote: Remote) => Promise<T>): Promise<T> {
  await using remotes = new Remotes(line)
  return await run(await remotes.open(line.words[0] ?? ''))
}

/** To an endpoint the version rides in the header key that the servers of zask and of the original check. */
function clientOptions(line: CommandLine, isEndpoint: boolean): ClientOptions {
  const seconds = numberOption(line, 'timeout', { unit: 'seconds' }) ?? 30
  const { version } = line.options
  const asked = typeof version === 'string' ? version : undefined
  const headers = Object.fromEntries(textsOption(line, 'header').map(header))
  return {
    timeoutMs: seconds === 0 ? Infinity : seconds * 1000,
    heartbeat: heartbeatOption(line),
    ...boundOption(line),
    ...(asked !== undefined && !isEndpoint && { version: asked }),
    headers: { ...(asked !== undefined && isEndpoint && { service_version: asked }), ...headers },
  }
}

/** What zerorpc's `--bind` says of a client: everything is bound, or these endpoints are, too. */
function boundOption({ options }: CommandLine): Pick<ClientOptions, 'bind'> {
  const { bound } = options
  if (bound === true) return { bind: true }
  return Array.isArray(bound) && bound.length > 0 ? { bind: bound.map(String) } : {}
}

/** `--heartbeat` in seconds, 0 for none, and `--active-hb`. */
export function heartbeatOption(line: CommandLine): { intervalMs: number; active: boolean } | null {
  const beat = numberOption(line, 'heartbeat', { unit: 'seconds' }) ?? 5
  return beat === 0 ? null : { intervalMs: beat * 1000, active: line.options['active-hb'] === true }
}

/** Several endpoints of one service may stand in one word, with commas between. */
function endpointsOf(target: string): string | string[] {
  const parts = target.split(',')
  return parts.length > 1 && parts.every((part) => part.includes('://')) ? parts : target
}

/** Prints each event that comes in or goes out. */
export function showEvents(core: Core, terminal: Terminal): void {
  core.traceEvents(({ direction, peer, name }) =>
    terminal.complain(`${direction === 'in' ? '<--' : '-->'} ${peer} ${escapeControls(name)}\n`),
  )
}

/** The key that the config has of a service, for endpoints that are taken out of it one by one. */
function serverKeyOf({ config }: Core, service: string): ClientOptions['curve'] {
  const settings = config.get(`ZERORPC_${service.toUpperCase()}`)
  const serverKey = isRecord(settings) ? settings['curve_server_key'] : undefined
  return typeof serverKey === 'string' ? { serverKey } : undefined
}

/** What an application, or nobody, says of encryption is left as it is where the command line says nothing. */
async function encryption({ options }: CommandLine): Promise<Pick<ClientOptions, 'curve'>> {
  const { 'server-key': serverKey, keys: file } = options
  if (typeof serverKey !== 'string' && typeof file !== 'string') return {}
  const config = new Config()
  if (typeof file === 'string') await config.fromFile(file)
  const secretKey = config.get('CURVE_SECRET_KEY')
  if (typeof file === 'string' && typeof secretKey !== 'string')
    throw new Misuse(`${file} has no CURVE_SECRET_KEY. Make a pair of keys with zask keygen --out <file>.`)
  const own = typeof secretKey === 'string' ? { secretKey } : {}
  return { curve: { ...own, ...(typeof serverKey === 'string' && { serverKey }) } }
}

/** Always text: a key that looks like a number is none. */
function header(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Misuse(`--header takes name=value, such as access_key=abc, got '${text}'.`)
  return [text.slice(0, at), text.slice(at + 1)]
}
