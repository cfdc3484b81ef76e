import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineEntity, type Options, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore } from 'zask'
import { entityFor, mikroOrm } from 'zask/plugins/mikro-orm'
import { BindFigures } from '../../../plugins/mikro-orm/bind-figures.ts'
import { connectionOptions } from '../../../plugins/mikro-orm/connection-options.ts'
import { parseDatabaseUri } from '../../../plugins/mikro-orm/database-uri.ts'
import type { BindSettings } from '../../../plugins/mikro-orm/settings.ts'

const Entry = defineEntity({ name: 'Entry', properties: { id: p.integer().primary(), text: p.string() } })

const limits = { queryTimeoutMs: 60_000, idleTransactionMs: 30_000, current: () => undefined }

function settings(uri: string, more: Partial<BindSettings> = {}): BindSettings {
  return {
    name: 'users',
    key: 'DATABASE_BINDS',
    address: parseDatabaseUri(uri, '/', 'DATABASE_BINDS'),
    replicas: [],
    poolSize: 7,
    poolTimeoutMs: 3_000,
    poolRecycleSeconds: 600,
    orm: {},
    ...more,
  }
}

function optionsOf(of: BindSettings, own: Partial<Options> = {}): Partial<Options> {
  return connectionOptions(of, own, limits, new BindFigures())
}

function driverOptions(uri: string, own = {}): object {
  const { driverOptions: made } = optionsOf(settings(uri), own)
  return (made as unknown as () => object)()
}

const Replicated = entityFor('shop')({
  name: 'Entry',
  properties: { id: p.integer().primary(), text: p.string() },
})

function file(name: string): string {
  return `sqlite:///${name}.db`
}

describe('the connections of a bind', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-connections-'))
  })
  after(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  it('have the pool of the config: its size, how long to wait, and how old they get', () => {
    const uri = 'postgresql://u:secret@h:5/d?application_name=shop&sslmode=require'
    expect(optionsOf(settings(uri))).to.deep.include({
      host: 'h',
      port: 5,
      user: 'u',
      password: 'secret',
      dbName: 'd',
      pool: { max: 7 },
    })
    expect(driverOptions(uri)).to.deep.include({
      connectionTimeoutMillis: 3_000,
      maxLifetimeSeconds: 600,
      query_timeout: 60_000,
      idle_in_transaction_session_timeout: 30_000,
      application_name: 'shop',
      ssl: { rejectUnauthorized: false },
    })
    expect(optionsOf(settings('mysql://h/d')).pool).to.deep.equal({
      max: 7,
      idleTimeoutMillis: 600_000,
    })
    expect(driverOptions('mysql://h/d?charset=utf8mb4')).to.deep.include({
      connectTimeout: 3_000,
      charset: 'utf8mb4',
    })
  })

  it('have what the application says of them, which wins', () => {
    const own = { pool: { max: 2 }, driverOptions: { query_timeout: 5 } }
    expect(optionsOf(settings('postgresql://h/d'), own).pool).to.deep.equal({ max: 2 })
    expect(driverOptions('postgresql://h/d', own)).to.include({ query_timeout: 5, maxLifetimeSeconds: 600 })
  })

  it('lead to the replicas, too', () => {
    const replicas = [parseDatabaseUri('postgresql://r:secret@replica/d', '/', 'DATABASE_BINDS')]
    const made = optionsOf(settings('postgresql://h/d', { replicas })).replicas
    expect(made).to.have.length(1)
    expect(made?.[0]).to.include({ host: 'replica', user: 'r', password: 'secret', dbName: 'd' })
  })

  it('read from a replica outside of transactions, and write to the database itself', async () => {
    const fill = async (name: string): Promise<void> => {
      const db = mikroOrm({ entities: [Entry] })
      await using _ = createCore({ root: folder, plugins: [db], config: { DATABASE_URI: file(name) } })
      await db.createAll()
      await db.run(async () => db.em.insert(Entry, { text: name }))
    }
    for (const name of ['writer', 'replica']) await fill(name)
    const replicated = mikroOrm({ entities: [Replicated] })
    await using other = createCore({ root: folder, plugins: [replicated] })
    other.config.fromObject({
      DATABASE_BINDS: { shop: { uri: file('writer'), replicas: [file('replica')] } },
    })
    await replicated.run(async () => {
      const em = replicated.em('shop')
      expect((await em.findOneOrFail(Replicated, 1)).text).to.equal('replica')
      em.clear()
      await em.transactional(async () => {
        expect((await replicated.em('shop').findOneOrFail(Replicated, 1)).text).to.equal('writer')
      })
    })
  })

  it('let SQLite itself wait for a lock no longer than the event loop may stand still, which is 200 ms', () => {
    expect(driverOptions('sqlite:///app.db')).to.have.property('timeout').that.is.within(1, 200)
  })
})
