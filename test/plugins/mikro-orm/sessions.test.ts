import { setTimeout as sleep } from 'node:timers/promises'
import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore, createLogger, type Plugin } from 'zask'
import { type Database, type DatabaseStats, mikroOrm } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { failure, plugin, until } from '../../support/cores.ts'

const User = defineEntity({
  name: 'User',
  properties: { id: p.integer().primary(), username: p.string().unique(), email: p.string().default('') },
})
type User = InferEntity<typeof User>

/** Begins a transaction, writes a row, and does not end it. */
async function writeAndForget(db: Database, username: string): Promise<void> {
  await db.em.begin()
  db.em.create(User, { username })
  await db.em.flush()
}

function usernames(db: Database): Promise<string[]> {
  return db.run(async () =>
    (await db.query(User).orderBy({ id: 'asc' }).all()).map(({ username }) => username),
  )
}

describe('the session of a call', () => {
  let db: Database
  let lines: string[]

  /** A core with the database in memory, which has one connection: one that is not given back blocks the next call. */
  async function serve<S extends object>(service: S, more: readonly Plugin[] = [], config: object = {}) {
    db = mikroOrm({ entities: [User] })
    const test = await testCore({ services: [service], plugins: [db, ...more], config: { ...config } })
    lines = []
    test.core.setLogger(createLogger({ write: (line) => void lines.push(line) }))
    await db.createAll()
    await db.run(async () => {
      db.em.create(User, { username: 'admin', email: 'admin@example.com' })
      await db.em.flush()
    })
    return test
  }

  it('is there in the method, and a later call reads what it wrote', async () => {
    await using test = await serve({
      async add(username: string) {
        const user = db.em.create(User, { username })
        await db.em.flush()
        return user.id
      },
      async name(id: number) {
        return (await db.em.findOneOrFail(User, id)).username
      },
    })
    const id = await test.client.add('guest')
    expect(await test.client.name(id)).to.equal('guest')
    expect(lines).to.deep.equal([])
  })

  it('is one and the same in all that the method calls, and db.em may be kept', async () => {
    await using test = await serve({
      async same() {
        const { em } = db
        const first = await em.findOneOrFail(User, 1)
        await sleep(1)
        const again = await Promise.resolve().then(async () => db.repo(User).findOneOrFail(1))
        const queried = await db.query(User).get(1)
        return [
          first === again,
          again === queried,
          em.getContext() === db.em().getContext(),
          test.core.call.method,
        ]
      },
    })
    expect(await test.client.same()).to.deep.equal([true, true, true, 'same'])
  })

  it('belongs to one call: calls at the same time share no entity, and see no change that is not flushed', async () => {
    const seen: User[] = []
    await using test = await serve({
      async load() {
        const user = await db.em.findOneOrFail(User, 1)
        seen.push(user)
        await until(() => seen.length === 2)
        const before = user.username
        user.username = `changed ${seen.indexOf(user)}`
        return before
      },
    })
    expect(await Promise.all([test.client.load(), test.client.load()])).to.deep.equal(['admin', 'admin'])
    expect(seen[0]).not.to.equal(seen[1])
    expect(await usernames(db)).to.deep.equal(['admin'])
  })

  describe('gives back its connection, and rolls back what is open, when the call', () => {
    const entered: string[] = []
    const service = {
      async answer() {
        await writeAndForget(db, 'lost')
        return 'answered'
      },
      async throw() {
        await writeAndForget(db, 'lost')
        throw new RangeError('on purpose')
      },
      async wait(name: string) {
        await writeAndForget(db, 'lost')
        entered.push(name)
        const { signal } = this.core().call
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        )
      },
      async *items() {
        for (let i = 1; ; i++) {
          if (i === 2) await writeAndForget(db, 'lost')
          yield i
        }
      },
      core: (): { call: { signal: AbortSignal } } => {
        throw new Error('set by the test')
      },
    }
    const expose = { start: { expose: ['answer', 'throw', 'wait', 'items'] } }
    const endings: Record<string, (test: Awaited<ReturnType<typeof start>>) => Promise<void>> = {
      'has answered': async ({ client }) => {
        expect(await client.answer()).to.equal('answered')
      },
      'has thrown': async ({ client }) => {
        expect((await failure(client.throw())).remoteName).to.equal('RangeError')
      },
      'ran out of time': async ({ client }) => {
        expect(await failure(client.$with({ timeoutMs: 100 }).wait('time'))).to.include({
          code: 'ZASK_CALL_TIMEOUT',
        })
      },
      'is cancelled': async ({ client }) => {
        const caller = new AbortController()
        const call = failure(client.$with({ signal: caller.signal }).wait('cancelled'))
        await until(() => entered.includes('cancelled'))
        caller.abort()
        await call
      },
      'has lost its caller': async ({ core, endpoint }) => {
        const near = { heartbeat: { intervalMs: 20 } }
        await core.start(service, { bind: `${endpoint}-near`, ...near, ...expose.start, signals: false })
        const caller = createCore()
        const client = await caller.client<typeof service>(`${endpoint}-near`, near)
        const call = failure(client.wait('lost'))
        await until(() => entered.includes('lost'))
        await caller.stop()
        await call
      },
      'was a stream, and its reader leaves': async ({ client }) => {
        for await (const item of client.items()) if (item === 3) break
      },
    }
    const start = async () => {
      db = mikroOrm({ entities: [User] })
      const test = await testCore({ services: [service], plugins: [db], ...expose })
      test.core.setLogger(createLogger({ write: () => undefined }))
      service.core = () => test.core
      await db.createAll()
      return test
    }
    for (const [title, end] of Object.entries(endings)) {
      it(title, async () => {
        await using test = await start()
        await end(test)
        // The one connection is free for this, and what was written is gone.
        expect(await usernames(db)).to.deep.equal([])
      })
    }

    it('is cut because the process stops', async () => {
      const test = await start()
      const call = failure(test.client.wait('stopping'))
      await until(() => entered.includes('stopping'))
      let left: string[] | undefined
      test.core.hooks.stopped.tap('test', async () => {
        left = await usernames(db)
      })
      const endpoint = `${test.endpoint}-short`
      await test.core.start({ ping: () => 1 }, { bind: endpoint, signals: false, shutdownTimeoutMs: 50 })
      await test.stop()
      await call
      expect(left).to.deep.equal([])
    })

    it('is refused by a later gate', async () => {
      const first = plugin('first', (core) => {
        core.hooks.beforeCall.tap('first', async ({ side }) => {
          if (side === 'server') await writeAndForget(db, 'lost')
        })
      })
      const refusing = plugin('refusing', (core) => {
        core.hooks.beforeCall.tap('refusing', (call) => {
          if (call.method === 'secret') throw new Error('refused')
        })
      })
      db = mikroOrm({ entities: [User] })
      const services = [{ secret: () => 1 }] as const
      await using test = await testCore({ services, plugins: [first, db, refusing] })
      await db.createAll()
      for (let i = 0; i < 2; i++)
        expect(await failure(test.client.secret())).to.include({ message: 'refused' })
      expect(await usernames(db)).to.deep.equal([])
    })
  })

  it('lasts to the end of a stream', async () => {
    const held: boolean[] = []
    await using test = await serve({
      async *names() {
        const first = await db.em.findOneOrFail(User, 1)
        yield first.username
        await sleep(5)
        held.push(first === (await db.em.findOneOrFail(User, 1)))
        yield first.email
      },
    })
    const items: string[] = []
    for await (const item of test.client.names()) items.push(item)
    expect(items).to.deep.equal(['admin', 'admin@example.com'])
    expect(held).to.deep.equal([true])
  })

  it('is not shared with a call that is made within it to a service of the same process', async () => {
    const users: User[] = []
    class Inner {
      static readonly service = 'inner'
      async load() {
        users.push(await db.em.findOneOrFail(User, 1))
      }
    }
    db = mikroOrm({ entities: [User] })
    const outer = {
      async load() {
        users.push(await db.em.findOneOrFail(User, 1))
        await (await test.core.client<Inner>('inner')).load()
        return (await db.em.findOneOrFail(User, 1)) === users[0]
      },
    }
    await using test = await testCore({ services: [outer, new Inner()], plugins: [db] })
    await db.createAll()
    await db.run(async () => db.em.insert(User, { username: 'admin' }))
    expect(await test.client.load()).to.equal(true)
    expect(users[0]).not.to.equal(users[1])
  })

  it('drops what was not flushed, and names it in debug mode', async () => {
    const service = {
      async forget() {
        db.em.create(User, { username: 'forgotten' })
        const admin = await db.em.findOneOrFail(User, 1)
        admin.email = 'changed'
      },
      async fail() {
        db.em.create(User, { username: 'forgotten' })
        throw new Error('no surprise')
      },
    }
    {
      await using test = await serve(service)
      await test.client.forget()
      await failure(test.client.fail())
      await until(() => lines.length > 0)
      expect(lines).to.have.length(1)
      expect(lines[0]).to.match(
        /WARN the session of bind default ended with changes.*lost: User\. Call db\.em\.flush/,
      )
      expect(lines[0]).to.match(/method=forget/)
      expect(await usernames(db)).to.deep.equal(['admin'])
    }
    await using quiet = await serve(service, [], { DEBUG: false })
    await quiet.client.forget()
    expect(await usernames(db)).to.deep.equal(['admin'])
    expect(lines).to.deep.equal([])
  })

  it('points out a query in a loop in debug mode', async () => {
    await using test = await serve({
      async loop() {
        for (let i = 1; i <= 12; i++) await db.em.count(User, { id: i })
      },
    })
    await test.client.loop()
    await until(() => lines.length > 0)
    expect(lines[0]).to.match(/WARN 12 queries of one shape in one call.*\(n\+1\): select count\(\*\)/)
  })

  it('counts queries and time by bind for the logs, and nothing in calls without queries', async () => {
    const seen: (DatabaseStats | undefined)[] = []
    const watching = plugin('watching', (core) => {
      core.hooks.afterCall.tap('watching', (call) => {
        if (call.side === 'server') seen.push((call as { dbStats?: DatabaseStats }).dbStats)
      })
    })
    await using test = await serve(
      {
        async two() {
          await db.em.findOne(User, 1)
          await db.em.find(User, {})
        },
        none: () => 1,
      },
      [watching],
    )
    await test.client.two()
    await test.client.none()
    expect(seen).to.have.length(2)
    expect(seen[0]).to.have.nested.property('default.queries', 2)
    expect(seen[0]?.['default']?.ms).to.be.greaterThan(0)
    expect(seen[1]).to.equal(undefined)
  })

  it('is on the call for plugins, as call.em and call.db, also in taps after the outcome', async () => {
    const seen: unknown[] = []
    const stamp: Plugin<{ needs: { em: Database['em']; db: { stats: DatabaseStats } } }> = {
      name: 'stamp',
      apply(core) {
        core.hooks.beforeCall.tap('stamp', async (call) => {
          if (call.side === 'server') seen.push((await call.em.findOneOrFail(User, 1)).username)
        })
        core.hooks.afterCall.tap('stamp', (call) => {
          if (call.side === 'server') seen.push(call.db.stats['default']?.queries)
        })
      },
    }
    await using test = await serve({ ping: () => 1 }, [stamp as Plugin])
    await test.client.ping()
    expect(seen).to.deep.equal(['admin', 1])
  })

  const attempt = (): unknown => {
    try {
      return db.em
    } catch (error) {
      return error
    }
  }

  it('is not there outside of calls, and the error says what to do', async () => {
    const escaped: unknown[] = []
    await using test = await serve({
      escape() {
        setTimeout(() => escaped.push(attempt()), 20)
      },
    })
    expect(attempt())
      .to.be.an('error')
      .that.includes({ code: 'ZASK_DATABASE_NO_SESSION' })
      .with.property('message')
      .that.matches(/db\.run\(async/)
    await test.client.escape()
    await until(() => escaped.length > 0)
    expect(escaped[0]).to.include({ code: 'ZASK_DATABASE_NO_SESSION' })
  })

  it('is fenced: what is loaded later through an entity or a manager that was kept fails', async () => {
    const kept: { em?: Database['em']; user?: User } = {}
    await using test = await serve({
      async keep() {
        kept.user = await db.em.findOneOrFail(User, 1)
        kept.em = db.em() as Database['em']
      },
    })
    await test.client.keep()
    expect(await failure((kept.em as Database['em']).findOne(User, 2))).to.include({
      code: 'ZASK_DATABASE_NO_SESSION',
    })
    expect(await failure((kept.em as Database['em']).begin())).to.include({
      code: 'ZASK_DATABASE_NO_SESSION',
    })
    // The connection is still free.
    expect(await usernames(db)).to.deep.equal(['admin'])
  })

  describe('of db.run', () => {
    it('is opened outside of calls, returns what the function returns, and ends with it', async () => {
      await using test = await serve({ ping: () => 1 })
      expect(await db.run(() => db.em.count(User))).to.equal(1)
      expect(
        await failure(
          db.run(async () => writeAndForget(db, 'lost').then(() => Promise.reject(new Error('no')))),
        ),
      ).to.include({ message: 'no' })
      expect(await usernames(db)).to.deep.equal(['admin'])
      expect(await test.client.ping()).to.equal(1)
    })

    it('stands beside that of the call it is opened in', async () => {
      await using test = await serve({
        async audit() {
          const user = await db.em.findOneOrFail(User, 1)
          const other = await db.run(async () => db.em.findOneOrFail(User, 1))
          return [user === other, user === (await db.em.findOneOrFail(User, 1))]
        },
      })
      expect(await test.client.audit()).to.deep.equal([false, true])
    })

    it('is not inherited by calls of a service that was started within it', async () => {
      db = mikroOrm({ entities: [User] })
      const service = {
        async hasSession() {
          return (await db.em.findOneOrFail(User, 1)).username
        },
      }
      await using core = createCore({ plugins: [db] })
      const started = db.run(() => core.start(service, { bind: 'inproc://zask-run-start', signals: false }))
      await started
      await db.createAll()
      await db.run(async () => db.em.insert(User, { username: 'admin' }))
      const client = await core.client<typeof service>('inproc://zask-run-start')
      expect(await client.hasSession()).to.equal('admin')
    })

    it('ends with its signal', async () => {
      await using _ = await serve({ ping: () => 1 })
      const stop = new AbortController()
      const work = db.run(
        async () => {
          stop.abort(new Error('enough'))
          await db.em.find(User, {})
        },
        { signal: stop.signal },
      )
      expect(await failure(work)).to.include({ message: 'enough' })
    })
  })

  it('keeps a transaction to those who run in it, also across binds', async () => {
    db = mikroOrm({ entities: [User] })
    const other = mikroOrm({ entities: [] })
    expect(() => createCore({ plugins: [db, other] })).to.throw(/two plugins are called "mikro-orm"/)
    const service = {
      async transfer() {
        await db.em.transactional(async () => {
          await db.em.insert(User, { username: 'inside' })
          await db.em('other').transactional(async () => {
            // Without care this would be outside of the transaction, and wait for its one connection for ever.
            await db.em.insert(User, { username: 'also inside' })
          })
        })
      },
    }
    db = mikroOrm({ entities: [User] })
    const config = { DATABASE_BINDS: { other: 'sqlite://' } }
    await using test = await testCore({ services: [service], plugins: [db], config })
    await db.createAll()
    await test.client.$with({ timeoutMs: 2_000 }).transfer()
    expect(await usernames(db)).to.deep.equal(['inside', 'also inside'])
  })

  it('is of one core: a second core does not have it', async () => {
    db = mikroOrm({ entities: [User] })
    expect(() => {
      createCore({ plugins: [db] })
      createCore({ plugins: [db] })
    }).to.throw(/Make one for each core/)
  })
})
