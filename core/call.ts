import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from './logger.ts'

/**
 * One call as plugins see it, on either side. Plugins add what they declare in `adds` as plain properties.
 */
export interface Call {
  /** `'server'`: a peer calls us; `'client'`: we call a peer. */
  readonly side: 'server' | 'client'
  /** The service's name; on the client side the name asked for; undefined where there is none (a bare endpoint). */
  readonly service: string | undefined
  readonly version: string | undefined
  /** The method's name as the peer sent it: it may name nothing that exists. */
  readonly method: string
  readonly args: readonly unknown[]
  /** Header keys beside the wire's own. On the client side taps of `beforeCall` may add keys; they are sent. */
  readonly headers: Record<string, unknown>
  /** Unique among the calls of this process. */
  readonly id: string
  /** Server side: an opaque name of the connection the call came in by. Client side: the endpoint, once chosen. */
  readonly peer: string | undefined
  /** Wall clock, milliseconds since the epoch, when the call was made or came in. */
  readonly startedAt: number
  /** Aborted when the caller cancelled, is gone, or the deadline has passed; `signal.reason` is the error. */
  readonly signal: AbortSignal
  /** When the caller stops waiting, on the clock of `performance.now()`; undefined where no deadline is known. */
  readonly deadline: number | undefined
  /** The core's logger with service, method and id bound. */
  readonly log: Logger
  /** Client side: the served call from within which this one was made. */
  readonly parent: Call | undefined
}

/** What became of a call. `durationMs` runs from its start to its outcome; `items` counts what a stream delivered. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown; readonly durationMs: number; readonly items?: number }
  | { readonly ok: false; readonly error: unknown; readonly durationMs: number; readonly items?: number }

/** The storage that makes `core.call` the current call anywhere below it. One per core. */
export type CallStorage = AsyncLocalStorage<Call>

export function createCallStorage(): CallStorage {
  return new AsyncLocalStorage<Call>()
}
