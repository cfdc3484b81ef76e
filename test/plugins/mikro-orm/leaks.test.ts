import { defineEntity, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore, createLogger } from 'zask'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { pause } from '../../support/cores.ts'
import { collectGarbage } from '../../support/garbage.ts'
import { measured } from '../../faults/measured.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { figures } from './users.ts'

const Entry = defineEntity({
  name: 'Entry',
  properties: { id: p.integer().primary(), text: p.string(), kept: p.boolean() },
})

const calls = Number(process.env['TEST_DATABASE_CALLS'] ?? 25_000)

/** Calls at the same time; the pool has fewer connections. */
const callers = 16

function heapAfterCollection(): number {
  for (let i = 0; i < 3; i++) collectGarbage()
  return process.memoryUsage().heapUsed
}

describe('thousands of calls with a database', function () {
  this.timeout(200_000)

  let server: PostgresServer
  before(async () => {
    server = await PostgresServer.start()
  })
  after(async () => {
    await server.stop()
  })

  it('leave no connection in use, no row of a transaction that was not committed, and no memory', async () => {
    const db = mikroOrm({ entities: [Entry] })
    await using core = createCore({ plugins: [db], config: { DEBUG: false } })
    core.setLogger(createLogger({ write: () => undefined }))
    core.config.fromObject({
      DATABASE_URI: server.database(`zask_leaks_${process.pid}`),
      DATABASE_POOL_SIZE: 8,
    })
    await db.createAll()
    const write = async (text: string, kept: boolean): Promise<void> => {
      db.em.create(Entry, { text, kept })
      await db.em.flush()
    }
    const select = (sql: string, em = db.em()): Promise<unknown> =>
      em.getConnection().execute(sql, [], 'all', em.getTransactionContext())
    const service = {
      write: (text: string) => write(text, true),
      read: async () => (await db.em.findOne(Entry, 1))?.text,
      async throw(): Promise<void> {
        await db.em.findOne(Entry, 1)
        throw new Error('on purpose')
      },
      async throwAfterWriting(text: string) {
        await db.em.begin()
        await write(text, false)
        throw new Error('on purpose')
      },
      async forget(text: string) {
        await db.em.begin()
        await write(text, false)
      },
      async slow() {
        await select('select pg_sleep(30)')
      },
      async slowAfterWriting() {
        await db.em.transactional(async (em) => {
          em.create(Entry, { text: 'slow', kept: false })
          await em.flush()
          await select('select pg_sleep(30)', em)
        })
      },
    }
    const { client } = await testCore({ services: [service], core, client: { timeoutMs: 30_000 } })
    const outcomes = { answered: 0, failed: 0 }
    /** Of thirty: three cancelled in a query, ten thrown, three with a forgotten transaction. */
    const one = async (i: number): Promise<unknown> => {
      const kind = i % 30
      const cancelled = client.$with({ signal: AbortSignal.timeout(20) })
      if (kind === 0) return cancelled.slowAfterWriting()
      if (kind <= 2) return cancelled.slow()
      if (kind <= 4) return client.throwAfterWriting(`thrown ${i}`)
      if (kind <= 12) return client.throw()
      if (kind <= 15) return client.forget(`forgotten ${i}`)
      return kind <= 18 ? client.write(`written ${i}`) : client.read()
    }
    const run = async (from: number, to: number): Promise<void> => {
      let next = from
      const caller = async (): Promise<void> => {
        for (let i = next++; i < to; i = next++) {
          await one(i).then(
            () => outcomes.answered++,
            () => outcomes.failed++,
          )
        }
      }
      await Promise.all(Array.from({ length: callers }, caller))
    }
    const pool = (await db.orm().em.getConnection().getNativeClient()) as {
      totalCount: number
      idleCount: number
    }

    // A heap goes on growing until all has been compiled that is used often: up to the 10,000th call or so.
    const early = calls * 0.4
    // What was cancelled ends a while after its caller was told; until then it is no leak.
    const settled = async (): Promise<void> => {
      while (pool.totalCount - pool.idleCount > 0) await pause(5)
      await pause(1000)
    }
    await run(0, early)
    await settled()
    const before = heapAfterCollection()
    await run(early, calls)
    await settled()
    const grownMiB = (heapAfterCollection() - before) / 2 ** 20

    const kinds = Array.from({ length: calls }, (_, i) => i % 30)
    const failing = kinds.filter((kind) => kind <= 12).length
    expect(outcomes).to.deep.equal({ answered: calls - failing, failed: failing })
    expect(pool.totalCount).to.be.at.most(8)
    const open = await db
      .orm()
      .em.getConnection()
      .execute(
        `select state, query from pg_stat_activity where datname = current_database() and state <> 'idle'
         and pid <> pg_backend_pid()`,
      )
    expect(open).to.deep.equal([])
    const { rolledBack, cancelled, now } = figures(core)
    expect(now).to.deep.equal({ sessions: 0 })
    // A forgotten transaction is rolled back for the method; one of a query that was cancelled may be so before.
    expect(rolledBack).to.be.at.least(
      kinds.filter((kind) => kind === 3 || kind === 4 || (kind >= 13 && kind <= 15)).length,
    )
    expect(cancelled).to.be.above(0)
    await db.run(async () => {
      expect(await db.query(Entry).filterBy({ kept: false }).count()).to.equal(0)
      expect(await db.query(Entry).filterBy({ kept: true }).count()).to.equal(
        kinds.filter((kind) => kind >= 16 && kind <= 18).length,
      )
    })
    measured('P18', 'connections still in use', pool.totalCount - pool.idleCount, `after ${calls} calls`)
    measured('P18', 'transactions rolled back because they were left open', rolledBack, `of ${calls} calls`)
    measured('P18', 'memory after the last three fifths of the calls', grownMiB, 'MiB')
    expect(grownMiB).to.be.lessThan(4)
  })
})
