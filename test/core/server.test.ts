import { expect } from 'chai'
import { Cores, failure, pause, until } from '../support/cores.ts'
import type { Work } from '../support/serving-child.ts'
import { ServingChildren } from '../support/serving-children.ts'

const cores = new Cores()
const children = new ServingChildren()
afterEach(async () => {
  children.kill()
  await cores.close()
})

/** Calls that end when the test says so. */
class Held {
  running = 0
  most = 0
  readonly ran: number[] = []
  readonly #release: (() => void)[] = []

  async hold(id: number): Promise<number> {
    this.ran.push(id)
    this.most = Math.max(this.most, ++this.running)
    await new Promise<void>((resolve) => this.#release.push(resolve))
    this.running--
    return id
  }

  quick(id: number): number {
    this.ran.push(id)
    return id
  }

  static releaseFirst(held: Held): void {
    held.#release.shift()?.()
  }
}

function release(held: Held): void {
  Held.releaseFirst(held)
}

describe('poolSize and queueSize', () => {
  it('let so many run, so many wait in order, and refuse the rest as Overloaded', async () => {
    const held = new Held()
    const { core, endpoint } = await cores.serve(held, { poolSize: 2, queueSize: 3 })
    const { client } = await cores.client<Held>(endpoint)
    const calls = Array.from({ length: 8 }, async (_, id) => client.hold(id).then(
      (value) => ({ value, error: undefined }),
      (error: unknown) => ({ value: undefined, error }),
    )) // prettier-ignore
    await until(() => core.stats.served.overloaded === 3)
    expect(core.stats.now).include({ running: 2, queued: 3 })
    for (let released = 0; released < 5; released++) {
      await until(() => held.running > 0)
      release(held)
      await pause(2)
    }
    const results = await Promise.all(calls)
    expect(results.map(({ value }) => value).filter((value) => value !== undefined)).deep.equal([
      0, 1, 2, 3, 4,
    ])
    for (const { error } of results.slice(5)) {
      expect(error).include({ code: 'ZASK_SERVER_OVERLOADED', remoteName: 'Overloaded', retryable: true })
    }
    expect(held.most).equal(2)
    expect(held.ran).deep.equal([0, 1, 2, 3, 4])
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
    expect(core.stats.served).deep.equal({ ok: 5, failed: 3, overloaded: 3 })
  })

  it('give the place of a waiting call that was cancelled to another', async () => {
    const held = new Held()
    const { core, endpoint } = await cores.serve(held, { poolSize: 1, queueSize: 1 })
    const { client } = await cores.client<Held>(endpoint)
    const first = client.hold(1)
    await until(() => held.running === 1)
    const cancel = new AbortController()
    const second = failure(client.$call('hold', [2], { signal: cancel.signal }))
    await until(() => core.stats.now.queued === 1)
    cancel.abort()
    await second
    await until(() => core.stats.now.queued === 0)
    const third = client.hold(3)
    await until(() => core.stats.now.queued === 1)
    release(held)
    await until(() => held.ran.length === 2)
    release(held)
    expect(await Promise.all([first, third])).deep.equal([1, 3])
    expect(held.ran).deep.equal([1, 3])
  })

  it('run a long queue of synchronous calls without nesting them', async () => {
    const held = new Held()
    const { core, endpoint } = await cores.serve(held, { poolSize: 1, queueSize: 20_000 })
    const { client } = await cores.client<Held>(endpoint)
    const first = client.hold(-1)
    await until(() => held.running === 1)
    const calls = Array.from({ length: 8000 }, (_, id) => client.quick(id))
    await until(() => core.stats.now.queued === 8000)
    release(held)
    await first
    expect(await Promise.all(calls)).deep.equal(Array.from({ length: 8000 }, (_, id) => id))
  })

  it('hold for each service by itself', async () => {
    const [one, other] = [new Held(), new Held()]
    const { endpoint } = await cores.serve(
      [Object.assign({ hold: () => one.hold(1) }), Object.assign({ quick: () => other.quick(2) })],
      { poolSize: 1, queueSize: 0 },
    )
    const { client } = await cores.client<{ hold(): Promise<number>; quick(): number }>(endpoint)
    const holding = client.hold()
    await until(() => one.running === 1)
    expect(await client.quick()).equal(2)
    expect(await failure(client.hold())).include({ code: 'ZASK_SERVER_OVERLOADED' })
    release(one)
    await holding
  })
})

describe('SIGTERM under load', () => {
  it('finishes running calls and streams, sends new ones elsewhere, ends every session, and exits with 0', async () => {
    const [stopping, staying] = [await children.start(), await children.start()]
    const { client: stopped } = await cores.client<Work>(stopping.endpoint)
    const { core, client: both } = await cores.client<Work>([stopping.endpoint, staying.endpoint])
    await until(() => both.$endpoints.every(({ up }) => up))
    const running = Array.from({ length: 20 }, () => stopped.slow(300))
    const items: number[] = []
    const stream = (async () => {
      for await (const item of stopped.count(60, 5)) items.push(item)
    })()
    await until(() => items.length > 2)
    // Load that goes on all the time: none of it may fail, wherever it is answered.
    let answered = 0
    const loading = new AbortController()
    const load = Array.from({ length: 5 }, async () => {
      while (!loading.signal.aborted) {
        await both.echo(answered)
        answered++
      }
    })
    stopping.child.kill('SIGTERM')
    await stopping.child.says('stopping')
    const refused = await failure(stopped.echo(1))
    expect(refused).include({
      code: 'ZASK_SERVER_STOPPING',
      remoteName: 'ServiceUnavailable',
      retryable: true,
    })
    const pids = new Set(await Promise.all(Array.from({ length: 50 }, () => both.pid())))
    expect([...pids]).deep.equal([staying.child.process.pid])
    expect(await Promise.all(running)).deep.equal(Array(20).fill('done'))
    await stream
    expect(items).deep.equal(Array.from({ length: 60 }, (_, index) => index + 1))
    expect(await stopping.child.exited).deep.equal({ code: 0, signal: null })
    loading.abort()
    await Promise.all(load)
    const last = stopping.child.said.find((line) => 'stopped' in line) as { calls: number; ended: number }
    expect(last.ended).at.least(last.calls).and.above(20)
    expect(stopping.child.errors).equal('')
    expect(core.stats.made.failed).equal(0)
    expect(answered).above(0)
  })

  it('exits with 1 where calls were cut at shutdownTimeoutMs', async () => {
    const { child, endpoint } = await children.start({ shutdownTimeoutMs: 50 })
    const { client } = await cores.client<Work>(endpoint)
    const call = failure(client.slow(60_000))
    expect(await client.echo(1)).equal(1)
    child.kill('SIGTERM')
    expect(await call).include({ remoteName: 'ServiceUnavailable', retryable: true })
    expect(await child.exited).deep.equal({ code: 1, signal: null })
    expect(child.said.find((line) => 'stopped' in line)).include({ calls: 2, ended: 2 })
  })
})
