import { expect } from 'chai'
import { createCore } from '../../core/index.ts'
import { Child } from '../support/children.ts'
import { Cores, failure, until } from '../support/cores.ts'
import type { Work } from '../support/serving-child.ts'

const listeners = (): number[] => ['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal))

describe('shutdown signals', () => {
  const cores = new Cores()
  const children: Child[] = []
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await cores.close()
  })

  async function spawnWork(options: object = {}): Promise<{ child: Child; endpoints: string[] }> {
    const child = new Child('serving-child.ts', options)
    children.push(child)
    return { child, endpoints: (await child.says('endpoints')) as string[] }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stop an idle core on ${signal} and end the process with 0`, async () => {
      const { child } = await spawnWork()
      child.kill(signal)
      expect(await child.exited).deep.equal({ code: 0, signal: null })
      expect(child.said.map((line) => Object.keys(line)[0])).deep.equal([
        'endpoints',
        'stopping',
        'stopped',
        'exit',
      ])
    })
  }

  it('end the process at once when they come twice', async () => {
    const { child, endpoints } = await spawnWork()
    const { client } = await cores.client<Work>(endpoints)
    const call = failure(client.slow(60_000))
    expect(await client.echo(1)).equal(1)
    child.kill('SIGTERM')
    await child.says('stopping')
    child.kill('SIGINT')
    expect(await child.exited).deep.equal({ code: 1, signal: null })
    expect(child.said.some((line) => 'stopped' in line)).equal(false)
    expect(await call).include({ code: 'ZASK_PEER_LOST' })
  })

  it('drain every core of the process before it ends', async () => {
    const { child, endpoints } = await spawnWork({ cores: 2 })
    const { client: one } = await cores.client<Work>(endpoints[0] as string)
    const { client: other } = await cores.client<Work>(endpoints[1] as string)
    await Promise.all([one.echo(1), other.echo(1)])
    const calls = [one.slow(50), other.slow(400)]
    await until(() => [one, other].every(({ $endpoints }) => $endpoints[0]?.calls === 1))
    await Promise.all([one.echo(1), other.echo(1)])
    child.kill('SIGTERM')
    expect(await Promise.all(calls)).deep.equal(['done', 'done'])
    expect(await child.exited).deep.equal({ code: 0, signal: null })
    expect(child.said.filter((line) => 'stopped' in line)).have.length(2)
  })

  it('are listened to only by cores that serve, and no longer once these have stopped', async () => {
    const before = listeners()
    const [one, other] = [createCore(), createCore()]
    await one.client('inproc://signals')
    expect(listeners()).deep.equal(before)
    await one.start({ work: () => 1 }, { bind: 'inproc://signals' })
    await one.start({ work: () => 1 }, { bind: 'inproc://signals-more' })
    await other.start({ work: () => 1 }, { bind: 'inproc://signals-other' })
    expect(listeners()).deep.equal(before.map((count) => count + 2))
    await one.stop()
    expect(listeners()).deep.equal(before.map((count) => count + 1))
    await other.stop()
    expect(listeners()).deep.equal(before)
  })

  it('are left alone with signals: false, and after a start that failed', async () => {
    const before = listeners()
    const { core } = await cores.serve({ work: () => 1 }, { signals: false, bind: 'inproc://signals-off' })
    expect(listeners()).deep.equal(before)
    await failure(core.start({ work: () => 1 }, { bind: 'tcp://192.0.2.1:1' }))
    expect(listeners()).deep.equal(before)
  })
})
