import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Migration } from '@mikro-orm/migrations'
import { defineEntity, p } from '@mikro-orm/core'
import { Seeder } from '@mikro-orm/seeder'
import { expect } from 'chai'
import { createCore, type Logger } from 'zask'
import { accessLog } from 'zask/plugins/access-log'
import { type Database, type DatabaseStats, entityFor, mikroOrm } from 'zask/plugins/mikro-orm'
import { requestChain } from 'zask/plugins/request-chain'
import { pluginContract, testCore } from 'zask/testing'
import { failure } from '../../support/cores.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { repository, run } from '../../support/processes.ts'

const Order = defineEntity({ name: 'Order', properties: { id: p.integer().primary(), login: p.integer() } })
const Login = entityFor('users')({
  name: 'Login',
  properties: { id: p.integer().primary(), username: p.string().unique() },
})
const Flag = entityFor('appmeta')({
  name: 'Flag',
  properties: { id: p.integer().primary(), name: p.string() },
})

/** Fails while a session of the database in memory, which has one connection, keeps it. */
async function idle(db: Database): Promise<void> {
  const ping = await db.ping().catch((error: unknown) => error)
  // After a stop nothing is open, and nothing opens again.
  expect(ping).to.satisfy(
    (seen: { ok?: boolean; code?: string }) => seen.ok === true || seen.code === 'ZASK_CORE_STOPPED',
  )
}

function silent(): void {}

pluginContract({
  name: 'mikro-orm',
  create: () => mikroOrm({ entities: [] }),
  idle,
})

describe('mikroOrm', () => {
  let folder: string
  let server: PostgresServer

  before(async function () {
    this.timeout(30_000)
    folder = await mkdtemp(join(tmpdir(), 'zask-mikro-orm-'))
    server = await PostgresServer.start()
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('serves three binds in one call: PostgreSQL by default, another for users, SQLite for the rest', async () => {
    const db = mikroOrm({ entities: [Order, Login, Flag] })
    const core = createCore({ root: folder, plugins: [db] })
    core.config.fromObject({
      DATABASE_URI: server.database(`zask_three_${process.pid}`),
      DATABASE_BINDS: {
        users: server.database(`zask_three_users_${process.pid}`),
        appmeta: 'sqlite:///appmeta.db',
      },
    })
    await db.createAll()
    const service = {
      async order(username: string) {
        const login = db.repo(Login).create({ username })
        await db.em('users').flush()
        db.em.create(Order, { login: login.id })
        await db.em.flush()
        db.repo(Flag).create({ name: `ordered by ${username}` })
        await db.em('appmeta').flush()
        return core.call.dbStats
      },
      async fail(username: string): Promise<void> {
        for (const bind of [null, 'users', 'appmeta']) await db.em(bind).begin()
        await this.order(username)
        throw new Error('on purpose')
      },
      names: async () => (await db.query(Login).all()).map(({ username }) => username),
      orders: () => db.query(Order).count(),
      flags: () => db.query(Flag).count(),
    }
    await using test = await testCore({ services: [service], core })
    const { client } = test
    expect(Object.keys((await client.order('admin')) ?? {})).to.have.members(['users', 'default', 'appmeta'])
    await client.fail('guest').catch(() => undefined)
    expect(await client.names()).to.deep.equal(['admin'])
    expect([await client.orders(), await client.flags()]).to.deep.equal([1, 1])
    expect(Object.values(await db.reflect()).map((tables) => tables.map(({ name }) => name))).to.deep.equal([
      ['order'],
      ['login'],
      ['flag'],
    ])
  })

  it('lets the access log say what each call asked of its databases', async () => {
    const path = join(folder, 'access.log')
    const db = mikroOrm({ entities: [Flag] })
    await using test = await testCore({
      services: [
        {
          flags: () => db.query(Flag).count(),
          async prepare(): Promise<void> {
            await db.createAll({ bind: 'appmeta' })
          },
          nothing: () => 1,
        },
      ],
      plugins: [accessLog({ format: 'json' }), db],
      config: { DEBUG: false, ZERORPC_ACCESS_LOG: path, DATABASE_BINDS: { appmeta: 'sqlite://' } },
    })
    await test.client.prepare()
    await test.client.flags()
    await test.client.nothing()
    await test.core.stop()
    const lines = (await readFile(path, 'utf8')).trim().split('\n')
    const records = lines.map((line) => JSON.parse(line) as { method: string; db?: DatabaseStats })
    const asked = (method: string) => records.find((record) => record.method === method)?.db
    expect(asked('flags')).to.have.nested.property('appmeta.queries', 1)
    expect(asked('flags')?.['appmeta']?.ms).to.be.a('number')
    expect(asked('nothing')).to.equal(undefined)
  })

  it('says in the access log that a query was cancelled, and logs its SQL under the id of the request', async () => {
    const path = join(folder, 'cancelled.log')
    const db = mikroOrm({ entities: [] })
    const log: { sql: string; fields: object }[] = []
    const config = { DEBUG: false, DATABASE_ECHO: true, DATABASE_URI: server.uri, ZERORPC_ACCESS_LOG: path }
    const core = createCore({ plugins: [requestChain(), accessLog({ format: 'json' }), db] })
    core.config.fromObject(config)
    const logger = (bound: object): Logger => ({
      trace: silent,
      debug: silent,
      warn: silent,
      error: silent,
      fatal: silent,
      info: (fields: object, sql: string) => void log.push({ sql, fields: { ...bound, ...fields } }),
      child: (fields) => logger({ ...bound, ...fields }),
    })
    const service = {
      quick: () => db.em.getConnection().execute('select 1 as one'),
      slow: () => db.em.getConnection().execute('select pg_sleep(10)'),
    }
    await using test = await testCore({ services: [service], core })
    core.setLogger(logger({}))
    await test.client.quick()
    const caller = new AbortController()
    const call = failure(test.client.$with({ signal: caller.signal }).slow())
    setTimeout(() => caller.abort(), 100)
    await call
    await test.core.stop()
    const lines = (await readFile(path, 'utf8')).trim().split('\n')
    const [quick, slow] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(slow).to.include({ method: 'slow', status: 'ERROR' })
    expect(slow).to.have.nested.property('db.default.cancelled', 1)
    expect(log.find(({ sql }) => sql === 'select 1 as one')?.fields).to.include({
      requestId: quick?.['requestId'],
      bind: 'default',
    })
  })

  it('migrates and seeds each bind by itself', async () => {
    class Seeding extends Seeder {
      async run(em: Parameters<Seeder['run']>[0]): Promise<void> {
        await em.insert(Login, { username: 'seeded' })
      }
    }
    class CreateLogin extends Migration {
      override up(): void {
        this.addSql('create table `login` (`id` integer primary key, `username` text)')
      }
    }
    const db = mikroOrm({
      entities: [Login],
      binds: {
        users: {
          migrations: { migrationsList: [CreateLogin], snapshot: false },
          seeder: { seedersList: [Seeding] },
        },
      },
    })
    await using core = createCore({ root: folder, plugins: [db] })
    core.config.fromObject({
      DATABASE_BINDS: { users: 'sqlite:///migrated.db', other: 'sqlite:///other.db' },
    })
    await (await db.migrator('users')).up()
    await (await db.seeder('users')).seed(Seeding)
    await db.run(async () =>
      expect(await db.query(Login).filterBy({ username: 'seeded' }).count()).to.equal(1),
    )
    expect(await (await db.migrator('users')).getPending()).to.deep.equal([])
    expect((await db.reflect())['other']).to.deep.equal([])
  })

  it('reads migrations from a folder of each bind', async () => {
    const root = join(repository, 'node_modules', `.zask-migrations-${process.pid}`)
    await mkdir(join(root, 'migrations/users'), { recursive: true })
    try {
      await writeFile(
        join(root, 'migrations/users/Migration20260101000000.js'),
        `import { Migration } from '@mikro-orm/migrations'
         export class Migration20260101000000 extends Migration {
           up() { this.addSql('create table login (id integer primary key, username text)') }
         }`,
      )
      const db = mikroOrm({ entities: [Login], orm: { migrations: { snapshot: false } } })
      await using core = createCore({ root, plugins: [db] })
      core.config.fromObject({ DATABASE_BINDS: { users: 'sqlite://' } })
      await (await db.migrator('users')).up()
      expect((await db.reflect())['users']?.map(({ name }) => name)).to.include('login')
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  })

  it('on SQLite loads neither pg nor mysql2', async () => {
    const script = `
      import { createRequire } from 'node:module'
      import { createCore } from 'zask'
      import { mikroOrm } from 'zask/plugins/mikro-orm'
      const db = mikroOrm({ entities: [] })
      const core = createCore({ plugins: [db] })
      if (!(await db.ping()).ok) throw new Error('not there')
      const loaded = Object.keys(createRequire(import.meta.url).cache)
      const of = (name) => loaded.some((path) => path.includes('/node_modules/' + name + '/'))
      console.log(of('better-sqlite3'), of('pg'), of('mysql2'), of('mariadb'))
      await core.stop()`
    const args = ['--conditions=zask-source', '--input-type=module', '-e', script]
    const { stdout } = await run(process.execPath, args, { cwd: repository })
    expect(stdout.trim()).to.equal('true false false false')
  })
})
