import { describeThrown, RemoteError, succeeds, ZaskError } from './errors.ts'
import type { Channel } from './wire/channel.ts'
import type { Event } from './wire/event.ts'

/** Longest name, message and traceback taken from, or sent to, a peer, in characters. */
const maxNameLength = 200
const maxMessageLength = 16_384
const maxTracebackLength = 65_536

/** An error as it travels: the three elements of ERR, and what zask peers read from the header. */
export interface WireError {
  readonly args: [name: string, message: string, traceback: string]
  readonly headers: Record<string, unknown> | undefined
}

/** The header key of a request by which its remaining time travels, in milliseconds. */
export const deadlineKey = 'deadline_ms'

/**
 * The header key of an ERR that says that the call was refused before anything of it ran. A code cannot say so: a
 * method may have failed because a service it called itself refused, and hands that error on.
 */
export const refusedKey = 'refused'

/**
 * Turns anything thrown into an ERR, whatever it is. The message is sent, but for that of config errors: where a
 * value is from, and what it looks like, is nothing for callers. The traceback only where `withTraceback` is set.
 *
 * @param shown What is sent in its place; the traceback stays that of what was thrown.
 */
export function toWireError(thrown: unknown, withTraceback: boolean, shown: unknown = thrown): WireError {
  const { name, message } = describeThrown(shown)
  if (isConfigError(shown)) {
    const said = 'The service cannot answer: a value in its config is wrong, and its log says which.'
    return { args: [name, said, ''], headers: { code: 'ZASK_CONFIG_VALUE_INVALID' } }
  }
  const args: WireError['args'] = [
    className(shown, name).slice(0, maxNameLength),
    message.slice(0, maxMessageLength),
    withTraceback && !isConfigError(thrown) ? describeThrown(thrown).stack.slice(0, maxTracebackLength) : '',
  ]
  return { args, headers: furtherHeaders(shown) }
}

/** The config was found to be wrong while a call ran. What came from another service is that one's error. */
export function isConfigError(thrown: unknown): boolean {
  return (
    thrown instanceof ZaskError &&
    thrown.code === 'ZASK_CONFIG_VALUE_INVALID' &&
    !(thrown instanceof RemoteError)
  )
}

function furtherHeaders(thrown: unknown): Record<string, unknown> | undefined {
  if (!(thrown instanceof ZaskError)) return undefined
  try {
    const headers: Record<string, unknown> = { code: thrown.code }
    if (thrown.retryable) headers['retryable'] = true
    if (thrown.details !== undefined) headers['details'] = thrown.details
    return headers
  } catch {
    // A class of its own may have accessors that throw.
    return undefined
  }
}

/**
 * Ends a conversation with an error. What was thrown may hold what cannot be encoded, or be longer than an event may
 * be: then as much of it is sent as can be. Without credit nothing may be sent that a plain peer would count.
 */
export function sendError(
  channel: Channel,
  error: WireError,
  extra: Readonly<Record<string, unknown>> | undefined,
  isOldCaller: boolean,
): void {
  if (channel.closed) return
  const { args, headers } = error
  const [name, message, traceback] = args
  // A zerorpc 1 caller reads an ERR of one element.
  const body = (said: string, trace: string): string[] =>
    isOldCaller ? [`${name}: ${said}`] : [name, said, trace]
  const { details: _, ...bare } = headers ?? {}
  const emit = channel.credit > 0 ? emitError : cancelWith
  const attempts = [
    () => emit(channel, body(message, traceback), { ...headers, ...extra }),
    () => emit(channel, body(message, traceback), { ...bare, ...extra }),
    () => emit(channel, body(message.slice(0, 100), ''), { ...bare, ...extra }),
  ]
  attempts.some(succeeds)
  channel.close()
}

function emitError(channel: Channel, body: string[], headers: Record<string, unknown>): void {
  channel.emit('ERR', body, headers)
}

function cancelWith(channel: Channel, body: string[], headers: Record<string, unknown>): void {
  channel.cancel(body, headers)
}

/** Turns a received ERR into an error; whatever the peer put into it. */
export function fromWireError(event: Event): ZaskError {
  const args = Array.isArray(event.args) ? (event.args as unknown[]) : []
  // A reply to a request of protocol version 1 has one element, the text (zerorpc-python core.py:204).
  const [name, message, traceback] = args.length === 1 ? ['RemoteError', args[0], ''] : args
  const { code, details, retryable } = event.headers
  return new RemoteError(
    text(name, 'Error').slice(0, maxNameLength),
    text(message, '').slice(0, maxMessageLength),
    text(traceback, '').slice(0, maxTracebackLength),
    {
      ...(typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? { code } : {}),
      ...(typeof details === 'object' && details !== null
        ? { details: details as Record<string, unknown> }
        : {}),
      retryable: retryable === true,
    },
  )
}

/** `class NotFound extends Error {}` has the inherited name 'Error'; its class says more. */
function className(thrown: unknown, name: string): string {
  if (name !== 'Error' || typeof thrown !== 'object' || thrown === null) return name
  try {
    const constructorName: unknown = thrown.constructor.name
    return typeof constructorName === 'string' && constructorName !== '' ? constructorName : name
  } catch {
    return name
  }
}

function text(value: unknown, otherwise: string): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : otherwise
}
