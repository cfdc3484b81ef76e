import { pickTarget, Target } from './balancer.ts'
import { LiveCall } from './call.ts'
import type { CurveClientOptions } from './curve.ts'
import { ZaskError } from './errors.ts'
import type { Kernel } from './kernel.ts'
import { type Limits, limitsWith } from './limits.ts'
import { MadeCall, type MadeCallOwner } from './made-call.ts'
import { checkCallOptions, type EndOptions, milliseconds, wireOptions } from './options.ts'
import { ReceivedStream } from './received-stream.ts'
import type { AnyService, CallOptions, Client, ClientEndpoint, MethodName } from './remote.ts'
import { shown } from './secrets.ts'
import { Connection } from './wire/connection.ts'
import type { CurveClientKeys } from './wire/curve.ts'
import { isInproc } from './wire/endpoint.ts'

/** `T` is the service whose methods `idempotent` names; options that name none fit all services. */
export interface ClientOptions<T = never> extends EndOptions {
  /** The version asked for, sent along with the service's name. Default: the one its config calls the default. */
  version?: string
  /** The service's name, where the target is an endpoint: it is sent along as `service_name`. */
  service?: string
  /** Milliseconds a call waits for its first answer. Default: 30,000, as zerorpc. Infinity: no limit. */
  timeoutMs?: number
  /** Header keys to send along with each call. */
  headers?: Readonly<Record<string, unknown>>
  /**
   * For servers that connect out to their client: true binds the target in place of connecting to it; endpoints are
   * bound beside it. Default: false.
   */
  bind?: boolean | string | readonly string[]
  /** Calls that may wait for an endpoint to come up; beyond it they fail as Unreachable. Default: 10,000. */
  maxWaiting?: number
  /**
   * Methods that may run twice. Their calls are made again where the connection broke under them, at another endpoint or
   * at this one when it is back, at most 4 times in all and within the call's time. Default: none; of all methods, calls
   * that never left this process are made again.
   */
  idempotent?: readonly MethodName<T>[]
  /** Encrypts. Default: what is known of the service's endpoint. `inproc://` is never encrypted. */
  curve?: CurveClientOptions
}

/** Nobody waits for answers any more, but servers must hear that their calls were cancelled. */
const lingerMs = 100
/** How often an endpoint that has stopped beating is asked whether it is back. */
const probeMs = 1_000

/** The connections of one client: calls go out by the best endpoint, or wait until there is one. */
export class ClientEnd implements MadeCallOwner {
  readonly kernel: Kernel
  readonly service: string | undefined
  readonly version: string | undefined
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, unknown>>
  /** @internal Never used. While they live, the engine keeps its code for them (docs/decisions/hidden-classes.md). */
  readonly specimens: readonly [MadeCall, ReceivedStream]
  readonly #targets: Target[]
  readonly #waiting = new Set<MadeCall>()
  readonly #held = new Set<MadeCall>()
  readonly #maxWaiting: number
  readonly #idempotent: ReadonlySet<string>
  readonly #onClosed: () => void
  #probe: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  /** @param limits Those of config; those of the options are laid over them. */
  constructor(
    kernel: Kernel,
    endpoints: readonly string[],
    options: ClientOptions<AnyService>,
    limits: Limits,
    curve: CurveClientKeys | undefined,
    onClosed: () => void,
  ) {
    this.kernel = kernel
    this.service = options.service
    this.version = options.version
    this.timeoutMs = milliseconds('timeoutMs', options.timeoutMs, 30_000)
    this.headers = {
      ...(options.service === undefined ? {} : { service_name: options.service }),
      // Without the name it would say nothing: whose version is meant?
      ...(options.service === undefined || options.version === undefined
        ? {}
        : { service_version: options.version }),
      ...options.headers,
    }
    this.#idempotent = new Set(options.idempotent)
    this.#onClosed = onClosed
    const own = limitsWith(options, limits)
    this.#maxWaiting = own.maxWaiting
    const wire = wireOptions(options, lingerMs, own)
    const { wheel, counters } = kernel
    const different = [...new Set(endpoints)]
    this.#targets = different.map((endpoint) => {
      const listener = { onChange: () => this.#onChange(target) }
      const keyed = isInproc(endpoint) || curve === undefined ? wire : { ...wire, curve }
      const connection = new Connection(endpoint, keyed, wheel, counters, listener)
      const target = new Target(connection, different.length === 1)
      return target
    })
    const call = new MadeCall(this, this.service, this.version, '', [], {}, Infinity, undefined, undefined)
    const [{ connection }] = this.#targets as [Target]
    this.specimens = [call, new ReceivedStream(connection.specimen, call)]
  }

  get targetName(): string {
    return this.#targets.map(({ connection }) => connection.endpoint).join(', ')
  }

  get openChannels(): number {
    return this.#targets.reduce((sum, { connection }) => sum + connection.openChannels, 0)
  }

  get endpoints(): ClientEndpoint[] {
    return this.#targets.map(({ endpoint, connection, open }) => ({
      endpoint,
      up: connection.up,
      calls: open,
      heartbeatMs: connection.beatMs,
    }))
  }

  /** Connects, and binds where it is to be bound: answers with the real endpoints of those. */
  async open(isBound: (endpoint: string) => boolean): Promise<string[]> {
    const bound: string[] = []
    for (const target of this.#targets) {
      if (isBound(target.endpoint)) bound.push((target.endpoint = await target.connection.bind()))
      else target.connection.connect()
    }
    return bound
  }

  call(method: string, args: readonly unknown[], options: CallOptions | undefined): MadeCall['promise'] {
    // What runs on after its call has ended is bound to that call no more.
    const current = this.kernel.storage.getStore()
    const parent = current instanceof LiveCall && !current.over ? current : undefined
    const timeoutMs =
      options?.timeoutMs === undefined ? this.timeoutMs : milliseconds('timeoutMs', options.timeoutMs, 0)
    const more = options?.headers
    const headers = more === undefined ? { ...this.headers } : { ...this.headers, ...more }
    const call = new MadeCall(
      this,
      this.service,
      this.version,
      method,
      args,
      headers,
      timeoutMs,
      options?.signal,
      parent,
    )
    if (options?.idempotent !== undefined) call.idempotent = options.idempotent
    call.start()
    return call.promise
  }

  dispatch(call: MadeCall, except?: Target, now?: number): void {
    if (this.#closing !== undefined) {
      call.fail(closedError(this.targetName, false))
      return
    }
    if (except?.suspect === true) this.#startProbing()
    const target = pickTarget(this.#targets, except, now)
    const refusal = target === undefined ? this.#refusal : undefined
    if (target !== undefined) call.send(target, now)
    else if (refusal !== undefined) call.fail(refusal)
    else if (this.#waiting.size < this.#maxWaiting) this.#waiting.add(call)
    else {
      this.kernel.stats.met.maxWaiting++
      call.fail(
        new ZaskError(
          'ZASK_PEER_UNREACHABLE',
          `No connection to ${this.targetName}, and ${this.#maxWaiting} calls wait for one already.`,
          { sent: false, retryable: true },
        ),
      )
    }
  }

  isIdempotent(method: string): boolean {
    return this.#idempotent.has(method)
  }

  hasOther(refused: Target): boolean {
    return this.#targets.some((target) => target !== refused && target.usable)
  }

  hold(call: MadeCall): void {
    this.#held.add(call)
  }

  onSettled(call: MadeCall): void {
    if (this.#waiting.size > 0) this.#waiting.delete(call)
    if (this.#held.size > 0) this.#held.delete(call)
    if (call.target?.suspect === true) this.#startProbing()
  }

  /** Ends open calls with `ZASK_CLIENT_CLOSED` and closes the connections. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#probe)
    for (const call of this.#waiting) call.fail(closedError(this.targetName, false))
    for (const call of this.#held) call.close(closedError(this.targetName, false))
    const error = closedError(this.targetName, true)
    await Promise.all(this.#targets.map(({ connection }) => connection.close(error)))
    this.#onClosed()
  }

  #onChange(target: Target): void {
    target.renewed()
    if (!target.connection.up && this.#refusal === undefined) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const call of waiting) this.dispatch(call)
  }

  /** Undefined while an endpoint can be reached, or may be one day: a refusal does not end by waiting. */
  get #refusal(): ZaskError | undefined {
    let refusal: ZaskError | undefined
    for (const { connection } of this.#targets) {
      refusal = connection.refusal
      if (refusal === undefined) return undefined
    }
    return refusal
  }

  /** A suspect endpoint gets no calls, so it must be asked whether it is back. */
  #startProbing(): void {
    this.#probe ??= setInterval(() => {
      const suspects = this.#targets.filter((target) => target.suspect && target.connection.up)
      if (suspects.length === 0) {
        clearInterval(this.#probe)
        this.#probe = undefined
      }
      for (const target of suspects) this.#ask(target)
    }, probeMs).unref()
  }

  #ask(target: Target): void {
    const back = (): void => {
      channel.close()
      target.suspect = false
    }
    const channel = target.connection.open(
      { onEvent: back, onLost: () => undefined },
      '_zerorpc_ping',
      [],
      this.headers,
    )
    setTimeout(() => channel.close(), probeMs * 5).unref()
  }
}

function closedError(targetName: string, sent: boolean): ZaskError {
  return new ZaskError('ZASK_CLIENT_CLOSED', `The client of ${targetName} is closed. Make a new one.`, {
    sent,
  })
}

function checkRequest(method: unknown, args: unknown): void {
  if (typeof method === 'string' && Array.isArray(args)) return
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `$call takes a method's name and a list of arguments, got ${shown(method)} and ${shown(args)}.`,
  )
}

/** The face of a client: every name that is not its own is a method of the service. */
export function createClient<T>(end: ClientEnd, options?: CallOptions): Client<T> {
  const controls = {
    $call: (method: string, args: readonly unknown[] = [], more?: CallOptions) => {
      checkRequest(method, args)
      if (more === undefined) return end.call(method, args, options)
      checkCallOptions('$call', more)
      return end.call(method, args, { ...options, ...more })
    },
    $with: (more: CallOptions) => {
      checkCallOptions('$with', more)
      return createClient<T>(end, { ...options, ...more })
    },
    $close: () => end.close(),
    [Symbol.asyncDispose]: () => end.close(),
    // Without it a client in a text would call remote methods `toString` and `valueOf`, and nobody would hear of it.
    [Symbol.toPrimitive]: () => `client of ${end.targetName}`,
  }
  const methods = new Map<string, (...args: unknown[]) => unknown>()
  return new Proxy(Object.create(null) as object, {
    get(_target, name) {
      const known = typeof name === 'string' ? methods.get(name) : undefined
      if (known !== undefined) return known
      if (name === '$endpoints') return end.endpoints
      if (Object.hasOwn(controls, name)) return controls[name as keyof typeof controls]
      if (typeof name === 'symbol') return undefined
      // `await client` must not call a remote method `then`, nor JSON.stringify one called `toJSON`.
      if (name === 'then' || name === 'toJSON') return undefined
      const method = (...args: unknown[]): unknown => end.call(name, args, options)
      methods.set(name, method)
      return method
    },
    has: (_target, name) => typeof name === 'string' && name !== 'then',
  }) as Client<T>
}
