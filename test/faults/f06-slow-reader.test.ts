import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

const MiB = 1024 * 1024

describe('F6: a caller that asks for much and reads nothing', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('is given up, costs little memory, and holds up nobody else', async () => {
    // Long beats: it is to be found out by what waits for it, not by its silence.
    const start = { heartbeat: { intervalMs: 60_000 } }
    const { endpoint } = await stage.victim({ start })
    const healthy = await Promise.all([1, 2, 3, 4].map(() => stage.caller(endpoint)))
    const [first] = healthy
    if (first === undefined) throw new Error('no caller')
    const latencies = async (ms: number): Promise<number> => {
      const taken: number[] = []
      const end = performance.now() + ms
      while (performance.now() < end) {
        await Promise.all(
          healthy.map(async ({ load }) => {
            const begun = performance.now()
            await load.call(0)
            taken.push(performance.now() - begun)
          }),
        )
        await sleep(5)
      }
      return taken.toSorted((a, b) => a - b)[Math.floor(taken.length * 0.99)] ?? 0
    }
    await latencies(300)
    const aloneMs = await latencies(full ? 5000 : 700)
    const greedy = { endpoint, calls: 300, bytes: MiB }
    const before = (await first.client.state()).rss
    const reader = stage.child('../faults/greedy-caller.ts', { ...greedy, reads: false })
    await reader.says('asked')
    reader.kill('SIGSTOP')
    const busyMs = await latencies(1000)
    let state = await first.client.state()
    let peak = state.rss
    while (state.stats.wire.lostPeers === 0) {
      await sleep(20)
      state = await first.client.state()
      peak = Math.max(peak, state.rss)
    }
    // As much work for a caller that reads costs the others time as well: standing still must not cost them more.
    const good = stage.child('../faults/greedy-caller.ts', { ...greedy, reads: true })
    await good.says('asked')
    const calmMs = await latencies(1000)
    expect(await good.says('read')).equal(greedy.calls)
    expect(stage.history.summary).have.keys('ok')
    expect(stage.problems()).deep.equal([])
    measured(
      'P9',
      'server memory for a reader of 300 x 1 MiB that stands still',
      (peak - before) / MiB,
      'MiB',
    )
    measured('P9', 'p99 of four others, alone', aloneMs, 'ms')
    measured('P9', 'p99 of four others while a fifth reads 200 MiB a second', calmMs, 'ms')
    measured('P9', 'p99 of four others while that reader stands still', busyMs, 'ms')
    expect(state.stats.wire.lostPeers).equal(1)
    expect(state.stats.limits.maxPendingBytes).equal(1)
    expect(peak - before).below(128 * MiB)
    expect(busyMs).below(Math.max(10 * calmMs, 500))
  })
})
