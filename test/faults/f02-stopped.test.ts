import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/cores.ts'
import { measured } from './measured.ts'
import { beatMs, full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'
import type { VictimState } from './victim.ts'

describe('F2: a server that stands still (SIGSTOP), and goes on', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('loses its calls within three beats, answers none of them late, and is called again', async () => {
    const { child, endpoint } = await stage.victim()
    const { core, client, load } = await stage.caller(endpoint)
    await untilAnswered(load)
    for (let i = 0; i < 200; i++) void load.call(60_000)
    for (let i = 0; i < 100; i++) void load.stream(1_000_000, 20)
    await until(() => client.$endpoints[0]?.calls === 300)
    await sleep(100)
    const stopped = performance.now()
    child.kill('SIGSTOP')
    await load.settled()
    const seenMs = stage.history.lastEnding() - stopped
    expect(core.stats.wire.lostPeers).equal(1)
    // What is called now waits for a server that takes nothing; it must not run twice, or late without being answered.
    const during = Array.from({ length: 20 }, () => load.call(0, beatMs))
    await Promise.all(during)
    await sleep(Math.max(0, 4 * beatMs - (performance.now() - stopped)))
    child.kill('SIGCONT')
    const backMs = await untilAnswered(load, 1000)
    await load.settled()
    let state: VictimState = await client.state()
    while (state.stats.now.running > 1) {
      await sleep(20)
      state = await client.state()
    }
    // Their sessions have ended there as well: 200 calls and 100 streams that nobody waits for.
    expect(state.stats.served.failed).at.least(250)
    expect(state.stats.now.channels).equal(1)
    expect(state.stats.wire.lostPeers).at.least(1)
    expect(stage.problems()).deep.equal([])
    measured('P3', `SIGSTOP until the last of 300 calls had failed, beats of ${beatMs} ms`, seenMs, 'ms')
    measured('P3', 'SIGCONT until a call is answered', backMs, 'ms')
    expect(seenMs).below(3.1 * beatMs + 2000)
    expect(backMs).below(7000)
  })
})
