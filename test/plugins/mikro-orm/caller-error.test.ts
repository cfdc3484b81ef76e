import { defineEntity, DriverException, p, ValidationError } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore, createLogger } from 'zask'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { callerError } from '../../../plugins/mikro-orm/caller-error.ts'
import { failure } from '../../support/cores.ts'
import { PostgresServer } from '../../support/postgres.ts'

const Group = defineEntity({
  name: 'Group',
  properties: { id: p.integer().primary(), name: p.string() },
})
const User = defineEntity({
  name: 'User',
  checks: [{ name: 'user_age_check', expression: 'age > 0' }],
  properties: {
    id: p.integer().primary(),
    email: p.string().unique(),
    age: p.integer().default(1),
    group: () => p.manyToOne(Group).nullable(),
  },
})

/** What must not leave the process: values, SQL, names of tables and hosts, places in files. */
const secret = 'hunter2@example.com'
const forbidden = [
  /hunter2/,
  /select|insert|update|delete from/i,
  /user_/,
  /127\.0\.0\.1/,
  / at /,
  /\.[jt]s\b/,
]

describe('what a remote caller gets of an error of the database', function () {
  this.timeout(60_000)

  let server: PostgresServer
  before(async () => {
    server = await PostgresServer.start()
  })
  after(async () => {
    await server.stop()
  })

  const execute = async (sql: string, params: unknown[] = []): Promise<void> => {
    await db.em.getConnection().execute(sql, params)
  }
  let db = mikroOrm({ entities: [Group, User] })

  const failures = {
    async unique() {
      db.em.create(User, { email: secret })
      await db.em.flush()
    },
    async uniqueByHand() {
      await db.em.insert(User, { email: secret })
    },
    async uniqueInTransaction() {
      await db.em.transactional(async (em) => em.insert(User, { email: secret }))
    },
    async foreignKey() {
      await db.em.insert(User, { email: `other ${secret}`, group: 99 })
    },
    async check() {
      await db.em.insert(User, { email: `old ${secret}`, age: -5 })
    },
    async notNull() {
      await execute('insert into "user" (email, age) values (null, 1)')
    },
    async noColumn() {
      await execute('select hunter2 from "user"')
    },
    async noTable() {
      await execute('select * from hunter2')
    },
    async syntax() {
      await execute("selectt 'hunter2'")
    },
    async notFound() {
      await db.em.findOneOrFail(User, { email: `no ${secret}` })
    },
    async queryNotFound() {
      await db
        .query(User)
        .filterBy({ email: `no ${secret}` })
        .firstOrFail()
    },
    async required() {
      db.em.create(User, { age: 3, email: undefined as unknown as string })
      await db.em.flush()
    },
    async wrapped() {
      await db.em.insert(User, { email: secret }).catch((cause: unknown) => {
        throw new RangeError('taken', { cause })
      })
    },
  }
  const expected: Record<keyof typeof failures, [name: string, text: string]> = {
    unique: ['UniqueConstraintViolationException', 'A value that must be unique is taken.'],
    uniqueByHand: ['UniqueConstraintViolationException', 'A value that must be unique is taken.'],
    uniqueInTransaction: ['UniqueConstraintViolationException', 'A value that must be unique is taken.'],
    foreignKey: ['ForeignKeyConstraintViolationException', 'The database refuses the change'],
    check: ['CheckConstraintViolationException', 'The database refuses the change'],
    notNull: ['NotNullConstraintViolationException', 'The database refuses the change'],
    noColumn: ['InvalidFieldNameException', 'The database could not do'],
    noTable: ['TableNotFoundException', 'The database could not do'],
    syntax: ['SyntaxErrorException', 'The database could not do'],
    notFound: ['NotFoundError', 'User not found.'],
    queryNotFound: ['NotFoundError', 'User not found.'],
    required: ['ValidationError', 'Value for User.email is required.'],
    // What the method makes of it is the method's own.
    wrapped: ['RangeError', 'taken'],
  }

  async function serve(config: object) {
    db = mikroOrm({ entities: [Group, User] })
    const lines: string[] = []
    const core = createCore({ plugins: [db] })
    core.config.fromObject(config)
    core.setLogger(createLogger({ write: (line) => void lines.push(line) }))
    await db.createAll()
    const test = await testCore({ services: [failures], core })
    await db.run(async () => db.em.insert(User, { email: secret }))
    return { ...test, lines, [Symbol.asyncDispose]: () => test.stop() }
  }

  for (const database of ['SQLite', 'PostgreSQL']) {
    it(`on ${database} is its class and a sentence without SQL and values; the log has the rest`, async () => {
      const uri = database === 'SQLite' ? 'sqlite://' : server.database(`zask_errors_${process.pid}`)
      await using test = await serve({ DEBUG: false, DATABASE_URI: uri })
      for (const [method, [name, text]] of Object.entries(expected)) {
        test.lines.length = 0
        const error = await failure(test.client.$call(method, []))
        expect(error, method).to.include({ remoteName: name, remoteTraceback: '' })
        expect(error.message, method).to.match(new RegExp(`^${text}`))
        for (const pattern of forbidden)
          expect(JSON.stringify(error) + error.message, method).not.to.match(pattern)
        if (method === 'wrapped') continue
        expect(error.code).to.equal('ZASK_DATABASE_FAILED')
        const reference = /under call (\S+)\.$/.exec(error.message)?.[1]
        expect(test.lines.join(''), method).to.contain(`call=${reference}`).and.to.contain(name)
      }
    })
  }

  it('is with the traceback in debug mode, which has it all', async () => {
    await using test = await serve({ DEBUG: true, DATABASE_URI: 'sqlite://' })
    const error = await failure(test.client.unique())
    expect(error.message).to.match(/^A value that must be unique is taken\./)
    expect(error.remoteTraceback).to.match(/UNIQUE constraint failed: user\.email/)
  })

  it('says when a database is not there, without its address, and that the call may be made again', async () => {
    db = mikroOrm({ entities: [Group, User], connectTimeoutMs: null })
    const config = { DEBUG: false, DATABASE_URI: 'postgresql://shop:hunter2@127.0.0.1:1/shop' }
    await using test = await testCore({ services: [failures], plugins: [db], config })
    test.core.setLogger(createLogger({ write: () => undefined }))
    for (const method of ['uniqueByHand', 'uniqueInTransaction', 'noTable']) {
      const error = await failure(test.client.$call(method, []))
      expect(error, method).to.include({
        remoteName: 'ConnectionException',
        code: 'ZASK_DATABASE_FAILED',
        retryable: true,
      })
      for (const pattern of forbidden) expect(error.message).not.to.match(pattern)
    }
  })

  it('is as it was thrown for those who call without a wire', async () => {
    await using _ = await serve({ DATABASE_URI: 'sqlite://' })
    expect(await failure(db.run(() => failures.unique()))).to.include({
      name: 'UniqueConstraintViolationException',
    })
  })

  it('is nothing else for errors that are not of a database', () => {
    for (const error of [new TypeError('a'), 'text', null, { code: '23505' }]) {
      expect(callerError(error, '1')).to.equal(undefined)
    }
    const invalid = new ValidationError("Could not convert JS value 'hunter2' to type Date")
    expect(callerError(invalid, '1')?.message).to.match(
      /^What was given for an entity is not valid\. The log/,
    )
    const readOnly = new DriverException(Object.assign(new Error('no'), { code: '25006' }))
    expect(callerError(readOnly, '1')).to.include({ name: 'ReadOnlyException', retryable: true })
  })
})
