/**
 * What a service looks like from far away: the same methods, asynchronous; a generator is a stream.
 */
export type Remote<T> = {
  readonly [
    K in keyof T as K extends `_${string}` | symbol ? never : T[K] extends AnyFunction ? K : never
  ]: T[K] extends (...args: infer A) => infer R ? (...args: A) => RemoteResult<R> : never
}

type AnyFunction = (...args: never[]) => unknown

/** What calling a method gives: a promise of its value, or a stream. Where nothing is known of it, both. */
export type RemoteResult<R> = unknown extends R
  ? Promise<unknown> & AsyncIterable<unknown>
  : Awaited<R> extends AsyncIterable<infer I>
    ? StreamCall<I>
    : Awaited<R> extends Iterator<infer I, unknown, never>
      ? StreamCall<I>
      : Promise<Awaited<R>>

/**
 * A stream that was asked for: `for await` reads it, leaving the loop cancels it. Awaiting it gives the stream once
 * its first item is there, and throws what the method threw before it.
 */
export interface StreamCall<T> extends AsyncIterable<T>, PromiseLike<RemoteStream<T>> {}

/** A running stream. */
export interface RemoteStream<T> extends AsyncIterableIterator<T, undefined, undefined> {
  return(): Promise<IteratorResult<T, undefined>>
}

/** A client of a service nothing is known about: every method exists, and gives what can be awaited or iterated. */
export interface AnyService {
  // A string index would make `$close` a method of the service as well; the mapped type below keeps them apart.
  readonly [method: string]: (...args: unknown[]) => unknown
}

/** Options that hold for single calls. */
export interface CallOptions {
  /** Milliseconds until the first answer must be there; the time is the peer's, too. Default: the client's. */
  timeoutMs?: number
  /** Cancels the call: a zask server is told at once and aborts `core.call.signal` of the method. */
  signal?: AbortSignal
  /** Header keys to send along. */
  headers?: Readonly<Record<string, unknown>>
  /** Whether the call may run twice: see `idempotent` of the client. Default: whether the client names the method. */
  idempotent?: boolean
}

/** The names of a service's methods: any where nothing is known of it, none of no service. */
export type MethodName<T> = [T] extends [never] ? never : keyof Remote<T> & string

/** One of the endpoints that a client calls. */
export interface ClientEndpoint {
  readonly endpoint: string
  /** It can be reached. */
  readonly up: boolean
  /** Calls that are open there. */
  readonly calls: number
  /**
   * Milliseconds between the heartbeats of a zask server, null where it sends none; undefined of any other, and as long
   * as it has said nothing.
   */
  readonly heartbeatMs: number | null | undefined
}

/** What a client can do besides calling methods. No Python or TypeScript method served by zask has such names. */
export interface ClientControls<T> extends AsyncDisposable {
  /** Calls a method by name, with its arguments as an array. */
  $call(
    method: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<unknown> & AsyncIterable<unknown>
  /** The same client with other options for its calls. */
  $with(options: CallOptions): Client<T>
  /** The endpoints it calls, with what is known of them. */
  readonly $endpoints: readonly ClientEndpoint[]
  /** Ends open calls with `ZASK_CLIENT_CLOSED`, closes the connections. */
  $close(): Promise<void>
}

/** A typed client: `Client<Users>` has the methods of `Users`. */
export type Client<T = AnyService> = ClientControls<T> & Remote<T>
