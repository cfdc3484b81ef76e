import { monitorEventLoopDelay } from 'node:perf_hooks'
import { EntitySchema } from '@mikro-orm/core'
import { createCore, createLogger, type StartOptions } from '../../core/index.ts'
import { type Database, mikroOrm, type Ping } from '../../plugins/mikro-orm.ts'
import { Victim } from './victim.ts'

/** One row for each call that was counted. */
export interface Counted {
  id: number
  call: string
}
export const Counted: EntitySchema<Counted> = new EntitySchema<Counted>({
  name: 'Counted',
  properties: { id: { type: 'integer', primary: true }, call: { type: 'string' } },
})

export interface DatabaseVictimOptions {
  /** The file that takes the id of each call before the call does anything. */
  readonly log: string
  readonly uri: string
  readonly poolSize?: number
  readonly queryTimeoutMs?: number
  readonly start?: StartOptions
}

/** The victim with a database: each `mark` is counted there, in a transaction, once its id is written down. */
export class DatabaseVictim extends Victim {
  readonly #db: Database
  readonly #lag = monitorEventLoopDelay({ resolution: 5 })

  constructor(log: string, core: ConstructorParameters<typeof Victim>[1], db: Database) {
    super(log, core)
    this.#db = db
  }

  /** On PostgreSQL the transaction takes so long. */
  override async mark(id: string, ms: number): Promise<string> {
    await super.mark(id, 0)
    await this.#db.em.transactional(async (em) => {
      if (ms > 0) {
        const seconds = ms / 1000
        await em.getConnection().execute('select pg_sleep(?)', [seconds], 'all', em.getTransactionContext())
      }
      em.create(Counted, { call: id })
      await em.flush()
    })
    return id
  }

  async read(id: string): Promise<string> {
    await super.mark(id, 0)
    await this.#db.em.findOne(Counted, 1)
    return id
  }

  async ping(): Promise<boolean> {
    const ping: Ping = await this.#db.ping()
    return ping.ok
  }

  watchLag(): void {
    this.#lag.reset()
    this.#lag.enable()
  }

  /** How late timers were since, in milliseconds. */
  lag(): { p90Ms: number; maxMs: number } {
    this.#lag.disable()
    return { p90Ms: this.#lag.percentile(90) / 1e6, maxMs: this.#lag.max / 1e6 }
  }
}

if (process.argv[1] === import.meta.filename) {
  const { log, uri, poolSize, queryTimeoutMs, start } = JSON.parse(
    process.argv[2] ?? '{}',
  ) as DatabaseVictimOptions
  const db = mikroOrm({ entities: [Counted], ...(queryTimeoutMs !== undefined && { queryTimeoutMs }) })
  const core = createCore({
    plugins: [db],
    config: { DEBUG: false, DATABASE_URI: uri, DATABASE_POOL_SIZE: poolSize ?? null },
  })
  // Each call that fails is logged, and there are thousands.
  core.setLogger(createLogger({ write: () => undefined }))
  const { endpoints } = await core.start(new DatabaseVictim(log, core, db), {
    bind: 'tcp://127.0.0.1:*',
    ...start,
  })
  process.stdout.write(`${JSON.stringify({ endpoint: endpoints[0] })}\n`)
}
