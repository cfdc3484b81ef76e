import { EntityManager } from '@mikro-orm/core'
import { type Call, ZaskError } from '../../core/index.ts'
import type { ConnectionHolder, PooledClient } from './postgres-pool.ts'

/** What a call has asked of one bind. */
export interface BindStats {
  queries: number
  /** Milliseconds, summed over queries that may have run at the same time. */
  ms: number
  /** Queries given up because the caller was gone or its time over; missing while there are none. */
  cancelled?: number
}

/** By bind, the default one under `default`. Binds that were not asked are missing. */
export type DatabaseStats = Record<string, BindStats>

/** What a session asks of the plugin it belongs to. */
export interface SessionHost {
  /** Makes the entity manager of a bind; throws for an unknown one. */
  fork(bind: string, session: Session): EntityManager
  /** Whether to look for what was not flushed and for repeated queries. */
  readonly debug: boolean
  warn(session: Session, message: string): void
  /** A session that has used a bind is over. */
  ended(bind: string): void
  /** A transaction on a bind was open when its session ended. */
  leftOpen(bind: string): void
}

/** A transaction as the SQL drivers hand it around. */
export interface OpenTransaction {
  readonly savepointName?: string
  rollback(): { execute(): Promise<void> }
}

/** Where a transaction is open. */
interface TransactionPlace {
  readonly bind: string
  readonly manager: EntityManager
}

/** How long the end of a session waits for rollbacks, and then for queries that were cancelled. */
const patienceMs = 5_000

/** As many queries of one shape in one call look like a query in a loop. */
const repetitions = 10

/** Distinct shapes that are counted: a method that makes up SQL must not fill the memory. */
const shapesLimit = 200

/**
 * The database side of one call, or of one `db.run`: an entity manager per bind, made on first use, and all that must
 * be given back at the end.
 */
export class Session implements ConnectionHolder {
  readonly call: Call | undefined
  readonly stats: DatabaseStats = {}
  /** The outcome was an error: then what was not flushed is no surprise. */
  failed = false
  readonly #host: SessionHost
  readonly #outer: AbortSignal | undefined
  readonly #controller = new AbortController()
  readonly #managers = new Map<string, EntityManager>()
  readonly #transactions = new Map<OpenTransaction, TransactionPlace>()
  readonly #clients = new Set<PooledClient>()
  #shapes: Map<string, number> | undefined
  #forking = false
  #over = false

  constructor(host: SessionHost, call: Call | undefined, signal: AbortSignal | undefined) {
    this.#host = host
    this.call = call
    this.#outer = signal
    if (signal?.aborted === true) this.#controller.abort(signal.reason)
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Aborted when the call is: every query listens to it. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get aborted(): boolean {
    return this.#controller.signal.aborted
  }

  get over(): boolean {
    return this.#over
  }

  /** The entity manager of a bind. */
  manager(bind: string): EntityManager {
    const known = this.#managers.get(bind)
    if (known !== undefined) return known
    if (this.#over) throw sessionOver
    this.#forking = true
    try {
      const made = this.#host.fork(bind, this)
      this.#managers.set(bind, made)
      return made
    } finally {
      this.#forking = false
    }
  }

  /** As `manager`, for MikroORM's `context`, which is asked while a manager is being made, too. */
  context(bind: string): EntityManager | undefined {
    const known = this.#managers.get(bind)
    return known !== undefined || this.#forking || this.#over ? known : this.manager(bind)
  }

  // connections

  holds(client: PooledClient): void {
    // It was waited for longer than the session lasted.
    if (this.#over && this.#clients.size === 0) this.#destroyLater()
    this.#clients.add(client)
  }

  returned(client: PooledClient): void {
    this.#clients.delete(client)
  }

  // transactions

  /** @throws ZaskError `ZASK_DATABASE_NO_SESSION` once the session is over: nobody would end the transaction. */
  beforeBegin(): void {
    if (this.#over) throw sessionOver
  }

  async began(transaction: OpenTransaction, bind: string, manager: EntityManager): Promise<void> {
    if (transaction.savepointName !== undefined) return
    if (!this.#over) {
      this.#transactions.set(transaction, { bind, manager })
      return
    }
    this.#host.leftOpen(bind)
    await transaction.rollback().execute()
    throw sessionOver
  }

  ended(transaction: OpenTransaction): void {
    this.#transactions.delete(transaction)
  }

  // statistics

  queried(bind: string, sql: string, ms: number, failed: boolean): void {
    const stats = (this.stats[bind] ??= { queries: 0, ms: 0 })
    stats.queries++
    stats.ms += ms
    if (failed && this.aborted) stats.cancelled = (stats.cancelled ?? 0) + 1
    if (!this.#host.debug) return
    this.#shapes ??= new Map()
    const count = this.#shapes.get(sql)
    if (count !== undefined || this.#shapes.size < shapesLimit) this.#shapes.set(sql, (count ?? 0) + 1)
  }

  /**
   * Ends the session: aborts what still runs, rolls back what is open, drops what was not flushed. Never throws, and
   * is synchronous where nothing is open.
   */
  end(): Promise<void> | undefined {
    if (this.#over) return undefined
    if (this.#host.debug) this.#inspect()
    this.#over = true
    this.#outer?.removeEventListener('abort', this.#onAbort)
    this.#controller.abort(sessionOver)
    if (this.#transactions.size > 0) return this.#rollback().then(() => this.#close())
    this.#close()
    return undefined
  }

  readonly #onAbort = (): void => {
    this.#controller.abort(this.#outer?.reason)
  }

  async #rollback(): Promise<void> {
    const rollbacks = [...this.#transactions].map(async ([transaction, { bind, manager }]) => {
      this.#host.leftOpen(bind)
      try {
        // Of the connection, not of the manager: that of a running `transactional` is not ours.
        await manager.getConnection('write').rollback(transaction)
      } catch (error) {
        // A connection that is gone has rolled back by itself, and any other is closed further down.
        this.call?.log.debug({ err: error }, 'a transaction that was left open could not be rolled back')
      }
    })
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([Promise.all(rollbacks), patience])
    clearTimeout(timer)
    this.#transactions.clear()
  }

  #close(): void {
    for (const [bind, manager] of this.#managers) {
      manager.getUnitOfWork(false).clear()
      this.#host.ended(bind)
    }
    if (this.#clients.size > 0) this.#destroyLater()
  }

  /** A query that was cancelled gives its connection back in a moment; where it does not, the connection goes. */
  #destroyLater(): void {
    const destroy = (): void => {
      for (const client of this.#clients) client.release(true)
    }
    setTimeout(destroy, patienceMs).unref()
  }

  #inspect(): void {
    for (const [bind, manager] of this.#managers) {
      if (this.failed || this.aborted) break
      const names = unflushed(manager)
      if (names.length === 0) continue
      this.#host.warn(
        this,
        `the session of bind ${bind} ended with changes that were not flushed, and are lost: ${names.join(', ')}. ` +
          'Call db.em.flush() before the method returns',
      )
    }
    for (const [sql, count] of this.#shapes ?? []) {
      if (count < repetitions) continue
      this.#host.warn(
        this,
        `${count} queries of one shape in one call, which looks like a query in a loop (n+1): ${sql.slice(0, 300)}. ` +
          'Load them together, with populate or $in',
      )
    }
  }
}

/** Names of the entities with changes that no flush has taken, each once. */
function unflushed(manager: EntityManager): string[] {
  const work = manager.getUnitOfWork(false)
  // Read first: computing puts all that is loaded on the stack.
  let touched: object[] = [...work.getPersistStack(), ...work.getRemoveStack()]
  try {
    work.computeChangeSets()
    touched = work.getChangeSets().map(({ entity }) => entity as object)
  } catch {
    // What is not valid could not have been flushed; it is on the stacks.
  }
  return [...new Set(touched.map((entity) => entity.constructor.name))]
}

/** One for all: made at the end of each session, it would cost more than the rest. Frozen, or drivers write on it. */
const sessionOver: ZaskError = Object.freeze(
  new ZaskError(
    'ZASK_DATABASE_NO_SESSION',
    'The database session of this call has ended, and with it everything loaded in it. Do the work before the ' +
      'method returns, or open another session for it: db.run(async () => …)',
  ),
)
