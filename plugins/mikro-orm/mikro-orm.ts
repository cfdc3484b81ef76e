import type { EntityName, EntityRepository, GetRepository, MikroORM, Options } from '@mikro-orm/core'
import type { Plugin } from '../../core/index.ts'
import type { Ping, ReflectedTable } from './bind.ts'
import type { DatabaseReport } from './bind-figures.ts'
import type { DatabaseAdds, SessionManager } from './call-database.ts'
import { LiveDatabase } from './database.ts'
import type { Query } from './query.ts'
import type { DatabaseConfig } from './settings.ts'

export interface MikroOrmOptions {
  /** All entities of all binds: schemas and classes. Those without a bind key belong to the default bind. */
  entities: readonly object[]
  /** Options of MikroORM for all binds. */
  orm?: Partial<Options>
  /** Options of MikroORM for one bind, by its name; the default one is `default`. */
  binds?: Readonly<Record<string, Partial<Options>>>
  /**
   * Milliseconds that a start waits for the databases to answer; below the core's `hookTimeoutMs`. Null: it does not
   * look whether they are there. Default: 8,000.
   */
  connectTimeoutMs?: number | null
  /**
   * PostgreSQL: milliseconds a statement may take, whoever waits for it; null: any time. Config
   * `DATABASE_QUERY_TIMEOUT` wins. Default: 60,000.
   */
  queryTimeoutMs?: number | null
  /**
   * PostgreSQL: milliseconds a transaction may do nothing, null: any time. Config
   * `DATABASE_IDLE_TRANSACTION_TIMEOUT` wins. Default: 60,000.
   */
  idleTransactionMs?: number | null
}

/** A name, several, `null` for the default bind, or `'__all__'`. Default: all. */
export interface BindChoice {
  readonly bind?: string | null | readonly (string | null)[]
}

export interface DatabaseShape {
  adds: DatabaseAdds
  config: DatabaseConfig
  stats: { 'mikro-orm': DatabaseReport }
}

/** The plugin, and the handle of the databases. */
export interface Database extends Plugin<DatabaseShape> {
  /**
   * The entity manager of the current session: that of the call, or of `run`. `db.em('users')` is that of a bind.
   * Errors: `ZASK_DATABASE_NO_SESSION` where there is none, `ZASK_DATABASE_BIND` for an unknown bind.
   */
  readonly em: SessionManager
  /** The current session's repository of an entity, in the bind of the entity. */
  repo<T extends object, R extends EntityRepository<T> = EntityRepository<T>>(
    entity: EntityName<T>,
  ): GetRepository<T, R>
  /** Finders in the manner of Flask-SQLAlchemy's `Model.query`, in the bind of the entity. */
  query<T extends object>(entity: EntityName<T>): Query<T>
  /**
   * Runs a function with a session of its own, outside of calls, or beside the session of one. At its end what is not
   * flushed is dropped and open transactions are rolled back.
   */
  run<T>(work: () => T | PromiseLike<T>, options?: { signal?: AbortSignal }): Promise<T>
  /** MikroORM itself, of a bind; its `em` is that of the current session. */
  orm(bind?: string | null): MikroORM
  /** Makes the tables that are missing, and the database, where it is missing. Changes nothing that is there. */
  createAll(choice?: BindChoice): Promise<void>
  /** Drops the tables of the binds' entities, and no others. */
  dropAll(choice?: BindChoice): Promise<void>
  /** The tables that are there, by bind, the default one under `default`. */
  reflect(choice?: BindChoice): Promise<Record<string, ReflectedTable[]>>
  /** Asks a database whether it is there. Never throws for one that is not. */
  ping(bind?: string | null): Promise<Ping>
  /** MikroORM's migrator of a bind; needs `@mikro-orm/migrations`. */
  migrator(bind?: string | null): Promise<MikroORM['migrator']>
  /** MikroORM's seeder of a bind; needs `@mikro-orm/seeder`. */
  seeder(bind?: string | null): Promise<MikroORM['seeder']>
  /** Closes all connections. The core does it when it has stopped. */
  close(): Promise<void>
}

/**
 * Databases by MikroORM: any number of binds, and for each call one session per bind it uses, which ends with the
 * call, however that ends.
 *
 * Errors at the start: `ZASK_DATABASE_URI`, `_BIND`, `_DRIVER_MISSING`, `_RELATION`, `_UNREACHABLE`.
 */
export function mikroOrm(options: MikroOrmOptions): Database {
  return new LiveDatabase(options)
}
