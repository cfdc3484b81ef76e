import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/cores.ts'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { descriptors, Stage, untilAnswered } from './stage.ts'

describe('F1: a server that is killed in the middle of calls', function () {
  this.timeout(full ? 300_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('loses its calls at once, runs none of them twice, and is called again as soon as it is back', async () => {
    let { child, endpoint } = await stage.victim()
    const { core, load, client } = await stage.caller(endpoint)
    await untilAnswered(load)
    const before = descriptors()
    let seenMs = 0
    let backMs = 0
    for (let round = 0; round < times(20, 3); round++) {
      for (let i = 0; i < 200; i++) void load.call(60_000)
      for (let i = 0; i < 100; i++) void load.stream(1_000_000, 20)
      await until(() => client.$endpoints[0]?.calls === 300)
      // Streams flow, calls run.
      await sleep(100)
      const lost = core.stats.wire.lostPeers
      const killed = performance.now()
      child.kill('SIGKILL')
      await load.settled()
      seenMs = Math.max(seenMs, stage.history.lastEnding(killed) - killed)
      expect(core.stats.wire.lostPeers).equal(lost + 1)
      expect(core.stats.now).include({ calling: 0, channels: 0 })
      await child.exited
      if (full) await sleep([0, 1000, 5000][round % 3])
      // The process is started first: what is measured is how soon the client finds it.
      ;({ child } = await stage.victim({ start: { bind: endpoint } }))
      backMs = Math.max(backMs, await untilAnswered(load))
    }
    expect(stage.history.summary).have.keys('ok', 'ZASK_PEER_LOST')
    expect(stage.problems()).deep.equal([])
    measured('P2', 'kill -9 until the last of 300 calls had failed', seenMs, 'ms')
    measured('P15', 'server back until a call is answered', backMs, 'ms')
    measured('P7', 'calls run twice, or run and said not to be sent', 0, `of ${stage.history.size}`)
    expect(seenMs).below(3000)
    expect(backMs).below(3000)
    expect(descriptors()).below(before + 5)
  })

  it('that was not there yet is called as soon as it is, and what gave up waiting for it never runs', async () => {
    const { child, endpoint } = await stage.victim()
    child.kill('SIGKILL')
    await child.exited
    const { core, load } = await stage.caller(endpoint)
    const gaveUp = await Promise.all(Array.from({ length: 50 }, () => load.call(0, 300)))
    expect(gaveUp.every(({ code, sent }) => code === 'ZASK_PEER_UNREACHABLE' && sent === false)).equal(true)
    expect(core.stats.made).include({ ok: 0, failed: gaveUp.length })
    const patient = Array.from({ length: 50 }, () => load.call(0, 60_000))
    await sleep(full ? 15_000 : 1500)
    const { child: served } = await stage.victim({ start: { bind: endpoint } })
    const bound = performance.now()
    expect((await Promise.all(patient)).every(({ ok }) => ok)).equal(true)
    const firstMs = performance.now() - bound
    served.kill('SIGKILL')
    await until(() => core.stats.now.channels === 0)
    expect(stage.problems()).deep.equal([])
    expect(stage.executed()).have.length(50)
    measured('P15', 'server comes up after its client until 50 waiting calls are answered', firstMs, 'ms')
    measured('P6', 'calls that ran although they were said not to be sent', 0, `of ${gaveUp.length}`)
    expect(firstMs).below(5000)
  })
})
