import type { BindFigures, PoolGauge } from './bind-figures.ts'
import { type ControlPool, PostgresCanceller } from './postgres-canceller.ts'

/** What is used of a client of `pg`. */
export interface PooledClient {
  readonly processID?: number
  release(destroy?: Error | boolean): void
  query(...args: unknown[]): unknown
  once(event: 'end' | 'error', listener: () => void): unknown
  removeListener(event: 'end', listener: () => void): unknown
}

/** What is used of a pool of `pg`. */
export interface ClientPool extends ControlPool, PoolGauge {
  connect(callback?: unknown): Promise<PooledClient> | undefined
  end(...args: unknown[]): unknown
  /** A connection was made. */
  on(event: 'connect', listener: (client: PooledClient) => void): unknown
}

/** Who holds connections: the session of a call. */
export interface ConnectionHolder {
  /** Aborted when what this holder waits for is of no use any more. */
  readonly signal: AbortSignal
  holds(client: PooledClient): void
  returned(client: PooledClient): void
}

/**
 * Makes a pool of `pg` survive what happens to its connections, and to those who hold them. MikroORM calls this for
 * each pool it makes (`driverOptions.onPoolCreated`).
 *
 * Kysely never releases a connection that dies within a transaction (kysely#1990): after one crash of the server
 * the pool is used up, and every call hangs for ever. So a connection that ends while it is held is given back here,
 * and giving back twice, which `pg` punishes with a throw, does nothing.
 *
 * @param holder Who asks for a connection, read while it is asked for.
 * @param figures Where it is counted what becomes of connections.
 */
export function guardPool(
  pool: ClientPool,
  holder: () => ConnectionHolder | undefined,
  figures: BindFigures,
): void {
  const connect = pool.connect.bind(pool)
  const end = pool.end.bind(pool)
  const canceller = new PostgresCanceller(pool)
  let ending = false
  figures.pools.push(pool)
  pool.on('connect', (client) => {
    figures.pool.connected++
    // It comes for each one that the other side ends, be it held or not.
    client.once('error', () => figures.connectionLost(client))
  })
  pool.end = (...args) => {
    ending = true
    canceller.close()
    return end(...args)
  }
  pool.connect = (callback?: unknown): Promise<PooledClient> | undefined => {
    if (callback !== undefined) return connect(callback)
    const owner = holder()
    return connect()?.then(
      (client) => new HeldClient(canceller, client, owner, figures).client,
      (error: unknown) => {
        // The text is the pool's own, for those who wait while others hold all connections.
        if ((error as Error).message === 'timeout exceeded when trying to connect') figures.pool.timedOut++
        else if (!ending) figures.pool.refused++
        throw error
      },
    )
  }
}

/** Statements that end quickly and must not be cut: whether they took effect could not be told. */
const transactionControl = /^\s*(begin|start|commit|rollback|savepoint|release)\b/i

/** A connection from when it is handed out to when it is given back. */
class HeldClient {
  readonly client: PooledClient
  readonly #canceller: PostgresCanceller
  readonly #owner: ConnectionHolder | undefined
  readonly #figures: BindFigures
  // `pg` makes a new `release` each time a client is handed out, but `query` is the prototype's.
  readonly #release: PooledClient['release']
  readonly #query: PooledClient['query']
  #running = 0
  #latest: Promise<unknown> = Promise.resolve()
  #cancelling: Promise<void> | undefined
  #again: NodeJS.Timeout | undefined
  #released = false
  #broken = false

  constructor(
    canceller: PostgresCanceller,
    client: PooledClient,
    owner: ConnectionHolder | undefined,
    figures: BindFigures,
  ) {
    this.client = client
    this.#canceller = canceller
    this.#owner = owner
    this.#figures = figures
    this.#release = client.release.bind(client)
    this.#query = client.query.bind(client)
    client.release = this.#giveBack
    client.query = (...args) => this.#run(args)
    client.once('end', this.#onEnd)
    owner?.signal.addEventListener('abort', this.#onAbort)
    owner?.holds(client)
  }

  readonly #onEnd = (): void => this.#giveBack(true)

  readonly #giveBack = (destroy?: Error | boolean): void => {
    if (this.#released) return
    this.#released = true
    clearTimeout(this.#again)
    const { client } = this
    client.removeListener('end', this.#onEnd)
    this.#owner?.signal.removeEventListener('abort', this.#onAbort)
    Reflect.deleteProperty(client, 'query')
    const release = (): void => {
      const broken = destroy ?? this.#broken
      if (broken !== false) this.#figures.connectionLost(client)
      this.#owner?.returned(client)
      this.#release(broken)
    }
    // A cancellation that is on its way would hit the query of the next holder.
    if (this.#cancelling === undefined || destroy !== undefined) release()
    else void this.#cancelling.then(release)
  }

  #run(args: unknown[]): unknown {
    const [sql] = args
    // A cursor is no text; what it does is its reader's to see.
    if (typeof sql !== 'string') return this.#query(...args)
    // Nothing gets through any more, and Kysely keeps a connection on which a rollback has failed.
    if (this.#broken && this.#running === 0) return this.#giveUp()
    if (this.#cancelling !== undefined) return this.#cancelling.then(() => this.#run(args))
    const cancellable = !transactionControl.test(sql)
    if (cancellable && this.#owner?.signal.aborted === true)
      return Promise.reject(this.#owner.signal.reason as Error)
    if (cancellable) this.#running++
    else if (this.#running > 0) {
      // A rollback behind a query must not be hit by what is to end the query.
      const run = (): unknown => this.#run(args)
      return this.#latest.then(run, run)
    }
    const query = this.#watch(this.#query(...args) as Promise<unknown>, cancellable)
    if (cancellable) this.#latest = query
    return query
  }

  #giveUp(): Promise<never> {
    this.#giveBack(true)
    return Promise.reject(new Error('Connection terminated, because a query on it was given up'))
  }

  async #watch(query: Promise<unknown>, cancellable: boolean): Promise<unknown> {
    try {
      return await query
    } catch (error) {
      // The answer to a query that was given up may still come, and be taken for that of the next one.
      if (error instanceof Error && error.message === 'Query read timeout') {
        this.#broken = true
        this.#figures.timedOut++
        if (!cancellable) this.#giveBack(true)
      }
      // The server is closing the connection: the next holder would get no further.
      if ((error as { severity?: unknown }).severity === 'FATAL') this.#broken = true
      // Cancelled from here: whoever waited has been told by the signal, and Kysely would print it to the console.
      const cancelled = cancellable && this.#owner?.signal.aborted === true
      if (cancelled && (error as { code?: unknown }).code === '57014') return { rows: [], rowCount: 0 }
      throw error
    } finally {
      if (cancellable) this.#running--
    }
  }

  readonly #onAbort = (): void => {
    if (this.#running > 0 && this.#cancelling === undefined) this.#cancel(10)
  }

  /** A server ignores a cancellation that overtakes its query, and says nothing: it is told until the query is over. */
  #cancel(pauseMs: number): void {
    const wanted = (): boolean => this.#running > 0 && !this.#released
    const told = this.#canceller.cancel(this.client.processID, wanted)
    const again = (): void => {
      if (wanted() && this.#cancelling === undefined) this.#cancel(Math.min(pauseMs * 2, 1_000))
    }
    this.#cancelling = told.then(
      () => {
        this.#cancelling = undefined
        if (wanted()) this.#again = setTimeout(again, pauseMs)
      },
      // The server cannot be told: the query goes on there, but not with a connection that somebody gets.
      () => {
        this.#cancelling = undefined
        this.#broken = true
      },
    )
  }
}
