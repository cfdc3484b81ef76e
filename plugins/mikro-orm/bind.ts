import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, EntityManager, MikroORM, Options, TransactionEventArgs } from '@mikro-orm/core'
import { ZaskError } from '../../core/index.ts'
import { BindFigures } from './bind-figures.ts'
import { connectionOptions, isUnavailable } from './connection-options.ts'
import { shownAddress } from './database-uri.ts'
import { type DatabaseTable, type DriverModule, loadDriver } from './driver.ts'
import { enclosingTransaction, remembering } from './nested-transactions.ts'
import { abortOf, sessionIn, watchQueries, type WatchHost } from './query-watch.ts'
import type { Session } from './session.ts'
import type { BindSettings } from './settings.ts'
import { createSqlLog, type SqlLogOptions } from './sql-log.ts'

/** What a bind asks of the plugin. */
export interface BindHost extends Omit<SqlLogOptions, 'bind'>, WatchHost {
  readonly root: string
  /** Options of MikroORM for all binds. */
  readonly orm: Partial<Options>
  readonly queryTimeoutMs: number | null
  readonly idleTransactionMs: number | null
  /** Looks at the entities that were found; throws for those that cannot be served. */
  discovered(
    bind: string,
    entities: Iterable<{ readonly class: object; readonly pivotTable?: boolean }>,
  ): void
}

/** What came of asking a database whether it is there. */
export type Ping =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly ms: number; readonly error: unknown }

/** What is found in a database, whoever made it. */
export interface ReflectedTable {
  readonly name: string
  readonly columns: readonly {
    readonly name: string
    /** As the database calls it: `varchar(80)`. */
    readonly type: string
    readonly nullable: boolean
    readonly primary: boolean
  }[]
}

/** One database: its ORM, and what is done with it outside of sessions. */
export class Bind {
  readonly settings: BindSettings
  readonly orm: MikroORM
  readonly figures: BindFigures
  readonly #driver: DriverModule
  readonly #cancels: boolean

  private constructor(settings: BindSettings, orm: MikroORM, driver: DriverModule, figures: BindFigures) {
    this.settings = settings
    this.orm = orm
    this.figures = figures
    this.#driver = driver
    this.#cancels = ['mysql', 'mariadb'].includes(settings.address.dialect)
  }

  /** Makes the ORM; connects to nothing. `id` makes the names of MikroORM's contexts unique in the process. */
  static async open(
    settings: BindSettings,
    entities: readonly object[],
    host: BindHost,
    id: string,
  ): Promise<Bind> {
    const { name, address } = settings
    const driver = await loadDriver(address.dialect)
    const figures = new BindFigures()
    const orm = await driver.MikroORM.init(ormOptions(settings, entities, host, figures, id))
    const bind = new Bind(settings, orm, driver, figures)
    const { connection, replicas } = orm.driver as unknown as {
      connection: Connection
      replicas: Connection[]
    }
    const watched = { name, figures, cancels: bind.#cancels }
    for (const one of [connection, ...replicas]) watchQueries(one, watched, host)
    return bind
  }

  /** The entity manager of a session. */
  fork(session: Session): EntityManager {
    const made = this.orm.em.fork({
      disableContextResolution: true,
      // Within `transactional` it must be that of the transaction.
      useContext: true,
      ...abortOf(session, this.#cancels),
      // Nested forks inherit it, so that each query and transaction finds its session. A function is not copied.
      loggerContext: { session: () => session },
    })
    this.figures.sessions++
    return remembering(made)
  }

  /**
   * Waits until the database answers, at most `withinMs`.
   *
   * @throws ZaskError `ZASK_DATABASE_UNREACHABLE`, without the password.
   */
  async connect(withinMs: number): Promise<void> {
    const startedAt = performance.now()
    for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      const ping = await this.ping()
      if (ping.ok) break
      const spentMs = performance.now() - startedAt
      if (!isUnavailable(ping.error) || spentMs + pauseMs > withinMs)
        throw this.#unreachable(ping.error, spentMs)
      await sleep(pauseMs)
    }
    const { dialect, dbName } = this.settings.address
    // Readers and a writer in other processes then do not lock each other out. A read-only file stays what it is.
    if (dialect === 'sqlite' && dbName !== ':memory:') {
      await this.orm.em
        .getConnection()
        .execute('pragma journal_mode = wal')
        .catch(() => undefined)
    }
  }

  async ping(): Promise<Ping> {
    const startedAt = performance.now()
    try {
      await this.orm.em.getConnection('write').execute('select 1')
      return { ok: true, ms: performance.now() - startedAt }
    } catch (error) {
      return { ok: false, ms: performance.now() - startedAt, error }
    }
  }

  /** Where the database is, without the password. */
  get shown(): string {
    return shownAddress(this.settings.address)
  }

  /**
   * Makes the tables that are missing, as `create_all` does, and the database, where the server has none. Resolves to
   * the names of the tables.
   */
  async createAll(): Promise<string[]> {
    await this.orm.schema.ensureDatabase()
    const options = this.orm.config.get('schemaGenerator') as { skipTables?: (string | RegExp)[] }
    const skipped = options.skipTables
    try {
      const there = await this.tables()
      options.skipTables = [...(skipped ?? []), ...there]
      const sql = await this.orm.schema.getCreateSchemaSQL()
      if (sql.trim() !== '') await this.orm.schema.execute(sql)
      return this.ownTables.filter((name) => !there.has(name))
    } finally {
      if (skipped === undefined) delete options.skipTables
      else options.skipTables = skipped
    }
  }

  /** Drops the tables of this bind's entities, and that of its migrations where told to; resolves to their names. */
  async dropAll({ migrations = false }: { migrations?: boolean } = {}): Promise<string[]> {
    const there = await this.tables()
    await this.orm.schema.drop({ dropMigrationsTable: migrations })
    return this.ownTables.filter((name) => there.has(name))
  }

  /** An error of this bind, for whoever runs a command: with a code, and told from an outage. */
  async explained(error: unknown): Promise<ZaskError> {
    if (error instanceof ZaskError) return error
    const ping = await this.ping()
    if (!ping.ok) return this.#unreachable(ping.error, ping.ms)
    const text = `Bind ${this.settings.name}: ${reason(error)}`
    return new ZaskError('ZASK_DATABASE_FAILED', text, { cause: error })
  }

  /** Names of the tables that are there. */
  async tables(): Promise<Set<string>> {
    return new Set((await this.reflect()).map(({ name }) => name))
  }

  /** Names of the tables of its entities. */
  get ownTables(): string[] {
    const found = [...this.orm.getMetadata().getAll().values()]
    return found.flatMap(({ tableName, embeddable, abstract, virtual }) =>
      tableName && !embeddable && !abstract && !virtual ? [tableName] : [],
    )
  }

  async reflect(): Promise<ReflectedTable[]> {
    const connection = this.orm.em.getConnection()
    const found = await this.#driver.DatabaseSchema.create(
      connection,
      this.orm.em.getPlatform(),
      this.orm.config,
    )
    return found.getTables().map(describeTable)
  }

  /** What a connection threw, as the entity manager would have thrown it. */
  converted(error: Error): Error {
    return this.orm.em.getPlatform().getExceptionConverter().convertException(error)
  }

  close(): Promise<void> {
    return this.orm.close()
  }

  #unreachable(cause: unknown, spentMs: number): ZaskError {
    const { name, key, address } = this.settings
    return new ZaskError(
      'ZASK_DATABASE_UNREACHABLE',
      `The database of bind ${name}, ${shownAddress(address)}, did not let us in within ` +
        `${(spentMs / 1000).toFixed(1)} s: ${reason(cause)}. Start it, or correct ${key}.`,
      { cause, retryable: true, details: { bind: name } },
    )
  }
}

function ormOptions(
  settings: BindSettings,
  entities: readonly object[],
  host: BindHost,
  figures: BindFigures,
  id: string,
): Partial<Options> {
  const { name, orm } = settings
  const folder = (of: string): string => (name === 'default' ? of : `${of}/${name}`)
  const own = { ...host.orm, ...orm }
  const sessionOf = (args: TransactionEventArgs): Session | undefined =>
    sessionIn(args.em.getLoggerContext({ disableContextResolution: true })) ?? host.current()
  const transactions = {
    beforeTransactionStart: (args: TransactionEventArgs) => sessionOf(args)?.beforeBegin(),
    afterTransactionStart: (args: TransactionEventArgs) =>
      sessionOf(args)?.began(args.transaction, name, args.em),
    afterTransactionCommit: (args: TransactionEventArgs) => sessionOf(args)?.ended(args.transaction),
    afterTransactionRollback: (args: TransactionEventArgs) => sessionOf(args)?.ended(args.transaction),
  }
  return {
    baseDir: host.root,
    // A service should not make databases by starting; createAll does.
    ensureDatabase: false,
    // Not 'auto': outside of a transaction a query would commit, half done, what the method has not flushed.
    flushMode: 'commit',
    ...own,
    ...connectionOptions(settings, own, host, figures),
    migrations: { path: folder('migrations'), ...own.migrations },
    seeder: { path: folder('seeders'), ...own.seeder },
    schemaGenerator: { ...own.schemaGenerator },
    entities: entities as Options['entities'] as never,
    subscribers: [transactions, ...(own.subscribers ?? [])],
    contextName: `${name}#${id}`,
    context: (contextName) => enclosingTransaction(contextName) ?? host.current()?.context(name),
    loggerFactory: () => createSqlLog({ ...host, bind: name }),
    discovery: {
      warnWhenNoEntities: false,
      ...own.discovery,
      async afterDiscovered(storage, platform) {
        host.discovered(name, [...storage.getAll().values()])
        await own.discovery?.afterDiscovered?.(storage, platform)
      },
    },
  }
}

function describeTable(table: DatabaseTable): ReflectedTable {
  return {
    name: table.name,
    columns: table.getColumns().map(({ name, type, nullable, primary }) => ({
      name,
      type,
      nullable: nullable === true,
      primary: primary === true,
    })),
  }
}

/** `AggregateError`, which is what a refused `localhost` gives, has an empty message. */
export function reason(error: unknown): string {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: readonly Error[] }
  return message || errors?.[0]?.message || code || 'no reason was given'
}
