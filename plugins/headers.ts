import { type Call, type Config, type Plugin, ZaskError } from '../core/index.ts'
import { createKeyCheck, type KeyCheck, maxKeyLength } from './headers/key-check.ts'
import { isRecord } from './record.ts'

/** Who may call a service, and as whom it is called. Other keys belong to other plugins. */
export interface ServiceKeys {
  /** The key that clients here call the service with; null: they send none. */
  readonly access_key?: string | null
  /** The keys that the service takes. Absent or null: every caller is let in; an empty list: none is. */
  readonly client_keys?: readonly string[] | null
  /** Lets callers in who send no key at all, as the original does. Default: false. */
  readonly allow_missing_key?: boolean
  /** The version that clients ask for who name none. */
  readonly default?: string | null
  readonly [key: string]: unknown
}

/** `ZERORPC_<SERVICE>`, the name in upper case. Text is let through: plugins may own such keys, as log files do. */
export interface HeadersConfig {
  [key: `ZERORPC_${string}`]: ServiceKeys | string
}

export interface HeadersAdds {
  /**
   * The key the call was made with, undefined where none was sent. It is proven only where `client_keys` is set and
   * the call was let in: calls that are refused bear theirs too, for the logs.
   */
  accessKey: string | undefined
}

/**
 * Clients say who they are and which version they mean; servers refuse a wrong version and an unknown key.
 *
 * The list is that of the server's own service, whatever name a request claims. Config is read at each call: a
 * change works on the next one. Errors bear the names and texts of the original: `ZASK_HEADERS_VERSION`
 * (VersionNotMatchException), `ZASK_HEADERS_KEY_UNKNOWN` (NoSuchAccessKeyException), `ZASK_HEADERS_KEY_MISSING`
 * (MissingAccessKeyException).
 */
export function headers(): Plugin<{ adds: HeadersAdds; config: HeadersConfig }> {
  return {
    name: 'headers',
    apply(core) {
      const { config } = core
      const isKnown = createKeyCheck()
      config.check('ZERORPC_*', expectation)
      core.hooks.configLoaded.tap('headers', () => {
        for (const key of config.keys()) {
          const settings = key.startsWith('ZERORPC_') ? settingsAt(config, key) : undefined
          if (settings?.allow_missing_key !== true || !Array.isArray(settings.client_keys)) continue
          core.log.warn({ key }, `${key} has allow_missing_key: whoever sends no access key is let in`)
        }
      })
      core.hooks.beforeCall.tap('headers', (call) => {
        if (call.side === 'server') admit(call, config, isKnown)
        else sign(call, config)
      })
    },
  }
}

/** Client side: `service_name` is core's; the version and the key are added unless the caller gave others. */
function sign(call: Call & HeadersAdds, config: Config): void {
  const { service, headers: sent } = call
  if (service !== undefined) {
    const key = `ZERORPC_${service.toUpperCase()}`
    const settings = settingsAt(config, key)
    sent['service_name'] ??= service
    const version = call.version ?? settings?.default
    if (typeof version === 'string') sent['service_version'] ??= version
    if (settings !== undefined && sent['access_key'] === undefined) {
      const accessKey = settings.access_key
      if (accessKey === undefined) {
        const message = `Missing 'access_key' in the '${key}'.`
        throw new ZaskError('ZASK_HEADERS_KEY_MISSING', message, { sent: false, details: { key } })
      }
      if (accessKey !== null) sent['access_key'] = accessKey
    }
  }
  call.accessKey = text(sent['access_key'])
}

/** Server side. The version comes first, as in the original. */
function admit(call: Call & HeadersAdds, config: Config, isKnown: KeyCheck): void {
  const { service_version: version, access_key: key } = call.headers
  call.accessKey = text(key)
  const versioned = version !== undefined && version !== null && call.version !== undefined
  if (versioned && version !== call.version) {
    throw new ZaskError(
      'ZASK_HEADERS_VERSION',
      `The request version ${shown(version)} from client ${shown(key)} is not match ${call.version}.`,
    )
  }
  const settings = call.service && settingsAt(config, `ZERORPC_${call.service.toUpperCase()}`)
  const keys = settings ? settings.client_keys : undefined
  if (!settings || keys === undefined || keys === null) return
  if ((key === undefined || key === null) && settings.allow_missing_key === true) return
  if (typeof key === 'string' && isKnown(key, keys)) return
  throw new ZaskError('ZASK_HEADERS_KEY_UNKNOWN', `No such key '${shown(key)}'.`)
}

function settingsAt(config: Config, key: string): ServiceKeys | undefined {
  const settings = config.get(key)
  return isRecord(settings) ? settings : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** What a peer sent, fit for a message: as Python writes it, cut, and unable to break out of a line. */
function shown(value: unknown): string {
  if (value === undefined || value === null) return 'None'
  if (typeof value === 'object')
    return Array.isArray(value) ? 'a list' : ArrayBuffer.isView(value) ? 'bytes' : 'a map'
  // oxlint-disable-next-line typescript/no-base-to-string -- objects are dealt with above
  const plain = String(value).slice(0, 64)
  return plain.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
    (char) => `\\u${(char.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  )
}

function expectation(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined
  const { access_key: own, client_keys: keys, allow_missing_key: open } = value
  if (own !== undefined && own !== null && !isKey(own))
    return `an object whose access_key is ${keyForm}, or null`
  if (keys !== undefined && keys !== null && !(Array.isArray(keys) && keys.every(isKey))) {
    return `an object whose client_keys is a list, each of them ${keyForm}, or null`
  }
  if (open !== undefined && typeof open !== 'boolean') {
    return 'an object whose allow_missing_key is true or false'
  }
  return undefined
}

const keyForm = `text of 1 to ${maxKeyLength} characters`

function isKey(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= maxKeyLength
}
