import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Collection, defineEntity, EntitySchema, p, Utils } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore, type Core } from 'zask'
import { bindKey, type Database, entityFor, mikroOrm, type MikroOrmOptions } from 'zask/plugins/mikro-orm'
import { loadDriver } from '../../../plugins/mikro-orm/driver.ts'
import { failure } from '../../support/cores.ts'

const defineUsersEntity = entityFor('users')

const User = defineUsersEntity({
  name: 'User',
  properties: {
    id: p.integer().primary(),
    username: p.string(),
    posts: () => p.oneToMany(Post).mappedBy('author'),
  },
})
const Post = defineUsersEntity({
  name: 'Post',
  properties: { id: p.integer().primary(), title: p.string(), author: () => p.manyToOne(User) },
})

/** A plain class with a schema of its own. */
class Setting {
  id!: number
  name!: string
}
const SettingSchema = bindKey(
  'appmeta',
  new EntitySchema<Setting>({
    class: Setting,
    properties: { id: { type: 'integer', primary: true }, name: { type: 'string' } },
  }),
)

/** A class that says it by itself. */
const PageSchema = defineEntity({ name: 'Page', properties: { id: p.integer().primary(), path: p.string() } })
class Page extends PageSchema.class {
  static readonly bindKey = 'appmeta'
}
PageSchema.setClass(Page)

const Order = defineEntity({ name: 'Order', properties: { id: p.integer().primary(), total: p.integer() } })

const tables = (found: Record<string, { name: string }[]>): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(found).map(([bind, list]) => [bind, list.map(({ name }) => name).toSorted()]),
  )

describe('the binds of mikroOrm', () => {
  const cores: Core[] = []
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-binds-'))
  })
  afterEach(async () => {
    for (const core of cores.splice(0)) await core.stop()
  })
  after(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  function open(options: MikroOrmOptions, config: object = {}): { db: Database; core: Core } {
    const db = mikroOrm(options)
    const core = createCore({ root: folder, plugins: [db], config: config })
    cores.push(core)
    return { db, core: core }
  }

  const entities = [User, Post, SettingSchema, Page, Order]
  const three = (name: string): object => ({
    DATABASE_URI: `sqlite:///${name}.db`,
    DATABASE_BINDS: {
      users: `sqlite:////${join(folder, `${name}-users.db`)}`,
      appmeta: { uri: `sqlite:///${name}-meta.db` },
    },
  })

  it('are made and dropped by name, by list, by null for the default one, and all at once', async () => {
    const { db } = open({ entities }, three('schema'))
    const now = async (): Promise<unknown> => tables(await db.reflect())
    expect(await now()).to.deep.equal({ default: [], users: [], appmeta: [] })
    await db.createAll({ bind: 'users' })
    expect(await now()).to.deep.equal({ default: [], users: ['post', 'user'], appmeta: [] })
    await db.createAll({ bind: ['appmeta', null] })
    expect(await now()).to.deep.equal({
      default: ['order'],
      users: ['post', 'user'],
      appmeta: ['page', 'setting'],
    })
    await db.dropAll({ bind: 'users' })
    expect(await now()).to.deep.equal({ default: ['order'], users: [], appmeta: ['page', 'setting'] })
    await db.createAll()
    expect(await now()).to.deep.equal({
      default: ['order'],
      users: ['post', 'user'],
      appmeta: ['page', 'setting'],
    })
    await db.dropAll({ bind: '__all__' })
    expect(await now()).to.deep.equal({ default: [], users: [], appmeta: [] })
  })

  it('may share a database: making and dropping touches the tables of the one bind and nothing else', async () => {
    const uri = 'sqlite:///shared.db'
    const { db } = open({ entities }, { DATABASE_URI: uri, DATABASE_BINDS: { users: uri, appmeta: uri } })
    await db.createAll()
    await db.dropAll({ bind: 'users' })
    const found = await db.reflect({ bind: null })
    expect(tables(found)).to.deep.equal({ default: ['order', 'page', 'setting'] })
    expect(found['default']?.find(({ name }) => name === 'order')?.columns).to.deep.equal([
      { name: 'id', type: 'INTEGER', nullable: false, primary: true },
      { name: 'total', type: 'INTEGER', nullable: false, primary: false },
    ])
  })

  it('keep what is in a table that is already there', async () => {
    const { db } = open({ entities }, three('kept'))
    await db.createAll({ bind: null })
    await db.run(async () => db.em.insert(Order, { total: 3 }))
    await db.createAll()
    expect(await db.run(async () => (await db.query(Order).first())?.total)).to.equal(3)
  })

  it('are found by the entity: schemas, classes and schemas of classes alike', async () => {
    const { db } = open({ entities }, three('routes'))
    await db.createAll()
    await db.run(async () => {
      db.repo(User).create({ username: 'admin' })
      db.repo(Setting).create({ name: 'theme' })
      db.repo(Page).create({ path: '/' })
      for (const bind of ['users', 'appmeta']) await db.em(bind).flush()
    })
    await db.run(async () => {
      expect(await db.query(User).count()).to.equal(1)
      expect((await db.query(Setting).filterBy({ name: 'theme' }).first())?.name).to.equal('theme')
      expect(await db.query(PageSchema).firstOrFail()).to.be.instanceOf(Page)
      expect(await db.em('users').count(User)).to.equal(1)
      expect(await failure(db.em.count(User))).to.have.property('message')
    })
    expect(db.orm('users').em.getPlatform()).to.equal(db.orm('users').em.getPlatform())
  })

  it('have queries that are narrowed, ordered and cut without changing the query before', async () => {
    const { db } = open({ entities }, three('query'))
    await db.createAll()
    await db.run(async () => {
      await db.em.insertMany(
        Order,
        [5, 1, 4, 2, 3].map((total) => ({ total })),
      )
      const large = db.query(Order).filterBy({ total: { $gt: 1 } })
      const totals = async (query: typeof large): Promise<number[]> =>
        (await query.all()).map(({ total }) => total)
      expect(await totals(large.orderBy({ total: 'desc' }).limit(2).offset(1))).to.deep.equal([4, 3])
      expect(await totals(large.filterBy({ total: { $lt: 3 } }))).to.deep.equal([2])
      expect(await large.count()).to.equal(4)
      expect(await db.query(Order).filterBy({ total: 9 }).first()).to.equal(null)
      expect(await failure(db.query(Order).filterBy({ total: 9 }).firstOrFail())).to.include({
        name: 'NotFoundError',
      })
      expect((await db.query(Order).get(1))?.total).to.equal(5)
    })
  })

  it('load relations within a bind, also as a query', async () => {
    const { db } = open({ entities }, three('relations'))
    await db.createAll()
    await db.run(async () => {
      const em = db.em('users')
      const author = em.create(User, { username: 'admin' })
      for (const title of ['one', 'two']) em.create(Post, { title, author })
      await em.flush()
    })
    await db.run(async () => {
      const author = await db.query(User).firstOrFail()
      expect(author.posts).to.be.instanceOf(Collection)
      expect(
        (await author.posts.matching({ where: { title: 'two' } })).map(({ title }) => title),
      ).to.deep.equal(['two'])
      expect(await author.posts.loadCount()).to.equal(2)
    })
  })

  it('refuse at the start a relation from one to another, naming both ends', async () => {
    const Stray = defineEntity({
      name: 'Stray',
      properties: { id: p.integer().primary(), owner: () => p.manyToOne(User) },
    })
    const { core } = open({ entities: [Stray, User, Post] }, { DATABASE_BINDS: { users: 'sqlite://' } })
    const error = await failure(
      core.start({ ping: () => 1 }, { bind: 'inproc://zask-stray', signals: false }),
    )
    expect(error.message).to.match(/Stray\.owner leads from bind default to User of bind users/)
  })

  it('refuse an unknown one with the text of the original', async () => {
    const { db, core } = open({ entities: [User, Post] })
    const text = "Bind 'users' is not specified.  Set it in the SQLALCHEMY_BINDS configuration variable"
    expect(await failure(db.createAll())).to.include({
      code: 'ZASK_DATABASE_BIND',
      message: text,
      name: 'AssertionError',
    })
    const start = failure(
      core.start({ ping: () => 1 }, { bind: 'inproc://zask-unknown-bind', signals: false }),
    )
    expect((await start).message).to.contain(text)
    const other = open({ entities: [] }).db
    expect(await failure(other.run(() => other.em('nowhere')))).to.include({ code: 'ZASK_DATABASE_BIND' })
    expect(await failure(other.ping('nowhere'))).to.include({ code: 'ZASK_DATABASE_BIND' })
  })

  it('leave out the default one where nobody set it, no entity needs it, and there are others', async () => {
    const { db } = open({ entities: [User, Post] }, { DATABASE_BINDS: { users: 'sqlite://' } })
    await db.createAll()
    expect(Object.keys(await db.reflect())).to.deep.equal(['users'])
    expect(await failure(db.ping()))
      .to.have.property('message')
      .that.matches(/Set it in the DATABASE_URI/)
  })

  it('are read from the keys of the original, which then show in the config', async () => {
    const { db, core } = open({ entities: [User, Post, Order] })
    core.config.fromObject({
      SQLALCHEMY_DATABASE_URI: 'sqlite:///original.db',
      SQLALCHEMY_BINDS: { users: 'sqlite:///original-users.db' },
      SQLALCHEMY_ECHO: false,
      SQLALCHEMY_POOL_SIZE: 3,
    })
    await db.createAll()
    expect(core.config.get('DATABASE_URI')).to.equal('sqlite:///original.db')
    expect(core.config.get('DATABASE_POOL_SIZE')).to.equal(3)
    expect(tables(await db.reflect())).to.deep.equal({ default: ['order'], users: ['post', 'user'] })
    await core.start({ ping: () => 1 }, { bind: 'inproc://zask-original-keys', signals: false })
  })

  it('are not read where both keys of a pair are set', async () => {
    const { db, core } = open({ entities: [] }, { DATABASE_URI: 'sqlite:///one.db' })
    core.config.fromObject({ SQLALCHEMY_DATABASE_URI: 'sqlite:///two.db' }, 'shared.cfg')
    const error = await failure(db.ping())
    expect(error).to.include({ code: 'ZASK_CONFIG_VALUE_INVALID' })
    expect(error.message).to.match(
      /Both DATABASE_URI \(from createCore\) and SQLALCHEMY_DATABASE_URI \(from shared\.cfg\)/,
    )
  })

  const wrong: [config: object, sentence: RegExp][] = [
    [{ DATABASE_BINDS: { users: 3 } }, /right in "users", where a bind is a URI, or an object with a uri/],
    [{ DATABASE_BINDS: { users: { uri: 'sqlite://', pool: 3 } } }, /pool is none of uri, poolSize/],
    [{ DATABASE_BINDS: { default: 'sqlite://' } }, /without a bind called default/],
    [{ DATABASE_POOL_SIZE: 0 }, /a number above 0 or null/],
    [{ DATABASE_ECHO: 'yes' }, /true or false/],
  ]
  for (const [config, sentence] of wrong) {
    it(`are refused at the start as ${JSON.stringify(config)}`, async () => {
      const { core } = open({ entities: [] }, config)
      const error = await failure(
        core.start({ ping: () => 1 }, { bind: 'inproc://zask-wrong', signals: false }),
      )
      expect(error).to.include({ code: 'ZASK_CONFIG_VALUE_INVALID' })
      expect(error.message).to.match(sentence)
    })
  }

  it('tell how to install a driver that is missing, in the version that fits', async () => {
    const missing = Object.assign(new Error("Cannot find package '@mikro-orm/mariadb'"), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
    const error = await failure(loadDriver('mariadb', () => Promise.reject(missing)))
    expect(error).to.include({ code: 'ZASK_DATABASE_DRIVER_MISSING' })
    expect(error.message).to.contain(`npm install --save-exact @mikro-orm/mariadb@${Utils.getORMVersion()}`)
  })

  it('say what is wrong with a file that cannot be opened', async () => {
    const { core } = open({ entities: [] }, { DATABASE_URI: 'sqlite:////no/such/folder/x.db' })
    const error = await failure(
      core.start({ ping: () => 1 }, { bind: 'inproc://zask-nofile', signals: false }),
    )
    expect(error.message).to.match(
      /The database of bind default, sqlite:\/\/\/\/no\/such\/folder\/x\.db, did not let us in/,
    )
  })
})
