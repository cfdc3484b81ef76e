import { ZaskError } from './errors.ts'
import { defaultLimits, type Limits, limitsWith, longestTimerMs } from './limits.ts'
import { nearMiss } from './near-miss.ts'
import type { CallOptions } from './remote.ts'
import { isRecord, shown } from './secrets.ts'
import type { WireOptions } from './wire/multiplexer.ts'

/** What both ends of the wire can be told. docs/limits.md has each limit with its config key. */
export interface EndOptions {
  /**
   * zerorpc heartbeats of each open call. Towards peers not known to be zask they are passive: every beat is
   * answered, and only a peer that beats is judged by its beats; `active` beats and judges them from the start.
   * `null` switches heartbeats off. Default: `{ intervalMs: 5000 }`.
   */
  heartbeat?: { readonly intervalMs: number; readonly active?: boolean } | null
  /** Items of a stream that may be on their way unread. Default: 100, as zerorpc. */
  window?: number
  /** Several events in one message towards zask peers. Default: true. */
  coalesce?: boolean
  /** Largest event sent or taken, in bytes. Default: 8 MiB. */
  maxEventBytes?: number
  /** Arrays and maps within each other in one event sent or taken. Default: 100. */
  maxDepth?: number
  /** Elements of all arrays and maps of one event together; a map counts keys and values. Default: 250,000. */
  maxNodes?: number
  /** Bytes that may wait for one peer before it is given up as too slow. Default: 16 MiB. */
  maxPendingBytes?: number
  /** Milliseconds a new connection has for ZeroMQ's handshake. Default: 2000. */
  handshakeTimeoutMs?: number
}

/** What the wire is told of options and limits; `limits` has those of the options already. */
export function wireOptions(
  options: EndOptions,
  lingerMs: number,
  limits: Limits = limitsWith(options, defaultLimits),
): WireOptions {
  checkKinds(options, { coalesce: 'boolean' })
  const heartbeat = options.heartbeat === undefined ? { intervalMs: 5000 } : options.heartbeat
  if (heartbeat !== null) {
    if (!isInterval(heartbeat?.intervalMs)) {
      throw new ZaskError(
        'ZASK_OPTION_INVALID',
        `heartbeat is { intervalMs: 10 or more } or null for none, got ${shown(heartbeat)}.`,
      )
    }
    checkOptions('heartbeat', heartbeat, ['intervalMs', 'active'])
  }
  const { maxEventBytes, maxDepth, maxNodes, maxChannels, maxChannelsPerPeer } = limits
  return {
    heartbeatMs: heartbeat === null ? null : heartbeat.intervalMs,
    activeHeartbeat: heartbeat?.active === true,
    window: limits.window,
    coalesce: options.coalesce ?? true,
    events: { maxBytes: maxEventBytes, maxDepth, maxNodes },
    maxChannels,
    maxChannelsPerPeer,
    maxPendingBytes: limits.maxPendingBytes,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    lingerMs,
  }
}

function isInterval(value: unknown): boolean {
  return typeof value === 'number' && value >= 10 && value <= longestTimerMs
}

/** Milliseconds, or Infinity for no limit. */
export function milliseconds(name: string, value: number | undefined, otherwise: number): number {
  const number = value === undefined ? otherwise : value
  if (typeof number === 'number' && number > 0) return number
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `${name} is a number of milliseconds above 0, or Infinity for no limit, got ${String(value)}.`,
  )
}

/** What an option may be, and how a message calls that. */
export interface OptionRule {
  readonly called: string
  accepts(value: unknown): boolean
}

export type OptionKind = 'boolean' | 'text' | 'object' | 'signal' | 'list of names'

const kinds: Readonly<Record<OptionKind, OptionRule>> = {
  boolean: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  text: { called: 'a text', accepts: (value) => typeof value === 'string' && value !== '' },
  object: { called: 'an object of header keys', accepts: isRecord },
  signal: { called: 'an AbortSignal, such as controller.signal', accepts: isSignal },
  'list of names': {
    called: 'a list of names',
    accepts: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  },
}

/**
 * Refuses what is no object of options, and an option that does not exist: a misspelt one would silently do nothing.
 * Where `known` has rules, values are held against them; undefined is none.
 *
 * @param where Whose options these are, for the message: `start`, or a plugin's name.
 * @param known The names, or a rule for each; undefined where the value is looked at elsewhere.
 * @throws ZaskError `ZASK_OPTION_INVALID`, with the name that was most likely meant.
 */
export function checkOptions(
  where: string,
  options: object,
  known: readonly string[] | Readonly<Record<string, OptionRule | undefined>>,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ZaskError('ZASK_OPTION_INVALID', `${where} takes an object of options, got ${shown(options)}.`)
  }
  const rules: Readonly<Record<string, OptionRule | undefined>> = isList(known) ? {} : known
  const names = isList(known) ? known : Object.keys(known)
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) throw unknownOption(where, name, names)
    checkValue(name, value, rules[name], ` of ${where}`)
  }
}

function unknownOption(where: string, name: string, names: readonly string[]): ZaskError {
  const meant = nearMiss(name, names)
  const remedy = meant === undefined ? `It has ${names.join(', ')}.` : `Did you mean '${meant}'?`
  return new ZaskError('ZASK_OPTION_INVALID', `${where} has no option '${name}'. ${remedy}`)
}

/** From JavaScript an option may be anything: what would be misread later is refused here, by its name. */
export function checkKinds<O extends object>(
  options: O,
  kindOf: Readonly<{ [K in keyof O]?: OptionKind | undefined }>,
): void {
  for (const name in kindOf) {
    const kind = kindOf[name]
    checkValue(name, options[name], kind && kinds[kind])
  }
}

function checkValue(name: string, value: unknown, rule: OptionRule | undefined, of = ''): void {
  if (value === undefined || rule === undefined || rule.accepts(value)) return
  throw new ZaskError('ZASK_OPTION_INVALID', `${name}${of} is ${rule.called}, got ${shown(value, name)}.`)
}

const callOptionKinds = {
  timeoutMs: undefined,
  signal: 'signal',
  headers: 'object',
  idempotent: 'boolean',
} as const satisfies Record<keyof CallOptions, OptionKind | undefined>

/** Options of single calls; `timeoutMs` is looked at by the call. `ZASK_OPTION_INVALID` */
export function checkCallOptions(where: string, options: CallOptions): void {
  checkOptions(where, options, Object.keys(callOptionKinds))
  checkKinds<CallOptions>(options, callOptionKinds)
}

/** By what is needed of it: those of other realms and of polyfills are no instances. */
function isSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'aborted' in value && 'addEventListener' in value && typeof value.addEventListener === 'function'
}

/** What `Array.isArray` does not tell of lists that are read only. */
export function isList(value: object | string): value is readonly string[] {
  return Array.isArray(value)
}
