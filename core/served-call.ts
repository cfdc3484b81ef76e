import { deadlineKey, isConfigError, refusedKey, sendError, toWireError } from './answer.ts'
import { LiveCall, type Outcome } from './call.ts'
import { ZaskError } from './errors.ts'
import { answerBuiltIn, statsMethod } from './introspection.ts'
import { isThenable, type ItemSource, itemSourceOf } from './item-source.ts'
import type { Kernel } from './kernel.ts'
import { longestTimerMs } from './limits.ts'
import { type Overdue, overdue } from './overdue.ts'
import type { ServerStats, ServiceFigures } from './service-stats.ts'
import type { Service } from './service.ts'
import { type Ending, observe, type Observing } from './session-end.ts'
import type { Channel, ChannelListener } from './wire/channel.ts'
import type { Event } from './wire/event.ts'

/** How long a method that was told to stop may go on before its session is ended without it. */
const abandonMs = 5_000

/** What a call needs of the server it came to. */
export interface ServedCallOwner {
  readonly kernel: Kernel
  readonly figures: ServiceFigures
  readonly streamIdleTimeoutMs: number
  /** Names that are answered although no method has them. */
  readonly builtIns: ReadonlySet<string>
  /** The call's session has ended; its place is free. */
  onEnded(call: ServedCall): void
  /** What `_zask_stats` answers. */
  look(call: ServedCall): ServerStats
}

/**
 * The server-side life of one call: gate, method, answer, observers, end of session. Whatever happens, the session
 * ends exactly once.
 */
export class ServedCall extends LiveCall implements ChannelListener, Overdue, Ending {
  readonly side = 'server'
  readonly parent = undefined
  /** Among the running calls of its pool; -1: it is none of them. */
  place = -1
  readonly #owner: ServedCallOwner
  readonly #served: Service
  readonly #channel: Channel
  readonly #oldCaller: boolean
  readonly #malformed: string | undefined
  #outcome: Outcome | undefined
  #items: number | undefined
  #iterator: ItemSource | undefined
  #returning: Promise<void> | undefined
  /** @internal What is waited for, where time may run out: taps of `beforeCall`, or a reader. */
  awaits: 'gate' | 'reader' | undefined = undefined
  /** @internal */ observing: Observing | undefined = undefined
  #started = false
  #ended = false
  /** It is the current call, and not by being waited for: that needs no looking up. */
  #entered = false

  constructor(owner: ServedCallOwner, served: Service, channel: Channel, request: Event) {
    super(
      owner.kernel,
      served.name,
      served.version,
      request.name,
      Array.isArray(request.args) ? (request.args as unknown[]) : [],
      request.headers,
      channel.openedMs,
    )
    this.#owner = owner
    this.#served = served
    this.#channel = channel
    this.#oldCaller = request.version < 2
    this.#malformed =
      request.malformed ?? (Array.isArray(request.args) ? undefined : 'the arguments are no array')
    channel.listener = this
    const remainingMs = request.headers[deadlineKey]
    if (typeof remainingMs === 'number' && remainingMs >= 0 && remainingMs <= longestTimerMs) {
      this.expireAfter(remainingMs)
      owner.kernel.wheel.schedule(this, remainingMs, this.startedMs)
    }
  }

  get peer(): string {
    return Buffer.from(this.#channel.peer.key, 'latin1').toString('hex')
  }

  /** The class's name, for logs that name it as the original did. */
  get className(): string {
    return this.#served.className
  }

  /** Runs the call. Never throws. */
  run(): void {
    this.#started = true
    if (this.#outcome !== undefined) return this.#end()
    this.#owner.kernel.storage.run(this, ServedCall.#enter, this)
  }

  /** Answers without running anything: the server is stopping or full. */
  refuse(error: ZaskError): void {
    this.#answerError(error, { [refusedKey]: true })
    this.#settle(this.#failure(error))
    this.#end()
  }

  /** Ends the call from the server's side: the answer is the error, if there is still one to answer. */
  cut(error: ZaskError): void {
    if (this.#outcome !== undefined) return
    this.#answerError(error)
    this.#stop(error, 100)
  }

  // what the channel tells

  onEvent(_event: Event): void {
    // A request is the only event a caller may send; more of them were counted against its credit.
    this.#channel.read()
  }

  onLost(error: ZaskError): void {
    this.#stop(error, abandonMs)
  }

  onCancel(): void {
    this.#stop(
      new ZaskError('ZASK_CALL_CANCELLED', 'The caller has cancelled the call.', { sent: true }),
      abandonMs,
    )
  }

  /** The deadline has passed; or, after that, the time a method has to react to it; or that of the observers. */
  override onTimer(): void {
    if (this.observing !== undefined) return this.observing.onTimer()
    if (this.#outcome !== undefined) return this.#end()
    const error = overdue(this, this.#owner.kernel)
    this.#answerError(error)
    this.#stop(error, abandonMs)
  }

  get streamIdleTimeoutMs(): number {
    return this.#owner.streamIdleTimeoutMs
  }

  // the steps; closures are made only where something is waited for: most calls are done in one go

  static #enter(this: void, call: ServedCall): void {
    call.#entered = true
    call.#gate()
    call.#entered = false
  }

  static #observe(this: void, call: ServedCall): void {
    observe(call, call.#owner)
  }

  #gate(): void {
    const { beforeCall } = this.#owner.kernel.hooks
    if (!beforeCall.used) return this.#execute()
    try {
      const waiting = beforeCall.run(this)
      if (waiting === undefined) return this.#execute()
      this.awaits = 'gate'
      const { wheel, limits } = this.#owner.kernel
      if (this.deadline === undefined) wheel.schedule(this, limits.hookTimeoutMs)
      waiting.then(
        () => {
          if (this.deadline === undefined && this.#outcome === undefined) wheel.cancel(this)
          this.awaits = undefined
          this.#execute()
        },
        (error: unknown) => this.#fail(error),
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  #execute(): void {
    if (this.#outcome !== undefined) return this.#end()
    try {
      const result = this.#invoke()
      if (isThenable(result))
        Promise.resolve(result).then(
          (value) => this.#finish(value),
          (error: unknown) => this.#fail(error),
        )
      else this.#finish(result)
    } catch (error) {
      this.#fail(error)
    }
  }

  #invoke(): unknown {
    const method = this.#served.method(this.method)
    if (method === undefined) {
      if (this.#owner.builtIns.has(this.method)) {
        if (this.method === statsMethod) return this.#owner.look(this)
        return answerBuiltIn(this.#served, this.method, this.args)
      }
      // zerorpc-python's answer: NameError, with the bare name as its text (core.py:150).
      throw new ZaskError('ZASK_METHOD_UNKNOWN', this.method.slice(0, 200), {
        details: { service: this.#served.displayName },
      })
    }
    if (this.#malformed !== undefined) {
      throw new ZaskError(
        'ZASK_ARGS_INVALID',
        `The request for '${this.method}' cannot be read: ${this.#malformed}.`,
      )
    }
    method.runs++
    return (method.fn as (...args: readonly unknown[]) => unknown).apply(
      this.#served.target,
      this.args as unknown[],
    )
  }

  #finish(result: unknown): void {
    try {
      const iterator = itemSourceOf(result)
      if (iterator !== undefined) {
        this.#iterator = iterator
        void this.#stream(iterator)
        return
      }
      if (this.#outcome !== undefined) return this.#end()
      this.#channel.emit('OK', [result])
    } catch (error) {
      return this.#fail(error)
    }
    this.#channel.close()
    this.#settle({ ok: true, value: result, durationMs: this.elapsedMs() })
    this.#end()
  }

  #fail(error: unknown): void {
    if (this.#outcome !== undefined) return this.#end()
    this.#answerError(error, undefined, this.#shown(error))
    this.#settle(this.#failure(error))
    this.#end()
  }

  /** What is sent of an error that came out of a gate or the method: that is what plugins may replace. */
  #shown(thrown: unknown): unknown {
    const { answerError } = this.#owner.kernel.hooks
    if (!answerError.used) return thrown
    try {
      return answerError.run(this, thrown) ?? thrown
    } catch (error) {
      // Who was to hide something has failed to: that is sent, and not what was to be hidden.
      this.log.error({ err: error, thrown }, 'a tap of answerError failed: the caller gets its error')
      return error
    }
  }

  async #stream(iterator: ItemSource): Promise<void> {
    const channel = this.#channel
    let stepping = false
    this.#items = 0
    if (!this.#ended) this.#owner.figures.streams++
    try {
      // A call that ended before its stream was there has no use for items.
      while (this.#outcome === undefined) {
        stepping = true
        const next = iterator.next()
        const step = isThenable(next) ? await next : next
        stepping = false
        if (step.done === true) this.#iterator = undefined
        if (this.#outcome !== undefined) break
        // STREAM, STREAM_DONE and ERR alike wait for credit; a reader that is gone rejects the wait.
        const credit = channel.ready()
        if (credit !== undefined) await this.#reading(credit)
        if (step.done === true) break
        channel.emit('STREAM', step.value)
        if (this.#items++ === 0) this.#disarm()
      }
      if (this.#outcome === undefined) {
        channel.emit('STREAM_DONE', null)
        channel.close()
        this.#settle({ ok: true, value: undefined, durationMs: this.elapsedMs(), items: this.#items })
      }
    } catch (error) {
      // An iterator that is done, or has thrown, has ended by itself: nothing is left to end.
      if (stepping) this.#iterator = undefined
      if (this.#outcome === undefined) {
        const credit = channel.ready()
        if (credit !== undefined) await this.#reading(credit).catch(() => undefined)
        if (this.#outcome === undefined) this.#answerError(error, undefined, this.#shown(error))
        if (this.#outcome === undefined) this.#settle(this.#failure(error))
      }
    }
    if (this.#iterator !== undefined && this.#returning === undefined) {
      if (!this.#ended) this.#owner.kernel.wheel.schedule(this, abandonMs)
      this.#return(this.#iterator)
    }
    await this.#returning
    this.#end()
  }

  /** A reader takes its time, but not all the time there is: its generator would never end. */
  async #reading(credit: Promise<void>): Promise<void> {
    const { wheel } = this.#owner.kernel
    this.awaits = 'reader'
    wheel.schedule(this, this.#owner.streamIdleTimeoutMs)
    await credit
    this.awaits = undefined
    wheel.cancel(this)
  }

  /** The caller waits for the first item only (zerorpc-python core.py:226): from here on there is no deadline. */
  #disarm(): void {
    this.#owner.kernel.wheel.cancel(this)
    this.deadline = undefined
  }

  /** A generator's `finally` runs however its stream ended. */
  #return(iterator: ItemSource): void {
    this.#returning ??= (async () => {
      try {
        await iterator.return?.()
      } catch (error) {
        this.log.debug({ err: error }, 'the stream failed while it was being ended')
      }
    })()
  }

  /** Nobody waits for the answer any more: the outcome is known, the method is told, and gets time to end. */
  #stop(error: ZaskError, graceMs: number): void {
    if (this.#outcome !== undefined) return
    this.#settle(this.#failure(error))
    this.#channel.close()
    // Here the event of a socket or a timer runs, but listeners and `finally` blocks are the call's own code.
    const end = (): void => {
      this.abort(error)
      if (this.#iterator !== undefined) this.#return(this.#iterator)
    }
    this.#owner.kernel.storage.run(this, end, undefined)
    if (!this.#started) this.#end()
    else if (!this.#ended) this.#owner.kernel.wheel.schedule(this, graceMs)
  }

  #answerError(error: unknown, extra?: Record<string, unknown>, shown: unknown = error): void {
    if (isConfigError(error)) this.log.error({ err: error }, `${this.method} failed by the config`)
    sendError(this.#channel, toWireError(error, this.#owner.kernel.debug, shown), extra, this.#oldCaller)
  }

  #failure(error: unknown): Outcome {
    const outcome = { ok: false, error, durationMs: this.elapsedMs() } as const
    return this.#items === undefined ? outcome : { ...outcome, items: this.#items }
  }

  #settle(outcome: Outcome): void {
    this.#outcome = outcome
    this.#owner.kernel.wheel.cancel(this)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    const { kernel, figures } = this.#owner
    if (this.#items !== undefined) figures.streams--
    kernel.wheel.cancel(this)
    if (!kernel.hooks.afterCall.used && !kernel.hooks.sessionEnd.used) this.#owner.onEnded(this)
    else if (this.#entered || kernel.storage.getStore() === this) ServedCall.#observe(this)
    else kernel.storage.run(this, ServedCall.#observe, this)
  }

  /** The session has ended. */
  get over(): boolean {
    return this.#ended
  }

  /** What became of the call; undefined while nothing has. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }
}
