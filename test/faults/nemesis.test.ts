import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { measured } from './measured.ts'
import { beatMs, full, times } from './scale.ts'
import { Stage, untilAnswered, type Victims } from './stage.ts'

/** Each fault, and each calm after it. */
const spellMs = full ? 5000 : 600

describe('J1: one fault after the other', function () {
  this.timeout(full ? 900_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  it('under load breaks calls, and no promise: what was answered ran once, what was not sent never', async () => {
    let victim: Victims = await stage.victim({
      // Late, failed and missing answers come on top of it.
      rules: [
        { method: 'mark', percent: 5, delayMs: 50 },
        { method: 'mark', percent: 2, abort: { name: 'Unlucky' } },
        { method: 'mark', percent: 1, drop: true },
      ],
    })
    const proxy: TcpProxy = await stage.proxy(victim.endpoint)
    const callers = await Promise.all([1, 2, 3].map(() => stage.caller(proxy.endpoint)))
    for (const { load } of callers) {
      // What a rule drops hears nothing until its deadline.
      load.each(15, () => Math.random() * 30, 2 * beatMs)
    }
    const streaming = setInterval(() => {
      for (const { load } of callers) void load.stream(200, 5)
    }, 250)
    stage.add(streaming, clearInterval)

    const faults: readonly (() => Promise<void>)[] = [
      async () => {
        victim.child.kill('SIGKILL')
        await victim.child.exited
        const start = { bind: victim.endpoint, heartbeat: { intervalMs: beatMs } }
        victim = await stage.victim({ start })
      },
      async () => {
        victim.child.kill('SIGSTOP')
        await sleep(spellMs + 3 * beatMs)
        victim.child.kill('SIGCONT')
      },
      async () => {
        proxy.swallow()
        await sleep(spellMs)
      },
      async () => {
        proxy.reset()
        await sleep(spellMs)
      },
      async () => {
        proxy.weather = { delayMs: 200 }
        proxy.reset()
        await sleep(spellMs)
        proxy.weather = {}
        proxy.reset()
      },
      async () => {
        proxy.weather = { cutAfter: 5000 + Math.floor(Math.random() * 5000) }
        proxy.reset()
        await sleep(spellMs)
        proxy.weather = {}
        proxy.reset()
      },
    ]
    await sleep(spellMs)
    for (let round = 0; round < times(3, 1); round++) {
      for (const fault of faults) {
        await fault()
        await sleep(spellMs)
      }
    }
    clearInterval(streaming)
    await Promise.all(callers.map(({ load }) => load.settled()))
    for (const { core, load } of callers) {
      await untilAnswered(load, 1000)
      expect(core.stats.now).include({ calling: 0, channels: 0, timers: 0 })
      expect(core.stats.wire.lostPeers).at.least(3)
    }
    const { summary, size } = stage.history
    expect(stage.problems()).deep.equal([])
    expect(summary).include.keys('ok', 'ZASK_PEER_LOST')
    measured('P7', 'calls under a changing fault that broke a promise', 0, `of ${size}`)
    measured('P7', 'of these, answered', ((summary['ok'] ?? 0) / size) * 100, '%')
    measured(
      'P1',
      'the latest call under a changing fault, beyond its timeout',
      stage.history.overrunMs,
      'ms',
    )
    expect(stage.history.overrunMs).below(2000)
  })
})
