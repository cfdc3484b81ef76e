import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

describe('R3: streams', function () {
  this.timeout(full ? 300_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('come whole and in order, to quick readers and slow ones', async () => {
    const { endpoint } = await stage.victim()
    const { core, load } = await stage.caller(endpoint)
    const length = times(10_000, 1000)
    for (let stream = 0; stream < times(80, 30); stream++) void load.stream(length, 0)
    for (let stream = 0; stream < times(20, 5); stream++) void load.stream(times(1000, 200), 0, 1)
    await load.settled()
    expect(stage.history.summary).deep.equal({ ok: stage.history.size })
    expect(stage.problems()).deep.equal([])
    expect(core.stats.now.channels).equal(0)
    measured('P8', 'streams with a gap, out of order, or short', 0, `of ${stage.history.size}`)
  })

  it('that are cut at any byte are a beginning without a gap, and end with an error', async () => {
    const { endpoint } = await stage.victim()
    const proxy = await stage.proxy(endpoint)
    const streams = times(100, 20)
    for (let round = 0; round < times(10, 3); round++) {
      // From the client to the server goes little but credit: a stream lives by a few hundred bytes of it.
      proxy.weather = {}
      const { core, client, load } = await stage.caller(proxy.endpoint)
      await untilAnswered(load)
      for (let stream = 0; stream < streams; stream++) void load.stream(1_000_000, 0)
      await sleep(50 + Math.random() * 200)
      if (round % 2 === 0) proxy.reset()
      else proxy.swallow()
      await load.settled()
      expect(core.stats.wire.lostPeers).equal(1)
      await client.$close()
    }
    const { ok, ...others } = stage.history.summary
    expect(others).deep.equal({ ZASK_PEER_LOST: stage.history.size - (ok ?? 0) })
    expect(stage.problems()).deep.equal([])
    measured('P8', 'cut streams that were no gap-free beginning', 0, `of ${others['ZASK_PEER_LOST']}`)
  })
})
