import {
  type Config,
  type CurveAllow,
  type EndpointQuery,
  type Plugin,
  type ResolvedEndpoint,
  type ServiceCurve,
  ZaskError,
} from '../core/index.ts'
import { type Command, type CommandList, commandsHook, dim, escapeControls, json, table } from './command.ts'
import { isRecord } from './record.ts'

/**
 * Where the versions of one service are: each version with its endpoint, or all of its endpoints. Other keys belong
 * to other plugins.
 */
export interface ServiceEndpoints {
  /** The version of a client that names none. */
  readonly default?: string | null
  /** The public CURVE key of the service: its clients encrypt with it. */
  readonly curve_server_key?: string | null
  /** Whom the service lets in: public CURVE keys, `'any'`, or `'plaintext'` for no encryption. */
  readonly curve_allow?: readonly string[] | 'any' | 'plaintext' | null
  readonly [version: string]: string | readonly string[] | boolean | null | undefined
}

/** `ZERORPC_<SERVICE>`, the name in upper case. Text is let through: plugins may own such keys, as log files do. */
export interface EndpointsConfig {
  [key: `ZERORPC_${string}`]: ServiceEndpoints | string
}

/**
 * Finds a service by its name and version in the config: `core.start(new Users())` binds what
 * `core.client('users')` connects to. Endpoints that are given outright pass it by.
 *
 * Config is read when a server binds and when a client is made. Errors bear the names and texts of the original:
 * `ZASK_ENDPOINTS_CONFIG_MISSING` (MissingConfigException), `_CLIENT_VERSION` (ClientMissingVersionException),
 * `_SERVER_VERSION` (NoVersionException), `_SERVER_NAME` (NoNameException).
 */
export function endpoints(): Plugin<{ config: EndpointsConfig }> {
  return {
    name: 'endpoints',
    apply(core) {
      const { config } = core
      config.check('ZERORPC_*', (value, key) =>
        key === logKey || isOwned(config, key) ? undefined : expectation(value),
      )
      core.hooks.resolveEndpoint.tap('endpoints', (query) => find(config, query))
      core.hooks
        .custom<CommandList>(commandsHook)
        .tap('endpoints', (list) => list.add('endpoints', endpointsCommand(config)))
    },
  }
}

/** Settings shared with those who only call have the original's log file in them, whoever writes it. */
const logKey = 'ZERORPC_ACCESS_LOG'

function find(config: Config, query: EndpointQuery): ResolvedEndpoint {
  const { service, role } = query
  if (service === undefined) {
    throw new ZaskError(
      'ZASK_ENDPOINTS_SERVER_NAME',
      "__service_name__ is needed for ZeroRPC server: give the class a `static service = 'name'`, or pass " +
        '{ service } or { bind } to start.',
    )
  }
  if (role === 'server' && query.version === undefined) {
    throw new ZaskError(
      'ZASK_ENDPOINTS_SERVER_VERSION',
      `__version__ is needed for ZeroRPC server: give the class of '${service}' a \`static version = '1.0'\`, or ` +
        'pass { version } or { bind } to start.',
      { details: { service } },
    )
  }
  const key = `ZERORPC_${service.toUpperCase()}`
  const places = config.get(key)
  if (!isRecord(places)) throw missing(key)
  const version = query.version ?? own(places, 'default')
  if (typeof version !== 'string') {
    throw new ZaskError(
      'ZASK_ENDPOINTS_CLIENT_VERSION',
      'Client missing version. You can set a default one or specify one when request.',
      { details: { service, key } },
    )
  }
  // `default` is a key beside the versions, so no version can be called that.
  const found = version === 'default' ? undefined : endpointsOf(own(places, version))
  if (found === undefined) throw missing(`${key}["${version}"]`)
  return { version, endpoints: found, curve: curveOf(places) }
}

/** Of keys only the kind is looked at here: what is wrong with one is said by whoever uses it. */
function curveOf(places: Readonly<Record<string, unknown>>): ServiceCurve {
  const serverKey = own(places, 'curve_server_key')
  const allow = own(places, 'curve_allow')
  return {
    serverKey: typeof serverKey === 'string' ? serverKey : undefined,
    allow: isAllow(allow) ? allow : undefined,
  }
}

function isAllow(value: unknown): value is CurveAllow {
  if (value === 'any' || value === 'plaintext') return true
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** One version of one service, as `zask endpoints` shows it. */
interface ListedVersion {
  readonly service: string
  readonly version: string
  readonly endpoints: readonly string[]
  readonly default: boolean
  /** Whether callers by this config send a key, and whether servers by it want one: the keys themselves stay here. */
  readonly sendsKey: boolean
  readonly wantsKey: boolean
}

/** `zask endpoints`: which services, where, in which versions. */
function endpointsCommand(config: Config): Command {
  return {
    usage: '',
    says: 'show where the services of the config are, and whether they want a key',
    options: {},
    least: 0,
    most: 0,
    async run({ asJson, terminal }) {
      const listed = listVersions(config)
      if (asJson) return listed.forEach((one) => terminal.write(`${json(one)}\n`))
      if (listed.length === 0) {
        return terminal.complain("The config names no service: ZERORPC_USERS = { '1.0': 'tcp://…' } does.\n")
      }
      const rows = listed.map(({ service, version, endpoints: places, default: standard, ...keys }) => [
        service,
        `${version}${standard ? ' (default)' : ''}`,
        places.join(', '),
        [keys.sendsKey ? 'sent' : '', keys.wantsKey ? 'wanted' : ''].filter(Boolean).join(', ') || '-',
      ])
      const head = ['service', 'version', 'endpoints', 'key'].map((text) => dim(text, terminal))
      const shown = rows.map((row) => row.map(escapeControls))
      terminal.write(await table(shown, { head }))
    },
  }
}

function listVersions(config: Config): ListedVersion[] {
  const keys = config.keys().filter((key) => key.startsWith('ZERORPC_') && !isOwned(config, key))
  return keys.flatMap((key) => {
    const places = config.get(key)
    if (!isRecord(places)) return []
    return Object.entries(places).flatMap(([version, value]) => {
      const found = version === 'default' ? undefined : endpointsOf(value)
      if (found === undefined) return []
      return {
        service: key.slice('ZERORPC_'.length).toLowerCase(),
        version,
        endpoints: found,
        default: own(places, 'default') === version,
        sendsKey: typeof own(places, 'access_key') === 'string',
        wantsKey: Array.isArray(own(places, 'client_keys')),
      }
    })
  })
}

/** The text is the original's, for those who look it up; it says what to add. */
function missing(key: string): ZaskError {
  return new ZaskError('ZASK_ENDPOINTS_CONFIG_MISSING', `Missing config '${key}' in your application.`, {
    details: { key },
  })
}

function endpointsOf(value: unknown): readonly string[] | undefined {
  const list = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list) || list.length === 0) return undefined
  return list.every((one) => typeof one === 'string' && one.includes('://')) ? list : undefined
}

/** What is wrong is said at the start, where it costs least: keys that look like versions must hold endpoints. */
function expectation(value: unknown): string | undefined {
  if (value === null) return undefined
  if (!isRecord(value)) return "an object such as { '1.0': 'tcp://127.0.0.1:4242', default: '1.0' }"
  for (const [key, item] of Object.entries(value)) {
    if (item === null || item === undefined) continue
    if (/^v?\d/.test(key) && endpointsOf(item) === undefined) {
      return `an object whose '${key}' is an endpoint or a list of them, as 'tcp://127.0.0.1:4242'`
    }
    if (key === 'default' && typeof item !== 'string') return "an object whose default is a version, as '1.0'"
    if (key === 'curve_server_key' && typeof item !== 'string')
      return 'an object whose curve_server_key is the public CURVE key of the service'
    if (key === 'curve_allow' && !isAllow(item))
      return "an object whose curve_allow is a list of public CURVE keys, 'any' or 'plaintext'"
  }
  return undefined
}

/** Whether a plugin brought a default for the key: then it is that plugin's, and no service. */
function isOwned(config: Config, key: string): boolean {
  return config.explain().some((entry) => entry.key === key && entry.owner !== undefined)
}

/** Names come from callers' code and may be anything: `toString` is no version. */
function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
