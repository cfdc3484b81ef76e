import { expect } from 'chai'
import { type Client, createCore } from 'zask'
import { type Database, mikroOrm } from 'zask/plugins/mikro-orm'
import { type Failure, pause, until } from '../../support/cores.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { activity, poolOf, select, settled, User, usernames, type Users, UserWorld } from './users.ts'

const workers = 20
const poolSize = 10

/** Twenty that call and call again, on a pool of ten. */
class Load {
  answered = 0
  readonly failures: Failure[] = []
  readonly #running: Promise<unknown>
  #stopped = false

  constructor(client: Client<Users>) {
    const worker = async (mine: number): Promise<void> => {
      for (let i = 0; !this.#stopped; i++) {
        try {
          await (mine % 2 === 0
            ? client.find(1)
            : client.sleepInTransaction(`w${mine}-${i}-${Math.random()}`, 0.01))
          this.answered++
        } catch (error) {
          this.failures.push(error as Failure)
          await pause(20)
        }
      }
    }
    this.#running = Promise.all(Array.from({ length: workers }, (_, mine) => worker(mine)))
  }

  /** Resolves when as many calls have been answered from now on. */
  async answers(count: number): Promise<void> {
    const { answered } = this
    await until(() => this.answered >= answered + count)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
}

describe('mikroOrm under faults of PostgreSQL', function () {
  this.timeout(120_000)

  const world = new UserWorld()
  let server: PostgresServer
  const loads: Load[] = []

  before(async () => {
    server = await PostgresServer.start({ own: true, connections: 24 })
  })
  afterEach(async () => {
    await Promise.all(loads.splice(0).map((load) => load.stop()))
    await world.close()
  })
  after(async () => {
    await server.stop()
  })

  async function begin(options: Parameters<UserWorld['serve']>[1] = {}) {
    const config = { DATABASE_POOL_SIZE: poolSize, ...options.config }
    const made = await world.serve(server, { ...options, config })
    await made.client.add('admin')
    const load = new Load(made.client)
    loads.push(load)
    await load.answers(40)
    return { ...made, load }
  }

  /** The pool is whole, nothing is held or open, and no call fails any more. */
  async function recovered(db: Database, client: Client<Users>, load: Load): Promise<void> {
    await load.answers(40)
    const failed = load.failures.length
    await load.answers(100)
    expect(load.failures.length).to.equal(failed)
    await load.stop()
    await Promise.all(Array.from({ length: workers }, () => client.sleep(0.2)))
    await settled(db)
    expect(await poolOf(db)).to.include({ totalCount: poolSize, idleCount: poolSize })
    expect(await activity(db)).to.deep.equal([])
    // Each has a code, and the name of a class that tells an outage from a mistake.
    for (const error of load.failures) {
      expect(error, error.message).to.include({ code: 'ZASK_DATABASE_FAILED', retryable: true })
      expect(error.remoteName).to.equal('ConnectionException')
    }
  }

  for (const how of ['fast', 'immediate'] as const) {
    it(`survives a server that is stopped and started, twice (${how})`, async () => {
      const { client, db, load } = await begin()
      for (let round = 0; round < 2; round++) {
        const { length } = load.failures
        await server.down(how)
        await until(() => load.failures.length > length + workers)
        expect(await db.ping()).to.include({ ok: false })
        await server.up()
        const upAt = performance.now()
        await load.answers(1)
        // Measured under a load of 20 on two processors: 50 to 220 ms.
        expect(performance.now() - upAt).to.be.lessThan(20_000)
      }
      await recovered(db, client, load)
    })
  }

  it('survives connections that are cut: within a transaction, within a query, and idle', async () => {
    const { client, db, load } = await begin()
    const cut = async (which: string): Promise<number> => {
      const sql = `select pg_terminate_backend(pid) from pg_stat_activity where ${which}
        and pid <> pg_backend_pid() and datname = current_database() limit 3`
      return (await select(db, sql)).length
    }
    let killed = 0
    for (const which of [
      `state = 'active' and query like 'select pg_sleep%'`,
      `state like 'idle in transaction%'`,
      `state = 'idle'`,
    ]) {
      let found = 0
      while (found === 0) found = await cut(which)
      killed += found
      await load.answers(20)
    }
    await recovered(db, client, load)
    expect(load.failures.length).to.be.at.most(killed)
  })

  it('survives backends that hang: their calls fail when the time of a query is over, others go on', async () => {
    const { client, db, load } = await begin({ queryTimeoutMs: 1_000 })
    const backends = await select<{ pid: number }>(
      db,
      `select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'`,
    )
    const tell = (signal: NodeJS.Signals): void => {
      for (const { pid } of backends) {
        try {
          process.kill(pid, signal)
        } catch {
          // It has ended meanwhile.
        }
      }
    }
    tell('SIGSTOP')
    try {
      const stoppedAt = performance.now()
      await until(() => load.failures.length > 0)
      await load.answers(20)
      expect(performance.now() - stoppedAt).to.be.within(900, 50_000)
    } finally {
      tell('SIGCONT')
    }
    await recovered(db, client, load)
  })

  it('says that the server takes no more connections, and goes on when it does', async () => {
    const hog = mikroOrm({ entities: [] })
    await using core = createCore({ plugins: [hog] })
    core.config.fromObject({ DATABASE_URI: server.uri, DATABASE_POOL_SIZE: 40 })
    const { client, db } = await world.serve(server, { config: { DATABASE_POOL_SIZE: poolSize } })
    await client.add('admin')
    const enough = Promise.withResolvers<void>()
    const hold = async (): Promise<void> => {
      await hog.em.begin()
      await enough.promise
    }
    const held = Array.from({ length: 40 }, () => hog.run(hold).catch((error: Error) => error))
    // Those that got no connection tell that there are none left.
    expect(String(await Promise.race(held))).to.match(/too many clients/)
    const load = new Load(client)
    loads.push(load)
    await until(() => load.failures.length > 0)
    enough.resolve()
    await Promise.all(held)
    await hog.close()
    await recovered(db, client, load)
  })

  it('says that the database takes no changes, and goes on when it does; reads are answered', async () => {
    const { client, db } = await world.serve(server, { config: { DATABASE_POOL_SIZE: poolSize } })
    await client.add('admin')
    const { dbName } = db.orm().config.getAll() as { dbName: string }
    const readOnly = async (value: 'on' | 'off'): Promise<void> => {
      await select(db, `alter database "${dbName}" set default_transaction_read_only = ${value}`)
      // As a standby that takes over would: connections begin anew.
      const sql = `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`
      await select(db, sql)
      await select(db, `set default_transaction_read_only = ${value}`)
    }
    await readOnly('on')
    const refused = await client.add('refused').then(
      () => undefined,
      (error: Failure) => error,
    )
    expect(refused).to.include({ remoteName: 'ReadOnlyException', retryable: true })
    expect(await client.find(1)).to.equal('admin')
    await select(db, 'set default_transaction_read_only = off')
    await readOnly('off')
    await client.add('second')
    expect(await usernames(db)).to.deep.equal(['admin', 'second'])
  })

  it('waits at the start for a server that comes up', async () => {
    const db = mikroOrm({ entities: [User] })
    const core = createCore({ plugins: [db] })
    world.cores.push(core)
    core.config.fromObject({ DATABASE_URI: server.uri })
    await server.down('fast')
    const start = core.start({ ping: () => 1 }, { bind: 'inproc://zask-late-postgres', signals: false })
    await pause(200)
    await server.up()
    await start
  })
})
