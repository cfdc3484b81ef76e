/** What is used of a client of `pg` that is not of a pool. */
export interface ControlClient {
  connect(): Promise<unknown>
  query(sql: string, values: readonly unknown[]): Promise<unknown>
  end(): Promise<void>
  on(event: 'error' | 'end', listener: () => void): unknown
  unref?(): void
}

/** What is used of a pool of `pg` to make one. */
export interface ControlPool {
  readonly Client: new (options: object) => ControlClient
  readonly options: { readonly password?: unknown }
}

/** How long a connection for cancelling is kept after its last use. */
const keptMs = 10_000

/** Longest time to connect, and then for an answer: the query that is to be cancelled may be over by itself. */
const patienceMs = 5_000

/**
 * Tells a PostgreSQL server to cancel queries, on a connection of its own: those of the pool may all be waiting for
 * what is to be cancelled. It is made when first needed and kept for a while, because a server under load takes
 * longer for a new connection than for anything else.
 */
export class PostgresCanceller {
  readonly #pool: ControlPool
  #client: ControlClient | undefined
  #timer: NodeJS.Timeout | undefined
  /** One after the other: a client of `pg` takes one query at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(pool: ControlPool) {
    this.#pool = pool
  }

  /**
   * Cancels what a backend is running.
   *
   * @param wanted Asked just before the server is told; false: the query has ended meanwhile.
   * @throws What the driver throws, where the server cannot be told.
   */
  cancel(processId: number | undefined, wanted: () => boolean): Promise<void> {
    const turn = this.#last.then(() => this.#cancel(processId, wanted))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  close(): void {
    this.#closed = true
    this.#drop()
  }

  async #cancel(processId: number | undefined, wanted: () => boolean): Promise<void> {
    clearTimeout(this.#timer)
    for (let kept = this.#client !== undefined; wanted(); kept = false) {
      try {
        const client = (this.#client ??= await this.#connect())
        if (wanted()) await client.query('select pg_cancel_backend($1)', [processId])
        break
      } catch (error) {
        this.#drop()
        // One that was kept may have been cut unnoticed.
        if (!kept) throw error
      }
    }
    if (this.#closed) this.#drop()
    else this.#timer = setTimeout(() => this.#drop(), keptMs).unref()
  }

  async #connect(): Promise<ControlClient> {
    const { Client, options } = this.#pool
    const limits = { connectionTimeoutMillis: patienceMs, query_timeout: patienceMs }
    // Not enumerable in the options of a pool, so that it is not printed.
    const client = new Client({ ...options, ...limits, password: options.password })
    for (const event of ['error', 'end'] as const) {
      client.on(event, () => {
        if (this.#client === client) this.#client = undefined
      })
    }
    try {
      await client.connect()
    } catch (error) {
      void client.end().catch(() => undefined)
      throw error
    }
    // What waits for it keeps the process up, not what it is kept for.
    client.unref?.()
    return client
  }

  #drop(): void {
    clearTimeout(this.#timer)
    void this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }
}
