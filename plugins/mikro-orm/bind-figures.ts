/** What the plugin counts, in `core.stats.plugins['mikro-orm']`: by bind, the default one under `default`. */
export type DatabaseReport = Readonly<Record<string, BindReport>>

/** Numbers of one bind. All but those under `now` only ever grow. */
export interface BindReport {
  /** Sessions that have used the bind: one for each such call and each such `db.run`. */
  readonly sessions: number
  readonly queries: number
  /** Queries, begins and commits that failed, for whatever reason. */
  readonly failed: number
  /** Queries given up because the caller was gone, its time over, or the session at its end. */
  readonly cancelled: number
  /** PostgreSQL: queries given up because they took longer than a query may. */
  readonly timedOut: number
  /** SQLite: queries given up because another process had locked the file for too long. */
  readonly lockTimeouts: number
  /** SQLite: queries that had to wait because another process had locked the file. */
  readonly lockWaits: number
  /** Transactions rolled back because they were open when their session ended. */
  readonly rolledBack: number
  /** The connections, those to replicas included. PostgreSQL only: the other drivers do not tell. */
  readonly pool?: PoolReport
  readonly now: { readonly sessions: number }
}

/** Numbers of the connections of one bind. */
export interface PoolReport {
  readonly connected: number
  /** Attempts to connect that were refused or came to nothing. */
  readonly refused: number
  /** Connections that broke, or were given up because a query on them did not end. */
  readonly lost: number
  /** Waits for a connection that ended with none, because others held all of them. */
  readonly timedOut: number
  readonly now: {
    readonly connections: number
    readonly idle: number
    /** Who waits for one. */
    readonly waiting: number
  }
}

/** What is read of a pool of `pg`. */
export interface PoolGauge {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

/** Where one bind counts: numbers that are added to where something happens, and read when somebody asks. */
export class BindFigures {
  sessions = 0
  ended = 0
  queries = 0
  failed = 0
  cancelled = 0
  timedOut = 0
  lockTimeouts = 0
  lockWaits = 0
  rolledBack = 0
  readonly pool: { connected: number; refused: number; lost: number; timedOut: number } = {
    connected: 0,
    refused: 0,
    lost: 0,
    timedOut: 0,
  }
  /** Those that are guarded, for the bind and each of its replicas. */
  readonly pools: PoolGauge[] = []
  readonly #lost = new WeakSet()

  /** A connection has broken, or is to be given up. Whoever notices says so: each counts once. */
  connectionLost(client: object): void {
    if (this.#lost.has(client)) return
    this.#lost.add(client)
    this.pool.lost++
  }

  report(): BindReport {
    const { sessions, ended, queries, failed, cancelled, timedOut, lockTimeouts, lockWaits, rolledBack } =
      this
    return {
      sessions,
      queries,
      failed,
      cancelled,
      timedOut,
      lockTimeouts,
      lockWaits,
      rolledBack,
      ...(this.pools.length > 0 && { pool: this.#poolReport() }),
      now: { sessions: sessions - ended },
    }
  }

  #poolReport(): PoolReport {
    const now = { connections: 0, idle: 0, waiting: 0 }
    for (const { totalCount, idleCount, waitingCount } of this.pools) {
      now.connections += totalCount
      now.idle += idleCount
      now.waiting += waitingCount
    }
    return { ...this.pool, now }
  }
}
