import { describeThrown, RemoteError, ZaskError } from './errors.ts'
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
 * Turns anything thrown into an ERR. The message is always sent, the traceback only where `withTraceback` is set.
 *
 * @param shown What is sent in its place; the traceback stays that of what was thrown.
 */
export function toWireError(thrown: unknown, withTraceback: boolean, shown: unknown = thrown): WireError {
  const { name, message } = describeThrown(shown)
  const args: WireError['args'] = [
    className(shown, name).slice(0, maxNameLength),
    message.slice(0, maxMessageLength),
    withTraceback ? describeThrown(thrown).stack.slice(0, maxTracebackLength) : '',
  ]
  if (!(shown instanceof ZaskError)) return { args, headers: undefined }
  const headers: Record<string, unknown> = { code: shown.code }
  if (shown.retryable) headers['retryable'] = true
  if (shown.details !== undefined) headers['details'] = shown.details
  return { args, headers }
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
