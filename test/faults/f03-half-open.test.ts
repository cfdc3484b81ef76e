import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { beatMs, full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

describe('F3: a connection that carries nothing any more', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('is given up for a new one, though nobody said that it broke', async () => {
    const { endpoint } = await stage.victim()
    const proxy = await stage.proxy(endpoint)
    const { core, load } = await stage.caller(proxy.endpoint)
    await untilAnswered(load)
    load.each(20, () => 0, 60_000)
    await sleep(300)
    const cut = performance.now()
    const answered = stage.history.count(({ ok }) => ok)
    proxy.swallow()
    await sleep(50)
    while (stage.history.count(({ ok }) => ok) <= answered + 10) await sleep(5)
    const backMs = performance.now() - cut
    await load.settled()
    expect(proxy.accepted).equal(2)
    expect(core.stats.wire.lostPeers).equal(1)
    expect(stage.history.summary).have.keys('ok', 'ZASK_PEER_LOST')
    expect(stage.problems()).deep.equal([])
    measured('P3', `cable pulled until calls are answered again, beats of ${beatMs} ms`, backMs, 'ms')
    expect(backMs).below(1.6 * beatMs + 3000)
  })
})
