import { expect } from 'chai'
import { until } from '../support/cores.ts'
import { RawDealer } from '../support/raw-peer.ts'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

const MiB = 1024 * 1024
/** As users have it by default: bombs cost time, and that is no reason to be taken for dead. */
const heartbeat = { intervalMs: 5000 }

describe('F14: a process with 128 MB of heap', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('bears bombs, large answers and 1,000 open calls at the same time', async () => {
    const { child, endpoint } = await stage.victim(
      { start: { heartbeat } },
      { nodeOptions: ['--max-old-space-size=128'] },
    )
    const { client, load } = await stage.caller(endpoint, { heartbeat })
    await untilAnswered(load)
    const { rss: before } = await client.state()
    // As many as the pool takes but one: someone must be able to ask how it is.
    for (let call = 0; call < 900; call++) void load.call(times(10_000, 2500))
    await until(() => client.$endpoints[0]?.calls === 900)
    const dealer = stage.add(new RawDealer(endpoint), (open) => open.close())
    // An array that says it has 33 million elements, alone and a thousand deep: building it would take gigabytes.
    const bombs = [Buffer.from('dd01ffffff', 'hex'), Buffer.from('dd000fffff'.repeat(1000), 'hex')]
    for (let round = 0; round < 200; round++) {
      for (const bomb of bombs) {
        const event = Buffer.concat([
          Buffer.from('9381aa6d6573736167655f6964a3', 'hex'),
          Buffer.from(`b${round % 10}x`),
          Buffer.from('a46563686f', 'hex'),
          bomb,
        ])
        void dealer.sendFrames(['', event])
      }
      if (round % 20 === 0) expect((await client.blob(2 * MiB)).byteLength).equal(2 * MiB)
    }
    await load.settled()
    const { rss, stats } = await client.state()
    expect(child.process.exitCode).equal(null)
    expect(stage.history.summary).deep.equal({ ok: 901 })
    expect(stage.problems()).deep.equal([])
    const dropped = Object.values(stats.wire.dropped).reduce((sum, count) => sum + count, 0)
    expect(dropped + stats.served.failed).at.least(2 * 200)
    measured(
      'P11',
      'memory after 400 bombs, ten answers of 2 MiB and 900 open calls',
      (rss - before) / MiB,
      'MiB more',
    )
    expect(rss - before).below(400 * MiB)
  })
})
