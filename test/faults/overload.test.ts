import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

const heartbeat = { intervalMs: 5000 }
/** A service that does 100 calls of 400 ms at the same time: 250 a second. */
const start = { heartbeat, poolSize: 100, queueSize: 100 }
const workMs = 400
const spellMs = full ? 10_000 : 1600

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0
}

describe('L1: ten times as many calls as a service can do', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('are refused at once where they find pool and queue full, and as much work is done as before', async () => {
    const { endpoint } = await stage.victim({ start })
    const { load, client } = await stage.caller(endpoint, { heartbeat })
    await untilAnswered(load)
    const refusedMs: number[] = []
    /** So many at the same time for a while; answers how many were done, a second. */
    const press = async (concurrency: number, restMs: number): Promise<number> => {
      const begun = performance.now()
      let done = 0
      const worker = async (): Promise<void> => {
        while (performance.now() - begun < spellMs) {
          // Not all at the same moment: it is a crowd that presses, not a wave.
          await sleep(Math.random() * 2 * restMs)
          const called = performance.now()
          const { ok, code } = await load.call(workMs)
          if (ok) done++
          else if (code === 'ZASK_SERVER_OVERLOADED') refusedMs.push(performance.now() - called)
        }
      }
      await Promise.all(Array.from({ length: concurrency }, () => worker()))
      return (done / (performance.now() - begun)) * 1000
    }
    const peak = await press(180, 20)
    const { rss: before } = await client.state()
    const pressed = await press(1250, 350)
    const { rss, stats } = await client.state()
    expect(Object.keys(stage.history.summary)).have.members(['ok', 'ZASK_SERVER_OVERLOADED'])
    expect(stats.served.overloaded).equal(refusedMs.length)
    expect(stats.limits.queueSize).equal(refusedMs.length)
    expect(stage.problems()).deep.equal([])
    measured('P16', 'work done under ten times the load', (pressed / peak) * 100, '% of the peak')
    measured('P16', 'refused, as the caller sees it, p50', quantile(refusedMs, 0.5), 'ms')
    measured('P16', 'refused, as the caller sees it, p99', quantile(refusedMs, 0.99), 'ms')
    measured('P16', 'memory of the server meanwhile', (rss - before) / 2 ** 20, 'MiB more')
    expect(pressed).above(peak * 0.25)
    expect(quantile(refusedMs, 0.5)).below(500)
    expect(rss - before).below(100 * 2 ** 20)
  })

  it('wait in the queue at the expense of their own time: what is late there never runs', async () => {
    const { endpoint } = await stage.victim({ start: { ...start, poolSize: 1 } })
    const { client, load } = await stage.caller(endpoint, { heartbeat })
    await untilAnswered(load)
    const first = load.call(1500)
    await sleep(50)
    const late = await Promise.all(Array.from({ length: 20 }, () => load.call(0, 500)))
    expect(new Set(late.map(({ code }) => code))).deep.equal(new Set(['ZASK_CALL_TIMEOUT']))
    expect(await first).deep.equal({ ok: true })
    expect(stage.executed()).have.length(2)
    const { limits, served } = (await client.state()).stats
    expect(limits.poolSize).equal(late.length)
    expect(served.failed).equal(late.length)
    expect(stage.problems()).deep.equal([])
    measured('P16', 'calls that ran after their time in the queue was over', 0, `of ${late.length}`)
  })
})
