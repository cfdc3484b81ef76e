import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Client,
  type ClientOptions,
  type Core,
  createCore,
  RemoteError,
  ZaskError,
} from '../../core/index.ts'
import { Child, type ChildOptions } from '../support/children.ts'
import { TcpProxy, type Weather } from '../support/tcp-proxy.ts'
import { type Ending, executed, History } from './history.ts'
import { beatMs } from './scale.ts'
import type { DatabaseVictim, DatabaseVictimOptions } from './database-victim.ts'
import type { Victim, VictimOptions } from './victim.ts'

/** A victim in a process of its own. */
export interface Victims {
  readonly child: Child
  readonly endpoint: string
}

/** All that one rehearsal opens; `close` ends it, whatever happened. Its victims share one log. */
export class Stage {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'zask-faults-'))
  readonly log: string = join(this.folder, 'executed')
  readonly history: History = new History()
  readonly #close: (() => unknown)[] = []

  async close(): Promise<void> {
    for (const close of this.#close.splice(0).toReversed()) await close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Starts a victim, at a free port where none is given. */
  async victim(options: Partial<VictimOptions> = {}, how: ChildOptions = {}): Promise<Victims> {
    const start = { heartbeat: { intervalMs: beatMs }, ...options.start }
    const child = this.child('../faults/victim.ts', { log: this.log, ...options, start }, how)
    return { child, endpoint: (await child.says('endpoint')) as string }
  }

  /** Starts a victim that has a database, with a caller. */
  async databaseVictim(
    { start, ...options }: Omit<DatabaseVictimOptions, 'log'>,
    heartbeat: { intervalMs: number } = { intervalMs: beatMs },
  ): Promise<{ core: Core; client: Client<DatabaseVictim>; load: Load }> {
    const child = this.child('../faults/database-victim.ts', {
      log: this.log,
      ...options,
      start: { heartbeat, ...start },
    })
    return this.caller<DatabaseVictim>((await child.says('endpoint')) as string, { heartbeat })
  }

  child(fixture: string, options: object, how: ChildOptions = {}): Child {
    const child = new Child(fixture, options, how)
    this.#close.push(async () => {
      // A process that is stopped takes no other signal.
      child.kill('SIGKILL')
      await child.exited
    })
    return child
  }

  async caller<V extends Victim = Victim>(
    endpoint: string,
    options: ClientOptions = {},
  ): Promise<{ core: Core; client: Client<V>; load: Load }> {
    const core = createCore({ config: { DEBUG: false } })
    this.#close.push(() => core.stop().catch(() => 0))
    const client = await core.client<V>(endpoint, { heartbeat: { intervalMs: beatMs }, ...options })
    return { core, client, load: new Load(client as Client<Victim>, this.history) }
  }

  async proxy(endpoint: string, weather?: Weather): Promise<TcpProxy> {
    const proxy = await TcpProxy.open(endpoint, weather)
    this.#close.push(() => proxy.close())
    return proxy
  }

  /** To be closed with the rest. */
  add<T>(thing: T, close: (thing: T) => unknown): T {
    this.#close.push(() => close(thing))
    return thing
  }

  /** The ids that were run, in that order. */
  executed(): string[] {
    return executed(this.log)
  }

  /** What both logs have against each other, and against what a database has kept. */
  problems(kept?: readonly string[]): string[] {
    return this.history.problems(this.executed(), kept)
  }
}

/** Calls of one client, each of them in the history. */
export class Load {
  readonly #client: Client<Victim>
  readonly #history: History
  readonly #open = new Set<Promise<unknown>>()
  #timer: NodeJS.Timeout | undefined
  #callers: Promise<unknown> = Promise.resolve()
  #called = false

  constructor(client: Client<Victim>, history: History) {
    this.#client = client
    this.#history = history
  }

  /** A call that takes the service so long; resolves with its ending, never rejects. */
  call(ms: number, timeoutMs = 30_000, method: 'mark' | 'spin' | 'read' = 'mark'): Promise<Ending> {
    const id = this.#history.begin(timeoutMs, { reads: method === 'read' })
    return this.#keep(id, async () => {
      const answer = await this.#client.$call(method, [id, ms], { timeoutMs })
      if (answer !== id) throw new Error(`${id} was answered with ${String(answer)}`)
    })
  }

  /** A stream that is read to its end, an item each so many milliseconds. */
  stream(length: number, ms: number, readMs = 0): Promise<Ending> {
    const id = this.#history.begin(30_000, { length })
    return this.#keep(id, async () => {
      for await (const item of this.#client.count(id, length, ms)) {
        this.#history.item(id, item)
        if (readMs > 0) await new Promise((resolve) => setTimeout(resolve, readMs))
      }
    })
  }

  /** Makes a call each so many milliseconds until `settled` is asked for. */
  each(everyMs: number, ms: () => number = () => 0, timeoutMs?: number): void {
    this.#timer = setInterval(() => void this.call(ms(), timeoutMs), everyMs)
  }

  /** So many callers that call again as soon as they have an ending, after a failure 20 ms later. */
  callers(count: number, call: (caller: number) => Promise<Ending>): void {
    this.#called = true
    const caller = async (mine: number): Promise<void> => {
      while (this.#called) {
        const { ok } = await call(mine)
        if (!ok) await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    this.#callers = Promise.all(Array.from({ length: count }, (_, mine) => caller(mine)))
  }

  /** Stops making calls, and waits for those that are open. */
  async settled(): Promise<void> {
    clearInterval(this.#timer)
    this.#called = false
    await this.#callers
    while (this.#open.size > 0) await Promise.all(this.#open)
  }

  #keep(id: string, work: () => Promise<void>): Promise<Ending> {
    const kept = this.#run(id, work).finally(() => this.#open.delete(kept))
    this.#open.add(kept)
    return kept
  }

  async #run(id: string, work: () => Promise<void>): Promise<Ending> {
    let ending: Ending = { ok: true }
    try {
      await work()
    } catch (error) {
      const { message } = error as Error
      const { code, sent } = error instanceof ZaskError ? error : { code: 'no ZaskError', sent: undefined }
      ending = { ok: false, code, message, ...(sent !== undefined && { sent }) }
      if (error instanceof RemoteError) {
        const { remoteName, retryable } = error
        ending = { ...ending, remoteName, ...(retryable !== undefined && { retryable }) }
      }
    }
    this.#history.end(id, ending)
    return ending
  }
}

/** Looks how long the event loop of this process was held up at most, in milliseconds, from now on. */
export function watchLoop(): { stop(): number } {
  let [longest, last] = [0, performance.now()]
  const look = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const timer = setInterval(look, 10)
  return {
    stop() {
      clearInterval(timer)
      look()
      return longest
    },
  }
}

/** Descriptors that a process has open, this one by default. */
export function descriptors({ pid }: { readonly pid?: number | undefined } = process): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Milliseconds until the next call is answered, beginning now; calls are made until one is, each with so much time. */
export async function untilAnswered(load: Load, timeoutMs = 20_000, limitMs = 30_000): Promise<number> {
  const begun = performance.now()
  while (performance.now() - begun < limitMs) {
    const { ok } = await load.call(0, timeoutMs)
    if (ok) return performance.now() - begun
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`no call was answered for ${limitMs} ms`)
}
