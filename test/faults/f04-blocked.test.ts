import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/cores.ts'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

/** Longer than elsewhere: on a machine that is busy otherwise, less than two beats must not become more. */
const beatMs = full ? 5000 : 1000

describe('F4: a method that holds the event loop up', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  /** What becomes of 50 open calls while another one blocks for so many beats. */
  async function block(beats: number) {
    const { endpoint } = await stage.victim({
      blockedLoopMs: 200,
      start: { heartbeat: { intervalMs: beatMs } },
    })
    const { core, client, load } = await stage.caller(endpoint, { heartbeat: { intervalMs: beatMs } })
    const { client: other, load: blocking } = await stage.caller(endpoint, {
      heartbeat: { intervalMs: beatMs },
    })
    await Promise.all([untilAnswered(load), untilAnswered(blocking)])
    // Who looks after the loop begins when the service has served for a while.
    await sleep(500)
    const open = Array.from({ length: 50 }, () => load.call(beats * beatMs + 500, 120_000))
    await until(() => client.$endpoints[0]?.calls === 50)
    const begun = performance.now()
    const blocked = await blocking.call(beats * beatMs, 120_000, 'spin')
    const blockedMs = performance.now() - begun
    const endings = await Promise.all(open)
    return { core, other, load, blocked, blockedMs, endings }
  }

  it('for less than two beats is taken for dead by none of 50 open calls', async () => {
    const { core, blocked, endings } = await block(full ? 1.6 : 1.2)
    measured(
      'P4',
      `calls lost of 50 while the loop was held up for less than two beats of ${beatMs} ms`,
      endings.filter(({ ok }) => !ok).length,
      'calls',
    )
    expect(blocked).deep.equal({ ok: true })
    expect(endings.filter(({ ok }) => !ok)).deep.equal([])
    expect(core.stats.wire).include({ lostPeers: 0, missedBeats: 0 })
    expect(stage.problems()).deep.equal([])
  })

  it('for four beats is lost to all of them, and the process serves on', async () => {
    const { core, other, blocked, blockedMs, endings, load } = await block(4)
    measured(
      'P4',
      `calls lost of 50 while the loop was held up for 4 beats of ${beatMs} ms`,
      endings.filter(({ ok }) => !ok).length,
      'calls',
    )
    expect(new Set(endings.map(({ code }) => code))).deep.equal(new Set(['ZASK_PEER_LOST']))
    expect(blocked.code).equal('ZASK_PEER_LOST')
    expect(blockedMs).below(4 * beatMs)
    await untilAnswered(load)
    expect(await other.echo('well')).equal('well')
    // The connection stood all the time; it was the beats that were missing.
    expect(core.stats.wire).property('missedBeats').above(0)
    while ((await other.state()).stats.limits.blockedLoopMs === 0) await sleep(20)
    await load.settled()
    expect(stage.problems()).deep.equal([])
  })
})
