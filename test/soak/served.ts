import { join } from 'node:path'
import { defineEntity, p } from '@mikro-orm/core'
import { type Core, createCore, type Plugin, type StatsReport } from 'zask'
import { accessLog } from 'zask/plugins/access-log'
import { debugLog } from 'zask/plugins/debug-log'
import { headers } from 'zask/plugins/headers'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { requestChain } from 'zask/plugins/request-chain'
import { type Sample, sample } from './sample.ts'

export interface ServedOptions {
  /** The folder of the logs. */
  readonly folder: string
  /** A PostgreSQL database to be used by every so many calls; null for none. */
  readonly database: string | null
  readonly heartbeatMs: number
}

export interface Look extends Sample {
  readonly now: StatsReport['now']
  readonly served: StatsReport['served']
}

const Entry = defineEntity({
  name: 'Entry',
  properties: { id: p.integer().primary(), text: p.string().length(80) },
})
const db = mikroOrm({ entities: [Entry] })

/** What is called for hours: values and streams of all sizes, errors, calls that are given up, a database. */
export class Soaked {
  readonly #core: () => Core

  constructor(core: () => Core) {
    this.#core = core
  }

  echo(value: unknown): unknown {
    return value
  }

  blob(bytes: number): Buffer {
    return Buffer.alloc(bytes, 0x61)
  }

  fail(): string {
    throw new TypeError('as it was asked for')
  }

  /** Waits until it is given up, a minute at most. */
  async linger(): Promise<string> {
    const { signal } = this.#core().call
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 60_000)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    return 'nobody waits'
  }

  *parts(sizes: readonly number[]): Generator<Buffer> {
    for (const size of sizes) yield Buffer.alloc(size, 0x62)
  }

  *endless(): Generator<number> {
    for (let item = 0; ; item++) yield item
  }

  /** A transaction that writes a line and takes it back, and a query. */
  async entries(text: string): Promise<number> {
    await db.em.transactional(async (em) => {
      const entry = em.create(Entry, { text })
      await em.flush()
      em.remove(entry)
    })
    return await db.em.count(Entry)
  }

  async look(): Promise<Look> {
    const { now, served } = this.#core().stats
    // The call that looks has a channel, too.
    return {
      ...(await sample()),
      now: { ...now, channels: now.channels - 1, running: now.running - 1 },
      served,
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const { folder, database, heartbeatMs } = JSON.parse(process.argv[2] ?? '{}') as ServedOptions
  const plugins = [debugLog(), headers(), requestChain(), accessLog()] as readonly Plugin[]
  const core = createCore({ plugins: database === null ? plugins : [...plugins, db] }) as Core
  const logs = { ERROR_LOG: join(folder, 'error.log'), ZERORPC_ACCESS_LOG: join(folder, 'access.log') }
  core.config.fromObject({ DEBUG: false, ...logs, ...(database !== null && { DATABASE_URI: database }) })
  if (database !== null) await db.createAll()
  const service = new Soaked(() => core)
  const { endpoints } = await core.start(service, {
    bind: 'tcp://127.0.0.1:*',
    service: 'soaked',
    heartbeat: { intervalMs: heartbeatMs },
  })
  process.stdout.write(`${JSON.stringify({ endpoint: endpoints[0] })}\n`)
}
