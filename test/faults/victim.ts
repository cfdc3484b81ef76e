import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Core, createCore, type StartOptions, type StatsReport } from '../../core/index.ts'
import { accessLog } from '../../plugins/access-log.ts'
import { faults, type FaultRule } from '../../plugins/faults.ts'

export interface VictimOptions {
  /** The file that takes the id of each call before the call does anything. */
  readonly log: string
  readonly start?: StartOptions
  readonly rules?: readonly FaultRule[]
  /** From when on whatever holds up the event loop is noticed. */
  readonly blockedLoopMs?: number
  /** Where the plugin access-log writes, if it is to be there. */
  readonly accessLog?: string
}

export interface VictimState {
  readonly stats: StatsReport
  readonly rss: number
  /** Its wall clock. */
  readonly date: number
  /** CPU time used so far, in milliseconds. */
  readonly cpuMs: number
}

/** The service that all is done to: it writes down the id of each call before it runs it. */
export class Victim {
  static readonly service: string = 'victim'
  readonly #log: number
  readonly #core: Core

  constructor(log: string, core: Core) {
    this.#log = openSync(log, 'a')
    this.#core = core
  }

  async mark(id: string, ms: number): Promise<string> {
    this.#executed(id)
    // Who waits no more is waited for no more.
    if (ms > 0) await sleep(ms, undefined, { signal: this.#core.call.signal })
    return id
  }

  async *count(id: string, to: number, ms: number): AsyncGenerator<number> {
    this.#executed(id)
    for (let item = 0; item < to; item++) {
      yield item
      if (ms > 0) await sleep(ms)
    }
  }

  /** Holds the event loop up. */
  spin(id: string, ms: number): string {
    this.#executed(id)
    const end = performance.now() + ms
    while (performance.now() < end);
    return id
  }

  async blob(bytes: number, afterMs: number = 0): Promise<Uint8Array> {
    if (afterMs > 0) await sleep(afterMs, undefined, { signal: this.#core.call.signal })
    return new Uint8Array(bytes)
  }

  echo(value: unknown): unknown {
    return value
  }

  state(): VictimState {
    const { user, system } = process.cpuUsage()
    return {
      stats: this.#core.stats,
      rss: process.memoryUsage.rss(),
      date: Date.now(),
      cpuMs: (user + system) / 1000,
    }
  }

  #executed(id: string): void {
    writeSync(this.#log, `${id}\n`)
  }
}

if (process.argv[1] === import.meta.filename) {
  const {
    log,
    start,
    rules,
    blockedLoopMs,
    accessLog: path,
  } = JSON.parse(process.argv[2] ?? '{}') as VictimOptions
  const core = createCore({
    ...(blockedLoopMs !== undefined && { blockedLoopMs }),
    plugins: [
      ...(rules === undefined ? [] : [faults({ rules })]),
      ...(path === undefined ? [] : [accessLog({ device: true })]),
    ],
    config: { DEBUG: false, ...(path !== undefined && { ZERORPC_ACCESS_LOG: path }) },
  })
  const { endpoints } = await core.start(new Victim(log, core), {
    bind: 'tcp://127.0.0.1:*',
    ...start,
  })
  process.on('exit', (code) => process.stdout.write(`${JSON.stringify({ exit: code, stats: core.stats })}\n`))
  process.stdout.write(`${JSON.stringify({ endpoint: endpoints[0] })}\n`)
}
