import { defineEntity, p } from '@mikro-orm/core'
import { type Client, createCore } from 'zask'
import { type Database, mikroOrm } from 'zask/plugins/mikro-orm'
import { PostgresServer } from '../support/postgres.ts'
import { median } from './statistics.ts'

const User = defineEntity({ name: 'User', properties: { id: p.integer().primary(), username: p.string() } })

/** What is compared: with and without the plugin, with and without a query. */
class Users {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  echo(value: number): number {
    return value
  }

  /** As one would do it without the plugin. */
  async byHand(id: number): Promise<string | undefined> {
    return (await this.#db.orm().em.fork({ disableContextResolution: true }).findOne(User, id))?.username
  }

  async bySession(id: number): Promise<string | undefined> {
    return (await this.#db.em.findOne(User, id))?.username
  }
}

/** Calls per second, by what was measured; medians over the rounds. */
export interface DatabaseFigures {
  readonly database: string
  readonly echoWithoutPlugin: number
  readonly echoWithPlugin: number
  readonly rowByHand: number
  readonly rowBySession: number
}

interface Measured {
  readonly name: keyof Omit<DatabaseFigures, 'database'>
  call(i: number): PromiseLike<unknown>
}

export interface DatabaseBenchOptions {
  readonly rounds: number
  /** Length of one measurement. */
  readonly seconds: number
  /** Calls at the same time. */
  readonly inFlight: number
  say(line: string): void
}

/**
 * What the session of a call costs: a row read by its primary key through the plugin, beside the same with a fork
 * made by hand, and a call without a database, beside a core without the plugin. On SQLite in memory and PostgreSQL.
 *
 * Client and servers share this process and take turns in it: the figures are for comparing, not for quoting.
 */
export async function benchDatabase(options: DatabaseBenchOptions): Promise<DatabaseFigures[]> {
  const server = await PostgresServer.start()
  try {
    const figures: DatabaseFigures[] = []
    const places = {
      'SQLite in memory': 'sqlite://',
      PostgreSQL: server.database(`zask_bench_${process.pid}`),
    }
    for (const [database, uri] of Object.entries(places)) {
      options.say(`measuring ${database}…`)
      figures.push({ database, ...(await measure(uri, options)) })
    }
    return figures
  } finally {
    await server.stop()
  }
}

async function measure(
  uri: string,
  options: DatabaseBenchOptions,
): Promise<Omit<DatabaseFigures, 'database'>> {
  const db = mikroOrm({ entities: [User] })
  await using core = createCore({ plugins: [db], config: { DEBUG: false } })
  await using plain = createCore({ config: { DEBUG: false } })
  await using caller = createCore({ config: { DEBUG: false } })
  core.config.fromObject({ DATABASE_URI: uri })
  await db.createAll()
  await db.dropAll()
  await db.createAll()
  await db.run(() =>
    db.em.insertMany(
      User,
      Array.from({ length: 1_000 }, (_, i) => ({ username: `user ${i}` })),
    ),
  )
  const serve = async (of: typeof plain): Promise<Client<Users>> => {
    const { endpoints } = await of.start(new Users(db), { bind: 'tcp://127.0.0.1:*', signals: false })
    return caller.client<Users>(endpoints)
  }
  const [without, users] = [await serve(plain), await serve(core)]
  const kinds: readonly Measured[] = [
    { name: 'echoWithoutPlugin', call: (i) => without.echo(i) },
    { name: 'echoWithPlugin', call: (i) => users.echo(i) },
    { name: 'rowByHand', call: (i) => users.byHand((i % 1_000) + 1) },
    { name: 'rowBySession', call: (i) => users.bySession((i % 1_000) + 1) },
  ]
  const rates = new Map<string, number[]>(kinds.map(({ name }) => [name, []]))
  for (const kind of kinds) await rate(kind, options.seconds / 2, options.inFlight)
  for (let round = 0; round < options.rounds; round++) {
    // In turn forwards and backwards, so that no kind always runs after the same other.
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      rates.get(kind.name)?.push(await rate(kind, options.seconds, options.inFlight))
    }
  }
  const entries = [...rates].map(([name, list]) => [name, Math.round(median(list))])
  return Object.fromEntries(entries) as Omit<DatabaseFigures, 'database'>
}

async function rate(kind: Measured, seconds: number, inFlight: number): Promise<number> {
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  let calls = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < until) await kind.call(calls++)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return calls / ((performance.now() - startedAt) / 1000)
}

/** The figures as a table, with the price of the plugin in percent of the time of a call. */
export function describeFigures(figures: readonly DatabaseFigures[]): string {
  return figures
    .flatMap(({ database, echoWithoutPlugin, echoWithPlugin, rowByHand, rowBySession }) => [
      database,
      `  a call without a database   ${echoWithoutPlugin} calls/s without the plugin, ${echoWithPlugin} with it: ${price(echoWithoutPlugin, echoWithPlugin)}`,
      `  a row by its primary key    ${rowByHand} calls/s with a fork by hand, ${rowBySession} by db.em: ${price(rowByHand, rowBySession)}`,
    ])
    .join('\n')
}

function price(without: number, withIt: number): string {
  const percent = (without / withIt - 1) * 100
  return `${percent < 0 ? '' : '+'}${percent.toFixed(1)} %`
}
