import { expect } from 'chai'
import { type Core, createCore, createLogger } from 'zask'
import { type DatabaseStats, mikroOrm } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { failure, pause, plugin, until } from '../../support/cores.ts'
import { MariaDbServer } from '../../support/mariadb.ts'
import { select, User, usernames, Users } from './users.ts'

/** The same methods in MySQL's words. */
class UsersOfMySql extends Users {
  override readonly sleepSql = 'select sleep(?)'
}

describe('mikroOrm on MariaDB', function () {
  this.timeout(60_000)

  const cores: Core[] = []
  let server: MariaDbServer

  before(async function () {
    server = await MariaDbServer.start(this)
  })
  afterEach(async () => {
    for (const core of cores.splice(0)) await core.stop()
  })
  after(async () => {
    await server?.stop()
  })

  async function serve(driver: 'mysql' | 'mariadb') {
    const db = mikroOrm({ entities: [User] })
    const stats: DatabaseStats[] = []
    const watching = plugin('watching', (core) => {
      core.hooks.afterCall.tap('watching', (call) => {
        const { dbStats } = call as { dbStats?: DatabaseStats }
        if (call.side === 'server' && dbStats !== undefined) stats.push(dbStats)
      })
    })
    const core = createCore({ plugins: [watching, db], config: { DEBUG: false } })
    cores.push(core)
    const lines: string[] = []
    core.setLogger(createLogger({ write: (line) => void lines.push(line) }))
    core.config.fromObject({
      DATABASE_URI: server.database(`zask_${driver}_${process.pid}`, driver),
      DATABASE_POOL_SIZE: 3,
      DATABASE_POOL_TIMEOUT: 30,
    })
    await db.createAll()
    await db.run(() => db.em.nativeDelete(User, {}))
    const users = new UsersOfMySql(db)
    const { client } = await testCore({ services: [users], core, client: { timeoutMs: 20_000 } })
    return { db, client, users, lines, stats }
  }

  for (const driver of ['mariadb', 'mysql'] as const) {
    describe(`by the driver of ${driver}`, () => {
      it('makes database and tables, reads, writes and looks at what is there', async () => {
        const { db, client } = await serve(driver)
        await client.add('admin')
        expect(await usernames(db)).to.deep.equal(['admin'])
        const [table] = (await db.reflect())['default'] ?? []
        expect(table?.columns.map(({ name }) => name)).to.deep.equal(['id', 'username'])
        expect(await db.ping()).to.include({ ok: true })
      })

      it('rolls back what was left open, more often than there are connections', async () => {
        const { db, client } = await serve(driver)
        const calls = Array.from({ length: 12 }, (_, i) =>
          i % 2 === 0 ? client.forget(`lost ${i}`) : failure(client.forgetAndThrow(`lost ${i}`)),
        )
        await Promise.all(calls)
        for await (const item of client.stream()) if (item === 2) break
        await client.add('kept')
        expect(await usernames(db)).to.deep.equal(['kept'])
      })

      it('stops a query on the server when its caller gives up', async () => {
        const { db, client, users, stats } = await serve(driver)
        const running = async (): Promise<number> =>
          (await select(db, "select 1 from information_schema.processlist where info like 'select sleep(%'"))
            .length
        const caller = new AbortController()
        await client.add('admin')
        const call = failure(client.$with({ signal: caller.signal }).sleep(20))
        await until(() => users.entered.length > 0)
        while ((await running()) === 0) await pause(5)
        const abortedAt = performance.now()
        caller.abort()
        while ((await running()) > 0) await pause(5)
        expect(performance.now() - abortedAt).to.be.lessThan(5_000)
        await call
        await until(() => stats.length === 2)
        expect(stats[1]).to.have.nested.property('default.cancelled', 1)
        expect(await usernames(db)).to.deep.equal(['admin'])
      })

      it('tells a caller the class of an error, and the log the rest', async () => {
        const { client, lines } = await serve(driver)
        await client.add('admin')
        const error = await failure(client.add('admin'))
        expect(error).to.include({
          code: 'ZASK_DATABASE_FAILED',
          remoteName: 'UniqueConstraintViolationException',
        })
        expect(error.message).not.to.match(/admin|insert/)
        expect(lines.join('')).to.match(/Duplicate entry 'admin'/)
      })
    })
  }
})
