import { deadlineKey, fromWireError, refusedKey } from './answer.ts'
import type { Target } from './balancer.ts'
import { type Dependent, LiveCall, type Outcome } from './call.ts'
import { describeThrown, ZaskError } from './errors.ts'
import { hookTimeout } from './hook-timeout.ts'
import type { Kernel } from './kernel.ts'
import type { RemoteStream } from './remote.ts'
import { ReceivedStream } from './received-stream.ts'
import type { Channel, ChannelListener } from './wire/channel.ts'
import type { Event } from './wire/event.ts'

/** Endpoints a call may be taken to, the first included. */
const maxAttempts = 4
/** Two ends that count the same time may come to its end so far apart. */
const clockTickMs = 20

/** What a call needs of the client that makes it. */
export interface MadeCallOwner {
  readonly kernel: Kernel
  /**
   * Sends the call to an endpoint but this one, or keeps it until one can be reached.
   * @param now What a look at the clock would say, if that is known.
   */
  dispatch(call: MadeCall, except?: Target, now?: number): void
  /** Whether calls of the method may run twice. */
  isIdempotent(method: string): boolean
  /** Whether there is another endpoint to take a call to that this one refused. */
  hasOther(refused: Target): boolean
  /** Keeps a call that a tap of `beforeCall` holds up, to end it where the client is closed meanwhile. */
  hold(call: MadeCall): void
  /** No answer will come any more; a call kept for an endpoint or a tap is let go. */
  onSettled(call: MadeCall): void
  /** What the endpoints are called, for messages. */
  readonly targetName: string
}

/** The client-side life of one call: gate, request, first answer or stream, observers. It settles exactly once. */
export class MadeCall extends LiveCall implements ChannelListener, Dependent {
  readonly side = 'client'
  readonly parent: LiveCall | undefined
  readonly promise: Promise<unknown> & AsyncIterable<unknown>
  target: Target | undefined
  attempts = 0
  /** What this call's own options say of running it twice; undefined: nothing. */
  idempotent: boolean | undefined = undefined
  readonly #owner: MadeCallOwner
  readonly #timeoutMs: number
  readonly #callerSignal: AbortSignal | undefined
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void
  #channel: Channel | undefined
  #stream: ReceivedStream | undefined
  #settled = false
  /** Taps of `beforeCall` have not let the call through yet. */
  #held = true
  /** An earlier attempt has left this process. */
  #hasLeft = false
  #sentAt = -Infinity

  constructor(
    owner: MadeCallOwner,
    service: string | undefined,
    version: string | undefined,
    method: string,
    args: readonly unknown[],
    headers: Record<string, unknown>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    parent: LiveCall | undefined,
  ) {
    super(owner.kernel, service, version, method, args, headers, performance.now())
    this.#owner = owner
    this.parent = parent
    this.#callerSignal = signal
    this.#timeoutMs = parent === undefined ? timeoutMs : Math.min(timeoutMs, parent.remainingMs())
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    }) as Promise<unknown> & { [Symbol.asyncIterator]?: () => AsyncIterator<unknown> }
    promise[Symbol.asyncIterator] = iterateAnswer
    this.promise = promise as Promise<unknown> & AsyncIterable<unknown>
  }

  get peer(): string | undefined {
    return this.target?.connection.endpoint
  }

  get over(): boolean {
    return this.#settled
  }

  /** Runs gate and request. Never throws; what happens is told by `promise`. */
  start(): void {
    const { kernel } = this.#owner
    kernel.stats.calling++
    if (this.#timeoutMs < 2 ** 40) {
      this.expireAfter(this.#timeoutMs)
      kernel.wheel.schedule(this, this.#timeoutMs, this.startedMs)
    }
    const signal = this.#callerSignal
    if (signal !== undefined) {
      if (signal.aborted) return this.handleEvent()
      signal.addEventListener('abort', this, { once: true })
    }
    this.parent?.addDependent(this)
    if (this.#settled) return
    const { beforeCall } = kernel.hooks
    try {
      const waiting = beforeCall.run(this)
      // No time to speak of has passed where no tap waits.
      if (waiting === undefined) return this.#dispatch(this.startedMs)
      if (!this.#settled) {
        this.#owner.hold(this)
        if (this.deadline === undefined) kernel.wheel.schedule(this, kernel.limits.hookTimeoutMs)
      }
      waiting.then(
        () => {
          if (this.deadline === undefined) kernel.wheel.cancel(this)
          this.#dispatch()
        },
        (error: unknown) => this.fail(error),
      )
    } catch (error) {
      this.fail(error)
    }
  }

  #dispatch(now?: number): void {
    this.#held = false
    if (!this.#settled) this.#owner.dispatch(this, undefined, now)
  }

  /** Sends the request to an endpoint that can be reached. */
  send(target: Target, now: number = performance.now()): void {
    this.target = target
    this.attempts++
    this.#sentAt = now
    const { headers } = this
    // Remaining time, not a point in time: clocks of two machines differ.
    if (this.deadline !== undefined) headers[deadlineKey] = Math.max(1, Math.round(this.deadline - now))
    try {
      this.#channel = target.connection.open(this, this.method, this.args, headers, now)
      target.open++
    } catch (error) {
      // What cannot be encoded; nothing was sent.
      this.target = undefined
      this.fail(error instanceof ZaskError ? withSent(error, false) : error)
    }
  }

  // what the channel tells

  onEvent(event: Event): void {
    if (this.#stream !== undefined) return this.#stream.onEvent(event)
    const { name } = event
    const channel = this.#channel as Channel
    const { receivedAt } = channel.peer
    if (event.malformed !== undefined) {
      this.#leave()
      this.fail(protocolError(`The answer of ${this.method} cannot be read: ${event.malformed}.`))
    } else if (name === 'STREAM' || name === 'STREAM_DONE') {
      const stream = new ReceivedStream(channel, this)
      this.#stream = stream
      // From here on it is the reader who decides how long it waits.
      this.#owner.kernel.wheel.cancel(this)
      this.deadline = undefined
      this.target?.answered(this.#sentAt, receivedAt)
      this.#resolve(stream satisfies RemoteStream<unknown>)
      stream.onEvent(event)
    } else {
      this.target?.answered(this.#sentAt, receivedAt)
      const { args } = event
      channel.close()
      this.#release()
      if (name === 'OK' && Array.isArray(args) && args.length > 0) this.#succeed(args[0], receivedAt)
      else if (name === 'ERR') this.#onError(event)
      else
        this.fail(
          protocolError(`${this.method} was answered with '${name.slice(0, 50)}', which is no answer.`),
        )
    }
  }

  onLost(error: ZaskError): void {
    const { target } = this
    this.#release()
    // A peer whose connection stands but that has stopped beating must answer before it gets more calls.
    if (target?.connection.up === true && error.code === 'ZASK_PEER_LOST') target.suspect = true
    if (this.#stream === undefined && (error.sent === false || this.#mayRepeat(error))) {
      if (error.sent !== false) this.#hasLeft = true
      // Where the connection stands, its silence is no reason to try there again.
      if (this.#again(target?.connection.up === true ? target : undefined)) return
    }
    if (this.#stream === undefined) this.fail(error)
    else this.#stream.fail(error)
  }

  /** The server could not say so by an ERR: the reader of its stream had granted no more. */
  onGivenUp(event: Event): void {
    this.#release()
    const error = fromWireError(event)
    if (this.#stream === undefined) this.fail(error)
    else this.#stream.fail(error)
  }

  /** The time for the first answer is over. */
  override onTimer(): void {
    this.#giveUp(this.#overdue())
  }

  #overdue(): ZaskError {
    const { limits, stats } = this.#owner.kernel
    const sent = this.target !== undefined
    const seconds = Math.round(this.#timeoutMs) / 1000
    if (this.#held && this.deadline === undefined) {
      stats.met.hookTimeoutMs++
      return withSent(hookTimeout('beforeCall', [this.heldBy?.plugin ?? ''], limits.hookTimeoutMs), false)
    }
    if (sent || this.#held) {
      return new ZaskError(
        'ZASK_CALL_TIMEOUT',
        `timeout after ${seconds}s, when calling remote method ${this.method}` +
          (sent
            ? ''
            : `: a tap of beforeCall did not let it through in time, that of plugin ${this.heldBy?.plugin}`),
        { sent, details: { method: this.method, timeoutMs: this.#timeoutMs } },
      )
    }
    return new ZaskError(
      'ZASK_PEER_UNREACHABLE',
      `No connection to ${this.#owner.targetName} within ${seconds}s, so ${this.method} was not sent. ` +
        'Is the service running, and is the address right?',
      { sent: false, retryable: true },
    )
  }

  /** The caller's signal was aborted. */
  handleEvent(): void {
    const reason: unknown = this.#callerSignal?.reason
    this.#giveUp(
      new ZaskError('ZASK_CALL_CANCELLED', `The call of ${this.method} was cancelled.`, {
        sent: this.target !== undefined,
        cause: reason,
      }),
    )
  }

  onParentAbort(reason: unknown): void {
    this.#giveUp(
      new ZaskError(
        'ZASK_CALL_CANCELLED',
        `The call of ${this.method} was cancelled with the call it was made in: ${describeThrown(reason).message}`,
        { sent: this.target !== undefined, cause: reason },
      ),
    )
  }

  /** The client is closed while a tap of `beforeCall` holds the call up. */
  close(error: ZaskError): void {
    if (this.#held) this.#giveUp(error)
  }

  /** Ends the call from this side. */
  #giveUp(error: ZaskError): void {
    if (this.#settled) return
    if (this.#channel !== undefined && this.target?.connection.withdraw(this.#channel) === true) {
      this.#channel.close()
      this.#release()
      error = withSent(error, false)
    } else this.#leave()
    // Taps that hold the call up, or have made something that is to end with it, are told by its signal.
    this.abort(error)
    if (this.#stream === undefined) this.fail(error)
    else this.#stream.fail(error)
  }

  /** Tells the peer, if it understands that, and forgets the channel. */
  #leave(): void {
    this.#channel?.cancel()
    this.#release()
  }

  #release(): void {
    if (this.#channel === undefined) return
    this.#channel = undefined
    if (this.target !== undefined) this.target.open--
  }

  #onError(event: Event): void {
    const error = fromWireError(event)
    // The same deadline has passed over there, a tick earlier.
    if (error.code === 'ZASK_CALL_TIMEOUT' && this.remainingMs() < clockTickMs) return this.onTimer()
    // Such a server never ran the call: another endpoint may. The code alone may be that of a server further on.
    const ranNot = event.headers[refusedKey] === true
    if (error.code === 'ZASK_SERVER_STOPPING' && (ranNot || this.#mayRepeat(error))) {
      this.#hasLeft = true
      this.target?.avoid()
      if (this.#again(this.target)) return
    }
    this.fail(error)
  }

  #mayRepeat({ code }: ZaskError): boolean {
    if (code !== 'ZASK_PEER_LOST' && code !== 'ZASK_SERVER_STOPPING') return false
    return this.idempotent ?? this.#owner.isIdempotent(this.method)
  }

  /** Takes a call that never ran, or may run twice, to another endpoint, if it may still have one. */
  #again(except: Target | undefined): boolean {
    if (this.attempts >= maxAttempts || this.#settled) return false
    if (except !== undefined && !this.#owner.hasOther(except)) return false
    this.#owner.kernel.stats.made.retried++
    this.target = undefined
    this.#owner.dispatch(this, except)
    return true
  }

  #succeed(value: unknown, at: number): void {
    this.#finish()
    this.#resolve(value)
    this.#observe(true, value, at)
  }

  fail(error: unknown): void {
    if (this.#settled) return
    // The last attempt may never have left; an earlier one has.
    if (this.#hasLeft && error instanceof ZaskError && error.sent === false) error = withSent(error, true)
    this.#finish()
    this.#reject(error)
    this.#observe(false, error, performance.now())
  }

  /** The stream has ended, in whatever way. */
  streamEnded(error: unknown, items: number): void {
    if (this.#settled) return
    this.#release()
    this.#finish()
    this.#observe(error === undefined, error, performance.now(), items)
  }

  #finish(): void {
    this.#settled = true
    const { kernel } = this.#owner
    kernel.stats.calling--
    kernel.wheel.cancel(this)
    this.#callerSignal?.removeEventListener('abort', this)
    this.parent?.removeDependent(this)
    this.#owner.onSettled(this)
  }

  #observe(ok: boolean, result: unknown, at: number, items?: number): void {
    const { stats, hooks, storage } = this.#owner.kernel
    if (ok) stats.made.ok++
    else stats.made.failed++
    if (!hooks.afterCall.used) return
    const durationMs = at - this.startedMs
    let outcome: Outcome = ok ? { ok, value: result, durationMs } : { ok, error: result, durationMs }
    if (items !== undefined) outcome = { ...outcome, items }
    // Here the event of a socket or a timer runs: the current call is to be that of the caller, as in beforeCall.
    if (storage.getStore() === this.parent) void hooks.afterCall.run(this, outcome)
    else storage.run(this.parent, (made) => void hooks.afterCall.run(made, outcome), this)
  }
}

/** The same error, saying whether the request left this process. */
function withSent(error: ZaskError, sent: boolean): ZaskError {
  const { code, message, details, retryable } = error
  return new ZaskError(code, message, {
    sent,
    retryable,
    cause: error.cause ?? error,
    ...(details === undefined ? {} : { details }),
  })
}

function protocolError(message: string): ZaskError {
  return new ZaskError('ZASK_WIRE_MALFORMED', message, { sent: true })
}

/** Makes `for await (const item of client.method())` work on the promise that a call gives. */
function iterateAnswer(this: Promise<unknown>): AsyncIterator<unknown> {
  let stream: ReceivedStream | undefined
  const open = async (): Promise<ReceivedStream> => {
    const answer = await this
    if (answer instanceof ReceivedStream) return (stream = answer)
    throw new ZaskError(
      'ZASK_CALL_NOT_STREAM',
      'The method answered with a value, not with a stream: await it instead of iterating over it.',
      { sent: true },
    )
  }
  return {
    next: async () => (stream ?? (await open())).next(),
    return: async () => (stream ?? (await open())).return(),
  }
}
