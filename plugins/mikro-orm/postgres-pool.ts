/** What is used of a client of `pg`. */
export interface PooledClient {
  release(destroy?: Error | boolean): void
  query(...args: unknown[]): unknown
  once(event: 'end', listener: () => void): unknown
  removeListener(event: 'end', listener: () => void): unknown
}

/** What is used of a pool of `pg`. */
export interface ClientPool {
  connect(callback?: unknown): Promise<PooledClient> | undefined
}

/** Who holds connections: the session of a call. */
export interface ConnectionHolder {
  /** What this holder waited for is of no use any more. */
  readonly aborted: boolean
  holds(client: PooledClient): void
  returned(client: PooledClient): void
}

/**
 * Makes a pool of `pg` survive what happens to its connections. MikroORM calls this for each pool it makes
 * (`driverOptions.onPoolCreated`).
 *
 * Kysely never releases a connection that dies within a transaction (kysely#1990): after one crash of the server
 * the pool is used up, and every call hangs for ever. So a connection that ends while it is held is given back here,
 * and giving back twice, which `pg` punishes with a throw, does nothing.
 *
 * @param holder Who asks for a connection, read while it is asked for.
 */
export function guardPool(pool: ClientPool, holder: () => ConnectionHolder | undefined): void {
  const connect = pool.connect.bind(pool)
  pool.connect = (callback?: unknown): Promise<PooledClient> | undefined => {
    if (callback !== undefined) return connect(callback)
    const owner = holder()
    return connect()?.then((client) => guarded(client, owner))
  }
}

function guarded(client: PooledClient, owner: ConnectionHolder | undefined): PooledClient {
  // `pg` makes a new `release` each time a client is handed out, but `query` is the prototype's.
  const release = client.release.bind(client)
  let released = false
  let broken = false
  const onEnd = (): void => client.release(true)
  client.release = (destroy) => {
    if (released) return
    released = true
    client.removeListener('end', onEnd)
    Reflect.deleteProperty(client, 'query')
    owner?.returned(client)
    release(destroy ?? broken)
  }
  client.once('end', onEnd)
  const query = client.query.bind(client)
  client.query = (...args) => {
    const result = query(...args)
    // A cursor is no promise; what it does is its reader's to see.
    if (!(result instanceof Promise)) return result
    return result.catch((error: unknown) => {
      // The answer to a query that was given up may still come, and be taken for that of the next one.
      if (error instanceof Error && error.message === 'Query read timeout') broken = true
      // Cancelled because its caller is gone: Kysely, which nobody waits for, would print the error to the console.
      if (owner?.aborted === true && (error as { code?: unknown }).code === '57014')
        return { rows: [], rowCount: 0 }
      throw error
    })
  }
  owner?.holds(client)
  return client
}
