import { expect } from 'chai'
import { pickTarget, Target } from '../../core/balancer.ts'
import type { Connection } from '../../core/wire/connection.ts'
import { Child } from '../support/children.ts'
import { Cores, failure, pause, until } from '../support/cores.ts'
import type { Work } from '../support/serving-child.ts'

/** A target whose connection is nothing but up or down. */
function target(up = true): { target: Target; connection: { up: boolean } } {
  const connection = { up, endpoint: 'tcp://127.0.0.1:1' }
  return { target: new Target(connection as Connection), connection }
}

function picks(targets: readonly Target[], count: number, except?: Target): Map<Target | undefined, number> {
  const counts = new Map<Target | undefined, number>()
  for (let index = 0; index < count; index++) {
    const picked = pickTarget(targets, except)
    counts.set(picked, (counts.get(picked) ?? 0) + 1)
  }
  return counts
}

const naming = (name: string): object => ({
  async *names(): AsyncGenerator<string> {
    for (let item = 0; item < 250; item++) yield name
  },
})

describe('pickTarget', () => {
  it('takes the only endpoint while it is up, even in doubt, but never the one that is excepted', () => {
    const { target: only, connection } = target()
    only.suspect = true
    expect(pickTarget([only])).equal(only)
    expect(pickTarget([only], only)).equal(undefined)
    connection.up = false
    expect(pickTarget([only])).equal(undefined)
  })

  it('takes the less loaded of two picked by chance, so that the most loaded of three gets nothing', () => {
    const [idle, busy, busiest] = [target().target, target().target, target().target]
    busy.open = 5
    busiest.open = 50
    const counts = picks([idle, busy, busiest], 3000)
    expect(counts.has(busiest)).equal(false)
    // Idle wins two of the three pairs.
    expect(counts.get(idle)).within(1700, 2300)
    expect(counts.get(busy)).within(700, 1300)
  })

  it('weighs open calls by latency', () => {
    const [fast, slow] = [target().target, target().target]
    for (let answer = 0; answer < 50; answer++) {
      fast.answered(performance.now() - 1)
      slow.answered(performance.now() - 20)
    }
    fast.open = 5
    expect([...picks([fast, slow], 100).keys()]).deep.equal([fast])
    fast.open = 50
    expect([...picks([fast, slow], 100).keys()]).deep.equal([slow])
  })

  it('asks an endpoint again that was slow, when nothing was heard of it for a while or its connection is new', () => {
    const [fast, slow] = [target().target, target().target]
    fast.answered(0, 1)
    slow.answered(0, 100)
    const pickAt = (now: number): Target | undefined => pickTarget([fast, slow], undefined, now)
    expect(pickAt(1_000)).equal(fast)
    fast.answered(29_999, 30_000)
    expect(pickAt(30_000)).equal(slow)
    slow.answered(30_000, 30_100)
    expect(pickAt(30_100)).equal(fast)
    slow.renewed()
    expect(pickAt(30_100)).equal(slow)
  })

  it('gives an endpoint that has just come up its share, not every call of the moment', () => {
    const [known, fresh] = [target().target, target().target]
    known.answered(performance.now() - 50)
    for (let call = 0; call < 60; call++) (pickTarget([known, fresh]) as Target).open++
    expect([known.open, fresh.open]).deep.equal([30, 30])
  })

  it('leaves out what is down, suspect or stopping, and takes them in when their connection is new', () => {
    const [one, other] = [target(), target()]
    const both = [one.target, other.target]
    one.target.suspect = true
    expect([...picks(both, 50).keys()]).deep.equal([other.target])
    one.target.suspect = false
    one.target.avoid()
    expect([...picks(both, 50).keys()]).deep.equal([other.target])
    one.target.renewed()
    expect([...picks(both, 50).keys()]).have.members(both)
    one.connection.up = false
    expect([...picks(both, 50).keys()]).deep.equal([other.target])
  })

  it('prefers an endpoint in doubt to none', () => {
    const [one, other] = [target(), target(false)]
    one.target.suspect = true
    expect(pickTarget([one.target, other.target])).equal(one.target)
    expect(pickTarget([one.target, other.target], one.target)).equal(undefined)
  })
})

describe('a client with several endpoints', () => {
  const cores = new Cores()
  const children: Child[] = []
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await cores.close()
  })

  it('gives a slow endpoint fewer calls than a fast one', async () => {
    const counts = { slow: 0, fast: 0 }
    const slow = await cores.serve({
      async work(): Promise<void> {
        counts.slow++
        await pause(40)
      },
    })
    const fast = await cores.serve({ work: () => void counts.fast++ })
    const { client } = await cores.client<{ work(): Promise<void> }>([slow.endpoint, fast.endpoint])
    await until(() => client.$endpoints.every(({ up }) => up))
    await client.work()
    for (let index = 0; index < 200; index++) {
      if (index % 10 === 0) await client.work()
      else void client.work()
    }
    await until(() => client.$endpoints.every(({ calls }) => calls === 0))
    expect(counts.fast).above(counts.slow * 3)
  })

  it('takes an endpoint that has stopped beating out, asks it, and takes it in when it answers', async () => {
    const child = new Child('serving-child.ts', { heartbeat: { intervalMs: 50 } })
    children.push(child)
    const [frozen] = (await child.says('endpoints')) as [string]
    const other = await cores.serve({ pid: () => 0, echo: (value: unknown) => value })
    const { core, client } = await cores.client<Work>([frozen, other.endpoint], {
      heartbeat: { intervalMs: 50 },
    })
    await until(() => client.$endpoints.every(({ up }) => up))
    const pids = async (): Promise<number[]> => [
      ...new Set(await Promise.all(Array.from({ length: 40 }, () => client.pid()))),
    ]
    expect(await pids()).have.members([child.process.pid, 0])
    child.kill('SIGSTOP')
    const results = await Promise.allSettled(Array.from({ length: 40 }, () => client.pid()))
    const lost = results.filter(({ status }) => status === 'rejected')
    expect(lost).not.have.length(0)
    for (const one of lost) {
      expect((one as PromiseRejectedResult).reason).include({ code: 'ZASK_PEER_LOST', sent: true })
    }
    // Its connection still stands, but it gets no more calls.
    expect(client.$endpoints[0]?.up).equal(true)
    expect(await pids()).deep.equal([0])
    child.kill('SIGCONT')
    while ((await pids()).length === 1) await pause(20)
    expect(core.stats.now).include({ calling: 0 })
  })

  it('keeps a stream on the endpoint that began it', async () => {
    const [one, other] = [await cores.serve(naming('one')), await cores.serve(naming('other'))]
    const { client } = await cores.client<{ names(): AsyncGenerator<string> }>([one.endpoint, other.endpoint])
    await until(() => client.$endpoints.every(({ up }) => up))
    const streams = Array.from({ length: 20 }, async () => {
      const names = new Map<string, number>()
      for await (const name of client.names()) names.set(name, (names.get(name) ?? 0) + 1)
      return [...names]
    })
    for (const names of await Promise.all(streams)) expect(names.map(([, count]) => count)).deep.equal([250])
  })

  it('fails a refused call, as retryable, where there is nowhere else to take it', async () => {
    const service = { hold: () => pause(80), work: () => 1 }
    const { core, endpoint } = await cores.serve(service)
    const { client, core: caller } = await cores.client<typeof service>(endpoint)
    const holding = client.hold()
    await until(() => core.stats.now.running === 1)
    const stopped = core.stop()
    expect(await failure(client.work())).include({
      code: 'ZASK_SERVER_STOPPING',
      retryable: true,
      sent: true,
    })
    expect(caller.stats.made.retried).equal(0)
    await Promise.all([holding, stopped])
  })
})
