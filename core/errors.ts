/**
 * The codes of every error zask makes, each with the name it bears on the wire and in `error.name`.
 *
 * Python callers see the name only, so names are those of zerorpc and of the original zask where they had one.
 * `docs/errors.md` has an entry for each code; a test keeps the two in step both ways.
 */
export const errorCodes = {
  // composing an application
  ZASK_PLUGIN_INVALID: 'PluginError',
  ZASK_PLUGIN_DUPLICATE: 'PluginError',
  ZASK_PLUGIN_REQUIRES: 'PluginError',
  ZASK_PLUGIN_CONFIG_KEY: 'PluginError',
  ZASK_HOOK_UNKNOWN: 'HookError',
  ZASK_HOOK_TAP: 'HookError',
  ZASK_HOOK_FAILED: 'HookError',
  ZASK_HOOK_TIMEOUT: 'HookError',
  ZASK_SERVICE_INVALID: 'ServiceError',
  ZASK_SERVICE_AMBIGUOUS: 'ServiceError',
  ZASK_OPTION_INVALID: 'OptionError',
  // config
  ZASK_CONFIG_FILE_MISSING: 'ConfigError',
  ZASK_CONFIG_FILE_INVALID: 'ConfigError',
  ZASK_CONFIG_ENV_MISSING: 'ConfigError',
  ZASK_CONFIG_VALUE_INVALID: 'ConfigError',
  ZASK_CONFIG_PENDING: 'ConfigError',
  ZASK_LOG_FILE_REFUSED: 'LogFileError',
  // life of a core
  ZASK_NO_CALL: 'NoCallError',
  ZASK_CORE_STOPPED: 'CoreStopped',
  ZASK_ENDPOINT_MISSING: 'EndpointError',
  ZASK_ENDPOINT_INVALID: 'EndpointError',
  ZASK_ENDPOINT_IN_USE: 'EndpointError',
  ZASK_CURVE_KEY_INVALID: 'CurveError',
  ZASK_CURVE_INCOMPLETE: 'CurveError',
  // calls
  ZASK_METHOD_UNKNOWN: 'NameError',
  ZASK_ARGS_INVALID: 'TypeError',
  ZASK_CALL_TIMEOUT: 'TimeoutExpired',
  ZASK_CALL_CANCELLED: 'CallCancelled',
  ZASK_CALL_NOT_STREAM: 'TypeError',
  ZASK_STREAM_IDLE: 'StreamIdle',
  ZASK_PEER_LOST: 'LostRemote',
  ZASK_PEER_UNREACHABLE: 'Unreachable',
  ZASK_PEER_REFUSED: 'Refused',
  ZASK_SERVER_STOPPING: 'ServiceUnavailable',
  ZASK_SERVER_OVERLOADED: 'Overloaded',
  ZASK_CLIENT_CLOSED: 'ClientClosed',
  ZASK_REMOTE: 'RemoteError',
  // wire
  ZASK_WIRE_MALFORMED: 'ProtocolError',
  ZASK_WIRE_TOO_LARGE: 'TypeError',
  ZASK_WIRE_NOT_ENCODABLE: 'TypeError',
  ZASK_WIRE_CREDIT: 'ProtocolError',
  // services and their callers, by config
  ZASK_ENDPOINTS_CONFIG_MISSING: 'MissingConfigException',
  ZASK_ENDPOINTS_CLIENT_VERSION: 'ClientMissingVersionException',
  ZASK_ENDPOINTS_SERVER_VERSION: 'NoVersionException',
  ZASK_ENDPOINTS_SERVER_NAME: 'NoNameException',
  ZASK_HEADERS_VERSION: 'VersionNotMatchException',
  ZASK_HEADERS_KEY_UNKNOWN: 'NoSuchAccessKeyException',
  ZASK_HEADERS_KEY_MISSING: 'MissingAccessKeyException',
  // rehearsals
  ZASK_FAULT_INJECTED: 'InjectedFault',
  // databases
  ZASK_DATABASE_URI: 'ConfigError',
  // What the original raises, by an assert.
  ZASK_DATABASE_BIND: 'AssertionError',
  ZASK_DATABASE_DRIVER_MISSING: 'DatabaseError',
  ZASK_DATABASE_RELATION: 'DatabaseError',
  ZASK_DATABASE_UNREACHABLE: 'DatabaseError',
  ZASK_DATABASE_NO_SESSION: 'DatabaseError',
  ZASK_DATABASE_FAILED: 'DatabaseError',
} as const

/** A code of zask itself. Plugins and applications use their own, spelt `ZASK_<AREA>_<WHAT>` or as they like. */
export type ErrorCode = keyof typeof errorCodes

export interface ZaskErrorOptions {
  /** `error.name`, and the first element of the ERR a caller receives. Default: the name the code has in the table. */
  name?: string
  /** Plain data about what was seen; it travels to zask peers. */
  details?: Readonly<Record<string, unknown>>
  /** Whether the same call may succeed when it is made again, here or at another endpoint. Default: false. */
  retryable?: boolean
  /** Whether the request can have reached the peer. `false` only where it provably never left this process. */
  sent?: boolean
  cause?: unknown
}

const brand: unique symbol = Symbol.for('zask.ZaskError') as never

/**
 * The one class of errors zask makes. Tell them apart by `code`, never by message.
 *
 * `instanceof` holds across two installed copies of zask: instances are recognised by a registered symbol.
 */
export class ZaskError extends Error {
  readonly code: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly retryable: boolean
  readonly sent?: boolean

  constructor(code: ErrorCode | (string & {}), message: string, options: ZaskErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.name = options.name ?? (errorCodes as Record<string, string>)[code] ?? 'ZaskError'
    this.retryable = options.retryable ?? false
    if (options.details !== undefined) this.details = options.details
    if (options.sent !== undefined) this.sent = options.sent
    Object.defineProperty(this, 'name', { enumerable: false })
    Object.defineProperty(this, brand, { value: true })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false
    try {
      if ((value as Record<symbol, unknown>)[brand] !== true) return false
      return this === ZaskError || Function.prototype[Symbol.hasInstance].call(this, value)
    } catch {
      // A proxy whose traps throw: anything can be thrown, and is asked here first what it is.
      return false
    }
  }
}

/**
 * An error the peer answered with. `remoteName` is the class name over there and `message` its text; neither is
 * trusted for more than showing. `code`, `details` and `retryable` are the peer's where it is zask, else `ZASK_REMOTE`.
 */
export class RemoteError extends ZaskError {
  readonly remoteName: string
  readonly remoteTraceback: string

  constructor(
    remoteName: string,
    message: string,
    remoteTraceback = '',
    options: ZaskErrorOptions & { code?: string } = {},
  ) {
    super(options.code ?? 'ZASK_REMOTE', message, { sent: true, ...options, name: 'RemoteError' })
    this.remoteName = remoteName
    this.remoteTraceback = remoteTraceback
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return ZaskError[Symbol.hasInstance](value) && typeof (value as RemoteError).remoteName === 'string'
  }
}

/** Text of anything thrown, whatever it is: never throws itself, however hostile the value. */
export function describeThrown(thrown: unknown): { name: string; message: string; stack: string } {
  const read = (key: 'name' | 'message' | 'stack', otherwise: string): string => {
    try {
      const value: unknown = (thrown as Record<string, unknown>)[key]
      return typeof value === 'string' ? value : otherwise
    } catch {
      return otherwise
    }
  }
  if (typeof thrown === 'object' && thrown !== null) {
    return { name: read('name', 'Error'), message: read('message', ''), stack: read('stack', '') }
  }
  const isText = typeof thrown !== 'symbol' && typeof thrown !== 'function'
  return { name: 'Error', message: isText ? String(thrown) : `a ${typeof thrown} was thrown`, stack: '' }
}

/** Whether it can be done, for those who do not need to know why it cannot. */
export function succeeds(attempt: () => void): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}
