import type { EventEmitter } from 'node:events'
import { defineEntity, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { type Core, createCore, createLogger } from 'zask'
import { type Database, type DatabaseStats, mikroOrm, type MikroOrmOptions } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { failure, pause, plugin, until } from '../../support/cores.ts'
import { PostgresServer } from '../../support/postgres.ts'

const User = defineEntity({
  name: 'User',
  properties: { id: p.integer().primary(), username: p.string().unique() },
})

/** The pool of `pg`, below MikroORM. */
interface Pool {
  readonly totalCount: number
  readonly idleCount: number
}

/** Connections that somebody holds. */
async function inUse(db: Database): Promise<number> {
  const { totalCount, idleCount } = (await db.orm().em.getConnection().getNativeClient()) as Pool
  return totalCount - idleCount
}

function select<T>(db: Database, sql: string): Promise<T[]> {
  return db.orm().em.getConnection().execute(sql) as Promise<T[]>
}

function silent(): void {}

/** What other connections are doing in this database. */
function activity(db: Database): Promise<{ state: string; query: string }[]> {
  return select(
    db,
    `select state, query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and backend_type = 'client backend' and state <> 'idle'`,
  )
}

async function settled(db: Database): Promise<void> {
  while ((await inUse(db)) > 0) await pause(2)
}

function usernames(db: Database): Promise<string[]> {
  return db.run(async () =>
    (await db.query(User).orderBy({ id: 'asc' }).all()).map(({ username }) => username),
  )
}

/** Methods that do to the database what methods do. */
class Users {
  readonly #db: Database
  readonly entered: string[] = []

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
    await this.#db.em.getConnection().execute('select pg_sleep(?)', [seconds])
  }

  async sleepInTransaction(username: string, seconds: number): Promise<void> {
    await this.#db.em.transactional(async (em) => {
      em.create(User, { username })
      await em.flush()
      this.entered.push('sleepInTransaction')
      await em.getConnection().execute('select pg_sleep(?)', [seconds], 'all', em.getTransactionContext())
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

describe('mikroOrm on PostgreSQL', function () {
  this.timeout(30_000)

  const cores: Core[] = []
  let server: PostgresServer
  let databases = 0
  let lines: string[]
  let stats: { method: string; stats: DatabaseStats | undefined }[]

  before(async () => {
    server = await PostgresServer.start()
  })
  afterEach(async () => {
    for (const core of cores.splice(0)) await core.stop()
  })
  after(async () => {
    await server.stop()
  })

  async function serve(options: Partial<MikroOrmOptions> & { config?: object; on?: PostgresServer } = {}) {
    const { config, on = server, ...more } = options
    const db = mikroOrm({ entities: [User], ...more })
    const watching = plugin('watching', (core) => {
      core.hooks.afterCall.tap('watching', (call) => {
        if (call.side !== 'server') return
        stats.push({ method: call.method, stats: (call as { dbStats?: DatabaseStats }).dbStats })
      })
    })
    const core = createCore({ plugins: [watching, db] })
    cores.push(core)
    core.config.fromObject({
      DATABASE_URI: on.database(`zask_test_${process.pid}_${++databases}`),
      DATABASE_POOL_SIZE: 5,
      DATABASE_POOL_TIMEOUT: 5,
      ...config,
    })
    lines = []
    stats = []
    core.setLogger(createLogger({ write: (line) => void lines.push(line) }))
    // By another: the limits under test are not for making databases.
    const maker = mikroOrm({ entities: [User] })
    await using making = createCore({ plugins: [maker] })
    making.config.fromObject({ DATABASE_URI: core.config.get('DATABASE_URI') })
    await maker.createAll()
    const users = new Users(db)
    const { client } = await testCore({ services: [users], core, client: { timeoutMs: 10_000 } })
    return { db, client, core, users }
  }

  it('reads and writes', async () => {
    const { db, client } = await serve()
    await client.add('admin')
    expect(await client.find(1)).to.equal('admin')
    expect(await client.find(2)).to.equal(null)
    expect(await db.ping()).to.include({ ok: true })
    expect(lines).to.deep.equal([])
  })

  it('gives back connections and rolls back what was left open, more often than there are connections', async () => {
    const { db, client } = await serve()
    const calls = Array.from({ length: 24 }, (_, i) =>
      i % 2 === 0 ? client.forget(`lost ${i}`) : failure(client.forgetAndThrow(`lost ${i}`)),
    )
    await Promise.all(calls)
    await settled(db)
    expect(await activity(db)).to.deep.equal([])
    expect(await usernames(db)).to.deep.equal([])
    for await (const item of client.stream()) if (item === 2) break
    await settled(db)
    expect(await usernames(db)).to.deep.equal([])
  })

  it('stops a query of 10 s on the server within 100 ms when its caller gives up, and counts it as cancelled', async () => {
    const { db, client, users } = await serve()
    const took: number[] = []
    for (let round = 0; round < 7; round++) {
      const caller = new AbortController()
      const call = failure(client.$with({ signal: caller.signal }).sleep(10))
      await until(() => users.entered.length > round)
      while ((await activity(db)).length === 0) await pause(2)
      if (round === 0) await pause(200)
      const abortedAt = performance.now()
      caller.abort()
      while ((await activity(db)).length > 0) await pause(2)
      took.push(performance.now() - abortedAt)
      await call
    }
    took.sort((a, b) => a - b)
    // What the machine allows shows in the best; the median is for one that has nine other things to do.
    expect(took[0]).to.be.lessThan(100)
    expect(took[3]).to.be.lessThan(1_000)
    await until(() => stats.length === 7)
    for (const one of stats) expect(one).to.have.nested.property('stats.default.cancelled', 1)
    await settled(db)
    expect(lines).to.deep.equal([])
    expect(await select(db, 'select 1 as one')).to.deep.equal([{ one: 1 }])
  })

  it('stops a query whose cancellation overtakes it', async () => {
    const { db } = await serve()
    let destroyed = 0
    const pool = (await db.orm().em.getConnection().getNativeClient()) as EventEmitter
    pool.on('remove', () => destroyed++)
    for (let i = 0; i < 50; i++) {
      const stop = new AbortController()
      // Then the query is on its way, and the two race each other on two connections.
      pool.once('acquire', () => setImmediate(() => stop.abort(new Error('enough'))))
      const query = db.run(() => select(db, 'select pg_sleep(30)'), { signal: stop.signal })
      expect(await failure(query)).to.include({ message: 'enough' })
    }
    await settled(db)
    // A query that goes on takes its connection with it.
    expect(destroyed).to.equal(0)
    expect(await activity(db)).to.deep.equal([])
    expect(lines).to.deep.equal([])
  })

  it('stops a query when the time of its call is over, also within a transaction, which is rolled back', async () => {
    const { db, client } = await serve()
    const error = await failure(client.$with({ timeoutMs: 200 }).sleepInTransaction('lost', 10))
    expect(error).to.include({ code: 'ZASK_CALL_TIMEOUT' })
    while ((await activity(db)).length > 0) await pause(5)
    await settled(db)
    expect(await usernames(db)).to.deep.equal([])
  })

  it('ends the session of a method that goes on after its caller has gone', async () => {
    const { db, client, users } = await serve()
    const caller = new AbortController()
    const call = failure(client.$with({ signal: caller.signal }).ignore('lost'))
    await until(() => users.entered.length > 0)
    caller.abort()
    await call
    await settled(db)
    expect(await usernames(db)).to.deep.equal([])
  })

  it('refuses a call whose turn at the pool does not come in time', async () => {
    const { client, db, users } = await serve({ config: { DATABASE_POOL_SIZE: 1, DATABASE_POOL_TIMEOUT: 1 } })
    const first = client.sleep(2)
    await until(() => users.entered.length > 0)
    const error = await failure(client.find(1))
    expect(error).to.include({ remoteName: 'ConnectionException', retryable: true })
    expect(lines.join('')).to.match(/timeout exceeded when trying to connect/)
    await first
    await settled(db)
    expect(await client.find(1)).to.equal(null)
  })

  it('gives up a query that takes too long, and does not use its connection again', async () => {
    const { client, db } = await serve({ queryTimeoutMs: 1_000, config: { DATABASE_POOL_SIZE: 1 } })
    expect((await failure(client.sleep(30))).message).to.match(/^The database did not answer\./)
    expect(lines.join('')).to.match(/Query read timeout/)
    expect(await client.find(1)).to.equal(null)
    await settled(db)
  })

  it('survives a connection that dies within a transaction, one after another', async () => {
    const { client, db, users } = await serve({ config: { DATABASE_POOL_SIZE: 2 } })
    for (let i = 0; i < 4; i++) {
      const call = failure(client.sleepInTransaction(`lost ${i}`, 10))
      await until(() => users.entered.length > i)
      let killed = 0
      while (killed === 0) {
        const sql = `select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'
          and pid <> pg_backend_pid() and datname = current_database() and state = 'active'`
        killed = (await select(db, sql)).length
      }
      await call
    }
    await settled(db)
    expect(await usernames(db)).to.deep.equal([])
  })

  describe('whose server goes down under load', () => {
    let own: PostgresServer
    before(async () => {
      own = await PostgresServer.start({ own: true })
    })
    after(async () => {
      await own.stop()
    })

    for (const how of ['fast', 'immediate'] as const) {
      it(`fails the calls of that time and no others after it (${how})`, async () => {
        const { client, db } = await serve({ on: own, config: { DATABASE_POOL_SIZE: 4 } })
        await client.add('admin')
        const seen = { answered: 0, failed: 0 }
        const load = { stopped: false }
        const worker = async (mine: number): Promise<void> => {
          for (let i = 0; !load.stopped; i++) {
            const call =
              mine % 2 === 0 ? client.find(1) : client.sleepInTransaction(`w${mine}-${i}-${how}`, 0.01)
            await call.then(
              () => seen.answered++,
              () => seen.failed++,
            )
          }
        }
        const workers = Array.from({ length: 10 }, (_, i) => worker(i))
        for (let round = 0; round < 2; round++) {
          await until(() => seen.answered > 20 * (round + 1))
          const { failed } = seen
          await own.down(how)
          await until(() => seen.failed > failed + 5)
          expect(await db.ping()).to.include({ ok: false })
          await own.up()
          // Those that were on their way while it came up may still fail.
          while (!(await db.ping()).ok) await pause(10)
          const { answered } = seen
          await until(() => seen.answered > answered + 20)
        }
        load.stopped = true
        await Promise.all(workers)
        const { failed } = seen
        await Promise.all(Array.from({ length: 20 }, () => client.find(1)))
        expect(seen.failed).to.equal(failed)
        await settled(db)
      })
    }

    it('waits at the start for a server that comes up', async () => {
      const db = mikroOrm({ entities: [User] })
      const core = createCore({ plugins: [db] })
      cores.push(core)
      core.config.fromObject({ DATABASE_URI: own.uri })
      await own.down('fast')
      const start = core.start({ ping: () => 1 }, { bind: 'inproc://zask-late-postgres', signals: false })
      await pause(200)
      await own.up()
      await start
    })
  })

  const start = async (DATABASE_URI: string, connectTimeoutMs: number) => {
    const core = createCore({ plugins: [mikroOrm({ entities: [], connectTimeoutMs })] })
    cores.push(core)
    core.config.fromObject({ DATABASE_URI })
    return failure(core.start({ ping: () => 1 }, { bind: 'inproc://zask-no-postgres', signals: false }))
  }

  it('says at the start what it could not reach, without the password', async () => {
    const refused = await start('postgresql://shop:hunter2@127.0.0.1:1/shop', 150)
    expect(refused.message).to.match(
      /bind default, postgresql:\/\/shop:\*\*\*@127\.0\.0\.1:1\/shop, did not let us in.*ECONNREFUSED.*correct DATABASE_URI/,
    )
    expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).to.not.contain('hunter2')
    // A database that is not there will not be there in a moment.
    const missing = await start(server.database('zask_no_such_database'), 8_000)
    expect(missing.message).to.match(/database "zask_no_such_database" does not exist/)
  })

  it('logs SQL with its bind, time, call and parameters where DATABASE_ECHO says so, and no secrets', async () => {
    const records: [fields: Record<string, unknown>, message: string][] = []
    const { client, core } = await serve({ config: { DATABASE_ECHO: true } })
    const logger = (bound: object): ReturnType<typeof createLogger> => {
      const info = (fields: object, message: string): void =>
        void records.push([{ ...bound, ...fields }, message])
      return {
        trace: silent,
        debug: silent,
        info: info,
        warn: silent,
        error: silent,
        fatal: silent,
        child: (fields) => logger({ ...bound, ...fields }),
      }
    }
    core.setLogger(logger({}))
    await client.add('admin')
    const [fields, sql] = records.find(([, message]) => message.startsWith('insert')) ?? []
    expect(sql).to.match(/^insert into "user" \("username"\) values \(\?\)/)
    expect(fields).to.deep.include({ bind: 'default', params: ['admin'], method: 'add' })
    expect(fields).to.have.property('ms').that.is.a('number')
  })
})
