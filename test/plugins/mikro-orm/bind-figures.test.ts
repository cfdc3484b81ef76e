import { defineEntity, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { createLogger } from 'zask'
import { type BindReport, entityFor, mikroOrm } from 'zask/plugins/mikro-orm'
import { testCore } from 'zask/testing'
import { failure, until } from '../../support/cores.ts'
import { figures } from './users.ts'

const Entry = defineEntity({
  name: 'Entry',
  properties: { id: p.integer().primary(), text: p.string().unique() },
})
const Visit = entityFor('visits')({ name: 'Visit', properties: { id: p.integer().primary() } })

const nothing: BindReport = {
  sessions: 0,
  queries: 0,
  failed: 0,
  cancelled: 0,
  timedOut: 0,
  lockTimeouts: 0,
  lockWaits: 0,
  rolledBack: 0,
  now: { sessions: 0 },
}

/** A service on two databases in memory; `grown` has what was counted since the tables were made. */
async function serve<S extends object>(make: (db: ReturnType<typeof mikroOrm>) => S) {
  const db = mikroOrm({ entities: [Entry, Visit] })
  const test = await testCore({
    services: [make(db)],
    plugins: [db],
    config: { DEBUG: false, DATABASE_BINDS: { visits: 'sqlite://' } },
  })
  test.core.setLogger(createLogger({ write: () => undefined }))
  await db.createAll()
  const [before, visitsBefore] = [figures(test.core), figures(test.core, 'visits')]
  const grown = (bind = 'default'): Partial<BindReport> => {
    const was = bind === 'default' ? before : visitsBefore
    return Object.fromEntries(
      Object.entries(figures(test.core, bind)).map(([key, value]) => [
        key,
        typeof value === 'number' ? value - Number(was[key as keyof BindReport]) : value,
      ]),
    )
  }
  return Object.assign(test, { grown })
}

describe('the figures of a database', () => {
  it('count by bind the sessions that calls have opened, and no call that asked nothing', async () => {
    const gate = Promise.withResolvers<void>()
    await using test = await serve((db) => ({
      idle: () => 'nothing',
      read: () => db.query(Entry).count(),
      both: async () => (await db.query(Entry).count()) + (await db.query(Visit).count()),
      async hold() {
        await db.query(Visit).count()
        await gate.promise
      },
    }))
    for (let call = 0; call < 3; call++) await test.client.idle()
    expect(test.grown()).deep.equal(nothing)
    await test.client.read()
    await test.client.both()
    expect(test.grown()).deep.equal({ ...nothing, sessions: 2, queries: 2 })
    const held = test.client.hold()
    await until(() => test.grown('visits').queries === 2)
    expect(test.grown('visits')).deep.equal({ ...nothing, sessions: 2, queries: 2, now: { sessions: 1 } })
    gate.resolve()
    await held
    await until(() => figures(test.core, 'visits').now.sessions === 0)
  })

  it('count queries that failed, and transactions that were left open', async () => {
    await using test = await serve((db) => ({
      async add(text: string) {
        await db.em.insert(Entry, { text })
      },
      async forget() {
        await db.em.begin()
        await db.em.insert(Entry, { text: 'forgotten' })
      },
    }))
    await test.client.add('once')
    expect((await failure(test.client.add('once'))).remoteName).equal('UniqueConstraintViolationException')
    await test.client.forget()
    await until(() => figures(test.core).now.sessions === 0)
    expect(test.grown()).deep.equal({ ...nothing, sessions: 3, queries: 3, failed: 1, rolledBack: 1 })
  })
})
