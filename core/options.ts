import { ZaskError } from './errors.ts'
import { nearMiss } from './near-miss.ts'
import type { CallOptions } from './remote.ts'
import { isRecord, shown } from './secrets.ts'
import { defaultLimits } from './wire/event.ts'
import type { WireOptions } from './wire/multiplexer.ts'

/** What both ends of the wire can be told. */
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
  /** Bytes that may wait for one peer before it is given up as too slow. Default: 16 MiB. */
  maxPendingBytes?: number
}

export function wireOptions(options: EndOptions, lingerMs: number): WireOptions {
  checkKinds(options, { coalesce: 'boolean' })
  const heartbeat = options.heartbeat === undefined ? { intervalMs: 5000 } : options.heartbeat
  if (heartbeat !== null && !isInterval(heartbeat?.intervalMs)) {
    throw new ZaskError(
      'ZASK_OPTION_INVALID',
      `heartbeat is { intervalMs: 10 or more } or null for none, got ${JSON.stringify(heartbeat)}.`,
    )
  }
  return {
    heartbeatMs: heartbeat === null ? null : heartbeat.intervalMs,
    activeHeartbeat: heartbeat?.active === true,
    window: wholeNumber('window', options.window, 100, 2, 10_000),
    coalesce: options.coalesce ?? true,
    events: {
      ...defaultLimits,
      maxBytes: wholeNumber(
        'maxEventBytes',
        options.maxEventBytes,
        defaultLimits.maxBytes,
        1024,
        2 ** 31 - 1,
      ),
    },
    maxChannels: 100_000,
    maxChannelsPerPeer: 10_000,
    maxPendingBytes: wholeNumber('maxPendingBytes', options.maxPendingBytes, 16 * 1024 * 1024, 1024, 2 ** 40),
    lingerMs,
  }
}

function isInterval(value: unknown): boolean {
  return typeof value === 'number' && value >= 10 && value < 2 ** 31
}

/** A whole number of a range; `ZASK_OPTION_INVALID` names option, value and range. */
export function wholeNumber(
  name: string,
  value: number | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  const number = value === undefined ? otherwise : value
  if (Number.isInteger(number) && number >= least && number <= most) return number
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `${name} is a whole number from ${least} to ${most}, got ${String(value)}.`,
  )
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

/** A misspelt option would silently do nothing: it is refused, with the name that was meant. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new ZaskError('ZASK_OPTION_INVALID', `${where} takes an object of options, got ${String(options)}.`)
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const meant = nearMiss(key, known)
    throw new ZaskError(
      'ZASK_OPTION_INVALID',
      `${where} has no option '${key}'. ${meant === undefined ? `It has ${known.join(', ')}.` : `Did you mean '${meant}'?`}`,
    )
  }
}

type OptionKind = 'boolean' | 'text' | 'object' | 'signal'

const kinds: Readonly<Record<OptionKind, { called: string; accepts(value: unknown): boolean }>> = {
  boolean: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  text: { called: 'a text', accepts: (value) => typeof value === 'string' && value !== '' },
  object: { called: 'an object of header keys', accepts: isRecord },
  signal: { called: 'an AbortSignal, such as controller.signal', accepts: isSignal },
}

/** From JavaScript an option may be anything: what would be misread later is refused here, by its name. */
export function checkKinds<O extends object>(
  options: O,
  kindOf: Readonly<{ [K in keyof O]?: OptionKind | undefined }>,
): void {
  for (const name in kindOf) {
    const [value, kind] = [options[name], kindOf[name]]
    if (value === undefined || kind === undefined || kinds[kind].accepts(value)) continue
    throw new ZaskError('ZASK_OPTION_INVALID', `${name} is ${kinds[kind].called}, got ${shown(value)}.`)
  }
}

/** Options of single calls; `timeoutMs` is looked at by the call. `ZASK_OPTION_INVALID` */
export function checkCallOptions(where: string, options: CallOptions): void {
  const kindOf = { timeoutMs: undefined, signal: 'signal', headers: 'object' } as const
  checkOptions(where, options, Object.keys(kindOf))
  checkKinds<CallOptions>(options, kindOf)
}

/** By what is needed of it: those of other realms and of polyfills are no instances. */
function isSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'aborted' in value && 'addEventListener' in value && typeof value.addEventListener === 'function'
}
