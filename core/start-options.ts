import type { ClientOptions } from './client.ts'
import type { CurveServerOptions } from './curve.ts'
import { ZaskError } from './errors.ts'
import type { CreateCoreOptions } from './plugin.ts'
import type { ServerOptions } from './server.ts'
import type { ServiceOptions } from './service.ts'

export interface StartOptions extends ServerOptions, ServiceOptions {
  /** Where to bind: `tcp://127.0.0.1:4242`, `ipc://…`, `inproc://…`; port `*` or 0 takes a free one. */
  bind?: string | readonly string[]
  /** Endpoints of bound clients to connect out to. */
  connect?: string | readonly string[]
  /** Encrypts, and says who may call. Default: as the config says; `inproc://` is never encrypted. */
  curve?: CurveServerOptions
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

/** What a core can be told besides its plugins and config. */
export interface CoreLimits {
  /**
   * Milliseconds that the taps of one run of a hook may take together: then start or stop fails, naming the plugin
   * that hangs, a call without a deadline fails so where a gate holds it, and any call goes on without its
   * observers. Default: 10,000.
   */
  hookTimeoutMs?: number
  /**
   * Milliseconds a method may hold up the event loop before the log names it, with the line it is at. Default: 1000;
   * Infinity: nobody looks.
   */
  blockedLoopMs?: number
}

const endOptionNames = [
  'heartbeat',
  'window',
  'coalesce',
  'maxEventBytes',
  'maxDepth',
  'maxNodes',
  'maxPendingBytes',
  'handshakeTimeoutMs',
] as const

export const coreOptionNames: readonly (keyof CreateCoreOptions | keyof CoreLimits)[] = [
  'root',
  'plugins',
  'config',
  'hookTimeoutMs',
  'blockedLoopMs',
]

export const clientOptionNames: readonly (keyof ClientOptions)[] = [
  ...endOptionNames,
  'version',
  'service',
  'timeoutMs',
  'headers',
  'bind',
  'maxWaiting',
  'idempotent',
  'curve',
]

export const startOptionNames: readonly (keyof StartOptions)[] = [
  ...endOptionNames,
  'poolSize',
  'queueSize',
  'maxChannels',
  'maxChannelsPerPeer',
  'streamIdleTimeoutMs',
  'introspection',
  'service',
  'version',
  'expose',
  'bind',
  'connect',
  'curve',
  'signals',
  'shutdownTimeoutMs',
]

/** What is said of one service would be wrong of several. */
export function serviceOptions(options: StartOptions, count: number): ServiceOptions {
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
