import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatsReport } from '../../core/index.ts'
import { executed } from './history.ts'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { Stage, untilAnswered, watchLoop } from './stage.ts'

describe('F7: SIGTERM under load', function () {
  this.timeout(full ? 300_000 : 60_000)
  const stages: Stage[] = []
  afterEach(async () => {
    for (const stage of stages.splice(0)) await stage.close()
  })

  /** 200 calls a second of 50 to 500 ms; the process is told to end in their midst. */
  async function terminate(signal: NodeJS.Signals) {
    const stage = new Stage()
    stages.push(stage)
    const { child, endpoint } = await stage.victim()
    const { load } = await stage.caller(endpoint)
    await untilAnswered(load)
    load.each(5, () => 50 + Math.random() * 450, 5000)
    await sleep(700)
    const told = performance.now()
    const watch = watchLoop()
    child.kill(signal)
    const { code } = await child.exited
    const exitMs = performance.now() - told
    await load.settled()
    const heldUpMs = watch.stop()
    const { served } = (await child.says('stats')) as StatsReport
    return { stage, code, exitMs, heldUpMs, served }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal}: every call that was taken is answered, every later one is refused, and the process exits with 0`, async () => {
      const rounds = times(signal === 'SIGTERM' ? 20 : 5, signal === 'SIGTERM' ? 3 : 1)
      let slowest = 0
      let answered = 0
      let missing = 0
      for (let round = 0; round < rounds; round += 3) {
        const batch = Array.from({ length: Math.min(3, rounds - round) }, () => terminate(signal))
        for (const { stage, code, exitMs, heldUpMs, served } of await Promise.all(batch)) {
          const { history } = stage
          expect(code).equal(0)
          expect(stage.problems()).deep.equal([])
          // A call that was run has its answer, unless the machine kept this process from reading it for a second.
          const unanswered = executed(stage.log).length - history.count(({ ok }) => ok)
          if (unanswered > 0) expect(heldUpMs, `${unanswered} answers are missing; held up`).above(500)
          const { ok, ...others } = history.summary
          expect(Object.keys(others)).include('ZASK_SERVER_STOPPING')
          // The last refusals may find their connection closed before the caller has read them.
          const { ZASK_SERVER_STOPPING: refused = 0, ZASK_PEER_LOST: unread = 0 } = others
          expect(served.failed).within(refused, refused + unread)
          slowest = Math.max(slowest, exitMs)
          answered += ok ?? 0
          missing += unanswered
        }
      }
      measured(
        'P14',
        `${signal} under 200 calls a second: calls taken and not answered`,
        missing,
        `of ${answered}`,
      )
      measured('P14', `${signal} until the process has ended, calls of 500 ms running`, slowest, 'ms')
      expect(slowest).below(6000)
    })
  }

  it('callers that are busy in that moment get their answers all the same', async () => {
    const stage = new Stage()
    stages.push(stage)
    const heartbeat = { intervalMs: 5000 }
    const { child, endpoint } = await stage.victim({ start: { heartbeat } })
    const { load, client } = await stage.caller(endpoint, { heartbeat })
    await untilAnswered(load)
    for (let call = 0; call < 100; call++) void load.call(300, 60_000)
    // All of them run: those that are read now come before those that ask how many there are.
    while ((await client.state()).stats.now.running < 101) await sleep(5)
    child.kill('SIGTERM')
    // The server is done with them long before this is.
    const busyUntil = performance.now() + 700
    while (performance.now() < busyUntil);
    await load.settled()
    expect(stage.history.summary).deep.equal({ ok: 101 })
    expect(await child.exited).include({ code: 0 })
    const { served } = (await child.says('stats')) as StatsReport
    expect(served.ok).above(100)
    expect(served.failed).equal(0)
    expect(stage.problems()).deep.equal([])
    measured('P14', 'answers lost to a caller that was busy for 700 ms when its server stopped', 0, 'of 100')
  })

  it('a second SIGTERM ends the process at once', async () => {
    const stage = new Stage()
    stages.push(stage)
    const { child, endpoint } = await stage.victim()
    const { core, load } = await stage.caller(endpoint)
    await untilAnswered(load)
    const open = load.call(60_000)
    await sleep(100)
    child.kill('SIGTERM')
    // A signal takes its time; a call that is refused says that it has come.
    while ((await load.call(0)).code !== 'ZASK_SERVER_STOPPING') await sleep(5)
    const told = performance.now()
    child.kill('SIGTERM')
    expect(await child.exited).include({ code: 1 })
    const exitMs = performance.now() - told
    expect(await open).include({ ok: false, code: 'ZASK_PEER_LOST' })
    expect(core.stats.wire.lostPeers).equal(1)
    expect(stage.problems()).deep.equal([])
    measured('P14', 'second SIGTERM until the process has ended', exitMs, 'ms')
    expect(exitMs).below(3000)
  })
})
