import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { availableParallelism } from 'node:os'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

/** Starved for longer than what a peer may be silent for; the beats are as long as users have them in the full set. */
const intervalMs = full ? 5000 : 3000

describe('F15: a server that gets little of the processor', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('is taken for slow, and not for dead', async () => {
    const start = { heartbeat: { intervalMs } }
    const { endpoint } = await stage.victim({ start }, { within: ['nice', '-n', full ? '19' : '5'] })
    const { core, client, load } = await stage.caller(endpoint, { heartbeat: { intervalMs } })
    await untilAnswered(load)
    for (let spinner = 0; spinner < availableParallelism() * (full ? 2 : 1); spinner++) {
      stage.child('../faults/spinner.ts', { ms: 60_000 })
    }
    const open = Array.from({ length: 20 }, () => load.call(2.5 * intervalMs, 120_000))
    load.each(full ? 20 : 100, () => 0, 60_000)
    await sleep(2.5 * intervalMs)
    await load.settled()
    expect((await Promise.all(open)).filter(({ ok }) => !ok)).deep.equal([])
    expect(Object.keys(stage.history.summary)).deep.equal(['ok'])
    for (const { wire } of [core.stats, (await client.state()).stats]) {
      expect(wire).include({ lostPeers: 0, missedBeats: 0 })
    }
    expect(stage.problems()).deep.equal([])
    measured(
      'P4',
      `calls lost while a server of nice ${full ? 19 : 5} was starved, beats of ${intervalMs} ms`,
      0,
      `of ${stage.history.size}`,
    )
  })
})
