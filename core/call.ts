import type { TapPlace } from './hook-contract.ts'
import type { Logger } from './logger.ts'
import type { Held } from './tap-runner.ts'
import { TimerEntry } from './wire/timer-wheel.ts'

/**
 * One call as plugins see it, on either side. Plugins add what they declare in `adds` as plain properties.
 */
export interface Call {
  /** `'server'`: a peer calls us; `'client'`: we call a peer. */
  readonly side: 'server' | 'client'
  /** The service's name; on the client side the name asked for; undefined where there is none (a bare endpoint). */
  readonly service: string | undefined
  readonly version: string | undefined
  /** Server side: the name of the service's class. */
  readonly className?: string
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

/** What must end with a call, such as a call made from within it. */
export interface Dependent {
  onParentAbort(reason: unknown): void
}

/** What core hands to a call at its making. */
export interface CallOrigin {
  readonly log: () => Logger
  readonly nextId: () => string
}

/**
 * The live object behind `Call`, on both sides. Signal, logger, id and time are made when they are first asked for: most
 * calls end without anybody having looked. What time it is costs 50 ns, so a call looks at the clock once where it
 * begins, and hands on what it saw.
 */
export abstract class LiveCall extends TimerEntry implements Call, Held {
  abstract readonly side: 'server' | 'client'
  readonly service: string | undefined
  readonly version: string | undefined
  readonly method: string
  readonly args: readonly unknown[]
  readonly headers: Record<string, unknown>
  /** @internal When the call was made, on the clock of `performance.now()`. */
  readonly startedMs: number
  deadline: number | undefined = undefined
  /** @internal The tap this call waits for, or has waited for last: for the error that names it. */
  heldBy: TapPlace | undefined = undefined
  abstract readonly peer: string | undefined
  abstract readonly parent: Call | undefined

  readonly #origin: CallOrigin
  #startedAt: number | undefined
  #id: string | undefined
  #log: Logger | undefined
  #controller: AbortController | undefined
  #abortReason: unknown
  #aborted = false
  #dependents: Set<Dependent> | undefined

  constructor(
    origin: CallOrigin,
    service: string | undefined,
    version: string | undefined,
    method: string,
    args: readonly unknown[],
    headers: Record<string, unknown>,
    startedMs: number,
  ) {
    super()
    this.#origin = origin
    this.service = service
    this.version = version
    this.method = method
    this.args = args
    this.headers = headers
    this.startedMs = startedMs
  }

  get startedAt(): number {
    // Rounded up: `Date.now()` was rounded down.
    this.#startedAt ??= Math.ceil(Date.now() - this.elapsedMs())
    return this.#startedAt
  }

  get id(): string {
    this.#id ??= this.#origin.nextId()
    return this.#id
  }

  get log(): Logger {
    this.#log ??= this.#origin.log().child({ service: this.service, method: this.method, call: this.id })
    return this.#log
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort(this.#abortReason)
    }
    return this.#controller.signal
  }

  /** The call is done with: what still runs in its name has no part in it. */
  abstract get over(): boolean

  /** Milliseconds since the call was made. */
  elapsedMs(): number {
    return performance.now() - this.startedMs
  }

  /** Milliseconds until the deadline, infinite where there is none; not below 0. */
  remainingMs(): number {
    return this.deadline === undefined ? Infinity : Math.max(0, this.deadline - performance.now())
  }

  /** Sets the deadline `timeoutMs` after the call was made. */
  expireAfter(timeoutMs: number): void {
    this.deadline = this.startedMs + timeoutMs
  }

  /** Registers what must end with this call; it may have to at once. */
  addDependent(dependent: Dependent): void {
    if (this.#aborted) {
      dependent.onParentAbort(this.#abortReason)
      return
    }
    this.#dependents ??= new Set()
    this.#dependents.add(dependent)
  }

  removeDependent(dependent: Dependent): void {
    this.#dependents?.delete(dependent)
  }

  /** Aborts the signal. Listeners of users may throw; the signal reports that by itself. */
  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#abortReason = reason
    this.#controller?.abort(reason)
    const dependents = this.#dependents
    this.#dependents = undefined
    if (dependents !== undefined) for (const dependent of dependents) dependent.onParentAbort(reason)
  }
}
