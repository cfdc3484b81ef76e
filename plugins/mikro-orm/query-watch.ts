import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '@mikro-orm/core'
import type { BindFigures } from './bind-figures.ts'
import { isBusy } from './connection-options.ts'
import type { Session } from './session.ts'

/** What the watch over a connection tells, and asks. */
export interface WatchHost {
  /** The session that the running code belongs to. */
  current(): Session | undefined
  /** A connection of a bind has thrown this, and whoever waited for it gets it. */
  threw(error: unknown, bind: string): void
}

/** The bind that a connection is of. */
export interface WatchedBind {
  readonly name: string
  readonly figures: BindFigures
  /** Whether Kysely is to cancel a query that was aborted. */
  readonly cancels: boolean
}

/** How long a statement waits for another process that has locked the SQLite file, as SQLite itself would. */
const busyTimeoutMs = 5_000
/** How long it waits before it tries again for the first time; then twice as long, up to `longestPauseMs`. */
const firstPauseMs = 5
const longestPauseMs = 80

/** What MikroORM runs statements with, on connections of SQL drivers. */
interface Watched {
  execute(
    sql: unknown,
    params?: unknown,
    method?: unknown,
    transaction?: unknown,
    context?: QueryContext,
  ): Promise<unknown>
  executeQuery(sql: string, run: () => Promise<unknown>, context?: QueryContext): Promise<unknown>
  begin(...args: unknown[]): Promise<unknown>
  commit(...args: unknown[]): Promise<unknown>
}

/** What MikroORM passes down with a statement: for its logger, and how to abort it. */
interface QueryContext {
  readonly session?: unknown
  readonly signal?: AbortSignal
}

/**
 * Counts the statements of a connection, for its bind and for the session they belong to, and ends those that were
 * given to the connection itself, `em.getConnection().execute(sql)`, with the session, too. MikroORM's own log of
 * statements knows whole milliseconds only, and is not asked where it is off.
 */
export function watchQueries(connection: Connection, bind: WatchedBind, host: WatchHost): void {
  const { name: bindName, figures, cancels } = bind
  const watched = connection as unknown as Watched
  const execute = watched.execute.bind(watched)
  const executeQuery = watched.executeQuery.bind(watched)
  watched.execute = (sql, params, method, transaction, context) => {
    const session = context?.session === undefined ? host.current() : undefined
    return execute(
      sql,
      params,
      method,
      transaction,
      session ? { ...abortOf(session, cancels), session: () => session, ...context } : context,
    )
  }
  watched.executeQuery = async (sql, run, context) => {
    const session = sessionIn(context) ?? host.current()
    const startedAt = performance.now()
    let failed = true
    try {
      const result = await executeQuery(sql, () => patiently(run, session?.signal, figures), context)
      failed = false
      return result
    } catch (error) {
      figures.failed++
      // Of an aborted session it is the reason of the abort, which is the caller's or the method's own.
      if (session?.aborted === true) figures.cancelled++
      else host.threw(error, bindName)
      throw error
    } finally {
      figures.queries++
      session?.queried(bindName, sql, performance.now() - startedAt, failed)
    }
  }
  // MikroORM hands on what these throw as it comes from the driver.
  for (const name of ['begin', 'commit'] as const) {
    const run = watched[name].bind(watched)
    watched[name] = async (...args) => {
      try {
        return await run(...args)
      } catch (error) {
        figures.failed++
        if (isBusy(error)) figures.lockTimeouts++
        if (host.current()?.aborted === true) figures.cancelled++
        else host.threw(error, bindName)
        throw error
      }
    }
  }
}

/**
 * Kysely tells MySQL of an abort. PostgreSQL is told by the guard of its pool: Kysely's way may hit the next query on
 * the connection. On SQLite a statement that runs cannot be stopped.
 */
export function abortOf(
  session: Session,
  cancels: boolean,
): { signal: AbortSignal; inflightQueryAbortStrategy?: 'cancel query' } {
  return { signal: session.signal, ...(cancels && { inflightQueryAbortStrategy: 'cancel query' }) }
}

/** Tries again while another process has the SQLite file locked; SQLite's own way is to block the event loop. */
async function patiently(
  run: () => Promise<unknown>,
  signal: AbortSignal | undefined,
  figures: BindFigures,
): Promise<unknown> {
  const startedAt = performance.now()
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await run()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (pauseMs === firstPauseMs) figures.lockWaits++
      if (performance.now() - startedAt > busyTimeoutMs) {
        figures.lockTimeouts++
        throw error
      }
      await sleep(pauseMs, undefined, { ...(signal && { signal }) }).catch(() => {
        throw signal?.reason
      })
    }
  }
}

export function sessionIn(context: { readonly session?: unknown } | undefined): Session | undefined {
  const session = context?.session
  return typeof session === 'function' ? (session as () => Session)() : undefined
}
