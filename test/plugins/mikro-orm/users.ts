import type { EventEmitter } from 'node:events'
import { EntitySchema } from '@mikro-orm/core'
import { type Client, type Core, createCore, createLogger, type StatsReport } from 'zask'
import {
  type BindReport,
  type Database,
  type DatabaseReport,
  type DatabaseStats,
  mikroOrm,
  type MikroOrmOptions,
} from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { pause, plugin } from '../../support/cores.ts'
import type { PostgresServer } from '../../support/postgres.ts'

export interface User {
  id: number
  username: string
}
export const User: EntitySchema<User> = new EntitySchema<User>({
  name: 'User',
  properties: { id: { type: 'integer', primary: true }, username: { type: 'string', unique: true } },
})

/** The pool of `pg`, below MikroORM. */
export interface Pool extends EventEmitter {
  readonly totalCount: number
  readonly idleCount: number
}

/** What the plugin has counted. */
export function figures(core: { readonly stats: StatsReport }, bind = 'default'): BindReport {
  const report = core.stats.plugins['mikro-orm'] as DatabaseReport | undefined
  const found = report?.[bind]
  if (found === undefined) throw new Error(`there are no figures of the bind ${bind}`)
  return found
}

/** Connections that somebody holds. */
export async function inUse(db: Database): Promise<number> {
  const { totalCount, idleCount } = await poolOf(db)
  return totalCount - idleCount
}

export async function poolOf(db: Database): Promise<Pool> {
  return (await db.orm().em.getConnection().getNativeClient()) as Pool
}

export function select<T>(db: Database, sql: string): Promise<T[]> {
  return db.orm().em.getConnection().execute(sql) as Promise<T[]>
}

/** What other connections are doing in this database. */
export function activity(db: Database): Promise<{ state: string; query: string }[]> {
  return select(
    db,
    `select state, query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and backend_type = 'client backend' and state <> 'idle'`,
  )
}

export async function settled(db: Database): Promise<void> {
  while ((await inUse(db)) > 0) await pause(2)
}

export function usernames(db: Database): Promise<string[]> {
  return db.run(async () =>
    (await db.query(User).orderBy({ id: 'asc' }).all()).map(({ username }) => username),
  )
}

/** Methods that do to the database what methods do. */
export class Users {
  readonly #db: Database
  readonly entered: string[] = []
  readonly sleepSql: string = 'select pg_sleep(?)'

  constructor(db: Database) {
    this.#db = db
  }

  async add(username: string): Promise<void> {
    this.#db.em.create(User, { username })
    await this.#db.em.flush()
  }

  async find(id: number): Promise<string | undefined> {
    return (await this.#db.em.findOne(User, id))?.username
  }

  /** Leaves a transaction open. */
  async forget(username: string): Promise<void> {
    await this.#db.em.begin()
    await this.add(username)
  }

  async forgetAndThrow(username: string): Promise<void> {
    await this.forget(username)
    throw new RangeError('on purpose')
  }

  async sleep(seconds: number): Promise<void> {
    this.entered.push('sleep')
    await this.#db.em.getConnection().execute(this.sleepSql, [seconds])
  }

  async sleepInTransaction(username: string, seconds: number): Promise<void> {
    await this.#db.em.transactional(async (em) => {
      em.create(User, { username })
      await em.flush()
      this.entered.push('sleepInTransaction')
      await em.getConnection().execute(this.sleepSql, [seconds], 'all', em.getTransactionContext())
    })
  }

  /** Cares for nothing: neither for its signal nor for errors. */
  async ignore(username: string): Promise<void> {
    await this.forget(username)
    this.entered.push('ignore')
    const errors: unknown[] = []
    while (errors.length < 3) {
      await this.#db.em
        .getConnection()
        .execute('select pg_sleep(0.01)')
        .catch((error: unknown) => errors.push(error))
    }
  }

  async *stream(): AsyncGenerator<number> {
    await this.forget('streamed')
    for (let i = 0; ; i++) yield i
  }
}

/** The cores of one test file that serve `Users` on PostgreSQL, each on a database of its own. */
export class UserWorld {
  readonly cores: Core[] = []
  /** What the last one has logged. */
  lines: string[] = []
  /** What calls of the last one have asked of the database. */
  stats: { method: string; stats: DatabaseStats | undefined }[] = []
  #databases = 0

  async serve(
    on: PostgresServer,
    options: Partial<MikroOrmOptions> & { config?: object } = {},
  ): Promise<{ db: Database; client: Client<Users>; core: Core; users: Users }> {
    const { config, ...more } = options
    const db = mikroOrm({ entities: [User], ...more })
    const watching = plugin('watching', (core) => {
      core.hooks.afterCall.tap('watching', (call) => {
        if (call.side !== 'server') return
        this.stats.push({ method: call.method, stats: (call as { dbStats?: DatabaseStats }).dbStats })
      })
    })
    const core = createCore({ plugins: [watching, db] })
    this.cores.push(core)
    core.config.fromObject({
      DATABASE_URI: on.database(`zask_test_${process.pid}_${++this.#databases}`),
      DATABASE_POOL_SIZE: 5,
      DATABASE_POOL_TIMEOUT: 30,
      ...config,
    })
    this.lines = []
    this.stats = []
    core.setLogger(createLogger({ write: (line) => void this.lines.push(line) }))
    // By another: the limits under test are not for making databases.
    const maker = mikroOrm({ entities: [User] })
    await using making = createCore({ plugins: [maker] })
    making.config.fromObject({ DATABASE_URI: core.config.get('DATABASE_URI') })
    await maker.createAll()
    const users = new Users(db)
    const { client } = await testCore({ services: [users], core, client: { timeoutMs: 60_000 } })
    return { db, client, core, users }
  }

  async close(): Promise<void> {
    for (const core of this.cores.splice(0)) await core.stop()
  }
}
