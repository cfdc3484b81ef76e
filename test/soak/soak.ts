import { mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type Core, createCore } from 'zask'
import { Child } from '../support/children.ts'
import { PostgresServer } from '../support/postgres.ts'
import { RawDealer } from '../support/raw-peer.ts'
import type { Stretch } from './calling.ts'
import type { Sample } from './sample.ts'
import type { Look, Soaked } from './served.ts'

export interface SoakOptions {
  readonly seconds: number
  /** How often both sides are looked at, garbage collected before. */
  readonly everySeconds: number
  /** Processes of callers, and clients of each. */
  readonly processes: number
  readonly clients: number
  /** Every sixteenth call uses PostgreSQL. */
  readonly database: boolean
  /** Short-lived clients, abandoned streams and killed callers, so many of each at every look. */
  readonly churn: number
  /** How often the access log is moved away, as logrotate does; Infinity: never. */
  readonly rotateSeconds: number
  /** How soon those who were killed are noticed, and how long a starved machine may take to beat. */
  readonly heartbeatMs: number
  readonly tell?: (row: SoakRow) => void
}

/** One look at both sides. */
export interface SoakRow {
  readonly atSeconds: number
  readonly calls: number
  readonly failures: number
  readonly p99Ms: number
  readonly server: Sample
  readonly channels: number
  /** Live bytes of all callers together. */
  readonly callersBytes: number
}

export interface SoakReport {
  readonly rows: readonly SoakRow[]
  readonly calls: number
  readonly failures: number
  /** The first thing that went wrong, if any did. */
  readonly wrong: string | undefined
  readonly churned: { clients: number; streams: number; killed: number }
  /** The server before the first call and after the last. */
  readonly before: Look
  readonly after: Look
  /** The same of the callers, added up, and what their cores had open at the end. */
  readonly callers: { before: number; after: number; channels: number; calling: number }
  readonly logBytes: number
}

/** A server and its callers, each a process of its own, at full speed for so long. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'zask-soak-'))
  const children: Child[] = []
  const cores: Core[] = []
  let postgres: PostgresServer | undefined
  const start = (fixture: string, given: object): Child => {
    // Whatever hangs, it does not hang for ever.
    const child = new Child(`../soak/${fixture}`, given, { limitMs: (options.seconds + 120) * 1000 })
    children.push(child)
    return child
  }
  try {
    if (options.database) postgres = await PostgresServer.start()
    const database = postgres?.database(`soak_${process.pid}`) ?? null
    const server = start('served.ts', { folder, database, heartbeatMs: options.heartbeatMs })
    const endpoint = (await server.says('endpoint')) as string
    const core = createCore({ config: { DEBUG: false } }) as Core
    cores.push(core)
    const watcher = await core.client<Soaked>(endpoint)
    const soak = new Soak(options, endpoint, folder, watcher, start)
    // Whatever else breaks when the server ends, this is why.
    const end = server.exited.then(({ code, signal }) => {
      throw new Error(`the server ended with ${signal ?? code}: ${server.errors}`)
    })
    return await Promise.race([soak.run().catch((error: unknown) => afterwards(error, end)), end])
  } finally {
    await Promise.all(cores.map((core) => core.stop()))
    killAll(children)
    await Promise.all(children.map(({ exited }) => exited))
    await postgres?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

class Soak {
  readonly #options: SoakOptions
  readonly #endpoint: string
  readonly #folder: string
  readonly #watcher: Client<Soaked>
  readonly #start: (fixture: string, given: object) => Child
  readonly #rows: SoakRow[] = []
  readonly #churned = { clients: 0, streams: 0, killed: 0 }
  #rotations = 0

  constructor(
    options: SoakOptions,
    endpoint: string,
    folder: string,
    watcher: Client<Soaked>,
    start: (fixture: string, given: object) => Child,
  ) {
    this.#options = options
    this.#endpoint = endpoint
    this.#folder = folder
    this.#watcher = watcher
    this.#start = start
  }

  async run(): Promise<SoakReport> {
    const { processes, clients, seconds, everySeconds } = this.#options
    // Each kind of call once, so that what is made for the first of it is there.
    const warm = this.#start('calling.ts', { ...this.#calling(), seconds: 1, clients: 1 })
    await warm.says('end')
    const before = await this.#settled()
    const callers = Array.from({ length: processes }, () =>
      this.#start('calling.ts', { ...this.#calling(), seconds, clients }),
    )
    const samples = (await Promise.all(callers.map((one) => one.says('start')))) as Sample[]
    const started = performance.now()
    while (!callers.some(hasEnded)) {
      const nextMs = started + (this.#rows.length + 1) * everySeconds * 1000 - performance.now()
      if (await ended(callers, Math.max(nextMs, 10))) break
      const atSeconds = (performance.now() - started) / 1000
      await this.#look(atSeconds, callers)
      this.#rotate(atSeconds)
      await this.#churn()
    }
    const ends = (await Promise.all(callers.map((one) => one.says('end')))) as EndOfCaller[]
    const last = callers.map((one) => stretches(one).at(-1) as Stretch)
    return {
      rows: this.#rows,
      calls: sum(last, ({ calls }) => calls),
      failures: sum(last, ({ failures }) => failures),
      wrong: last.find(({ wrong }) => wrong !== undefined)?.wrong,
      churned: this.#churned,
      before,
      after: await this.#settled(before.files),
      callers: {
        before: sum(samples, ({ liveBytes }) => liveBytes),
        after: sum(ends, ({ liveBytes }) => liveBytes),
        channels: sum(ends, ({ channels }) => channels),
        calling: sum(ends, ({ calling }) => calling),
      },
      logBytes: sum(readdirSync(this.#folder), (file) => statSync(join(this.#folder, file)).size),
    }
  }

  #calling(): object {
    const { database, heartbeatMs } = this.#options
    return { endpoint: this.#endpoint, database, heartbeatMs }
  }

  /** The server once nobody calls: those who were killed are noticed by their beats. */
  async #settled(files?: number): Promise<Look> {
    let look = await this.#watcher.look()
    for (let round = 0; round < 60; round++) {
      if (look.now.channels === 0 && (files === undefined || look.files <= files)) break
      await new Promise((resolve) => setTimeout(resolve, 500))
      look = await this.#watcher.look()
    }
    return look
  }

  /** While all callers stand still. */
  async #look(atSeconds: number, callers: readonly Child[]): Promise<void> {
    const looks = this.#rows.length + 1
    for (const caller of callers) caller.kill('SIGUSR2')
    while (callers.some((one) => stretches(one).length < looks && !hasEnded(one)))
      await new Promise((resolve) => setTimeout(resolve, 20))
    const server = await this.#watcher.look()
    for (const caller of callers) caller.kill('SIGUSR2')
    const latest = callers.flatMap((one) => stretches(one).at(-1) ?? [])
    const row: SoakRow = {
      atSeconds,
      calls: sum(latest, ({ calls }) => calls),
      failures: sum(latest, ({ failures }) => failures),
      p99Ms: Math.max(0, ...latest.map(({ p99Ms }) => p99Ms)),
      server,
      channels: server.now.channels,
      callersBytes: sum(latest, ({ liveBytes }) => liveBytes),
    }
    this.#rows.push(row)
    this.#options.tell?.(row)
  }

  /** Clients that come and go, readers that go without a word, and callers that are killed. */
  async #churn(): Promise<void> {
    const { churn } = this.#options
    for (let index = 0; index < churn; index++) {
      await using core = createCore({ config: { DEBUG: false } }) as Core
      const client = await core.client<Soaked>(this.#endpoint)
      await client.echo(index)
      this.#churned.clients++
    }
    const readers = Array.from({ length: churn }, () => new RawDealer(this.#endpoint))
    for (const reader of readers) reader.request('endless', [])
    for (const reader of readers) {
      for (let wait = 0; reader.events.length === 0 && wait < 2000; wait++)
        await new Promise((resolve) => setTimeout(resolve, 5))
      reader.close()
      this.#churned.streams++
    }
    if (churn === 0) return
    const doomed = this.#start('calling.ts', {
      ...this.#calling(),
      seconds: 1000,
      everySeconds: 1000,
      clients: 1,
    })
    await doomed.says('start')
    await new Promise((resolve) => setTimeout(resolve, 300))
    doomed.kill('SIGKILL')
    await doomed.exited
    this.#churned.killed++
  }

  #rotate(atSeconds: number): void {
    if (Math.floor(atSeconds / this.#options.rotateSeconds) <= this.#rotations) return
    this.#rotations++
    const path = join(this.#folder, 'access.log')
    renameSync(path, `${path}.${this.#rotations % 2}`)
  }
}

interface EndOfCaller extends Sample {
  readonly channels: number
  readonly calling: number
}

/** The error, unless the end of the server, which may be known a moment later, explains it. */
async function afterwards(error: unknown, end: Promise<never>): Promise<never> {
  await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 1000))])
  throw error
}

function killAll(children: readonly Child[]): void {
  for (const child of children) child.kill('SIGKILL')
}

/** Whether all of them have ended within so long. */
function ended(callers: readonly Child[], ms: number): Promise<boolean> {
  const all = Promise.all(callers.map((one) => one.says('end'))).then(() => true)
  return Promise.race([all, new Promise<false>((resolve) => setTimeout(() => resolve(false), ms))])
}

function hasEnded(caller: Child): boolean {
  return caller.said.some((line) => 'end' in line) || caller.process.exitCode !== null
}

function stretches(caller: Child): Stretch[] {
  return caller.said.flatMap((line) => ('stretch' in line ? [line['stretch'] as Stretch] : []))
}

function sum<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((total, one) => total + of(one), 0)
}
