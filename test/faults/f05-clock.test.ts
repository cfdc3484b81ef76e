import { existsSync, globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatsReport } from '../../core/index.ts'
import { measured } from './measured.ts'
import { beatMs, full } from './scale.ts'
import { Stage } from './stage.ts'

/** The library of the Debian package libfaketime, which tells a process another wall clock. */
const library = globSync('/usr/lib/{*/,}faketime/libfaketime.so.1').find((path) => existsSync(path))

/** An hour and a minute, ahead and back, each beside the true time. */
const steps: readonly number[] = [3600, -3600, 60, -60]

describe('F5: a wall clock that is set', function () {
  this.timeout(full ? 180_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  if (library === undefined) {
    const needed = 'libfaketime (a Debian package), to set the clock of a process'
    it(`is left out: it needs ${needed}`, () => {
      if (process.env['CI'] !== undefined) throw new Error(`in CI the tests need ${needed}`)
    })
    return
  }

  it('is no reason to lose a call, or to end one too early or too late, at either end', async () => {
    const clock = join(stage.folder, 'clock')
    const set = (seconds: number): void =>
      writeFileSync(clock, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}`)
    set(0)
    const env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: clock,
      // What counts time that has passed is no wall clock.
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    }
    const start = { heartbeat: { intervalMs: beatMs } }
    const { child, endpoint } = await stage.victim({ start }, { env })
    const timeoutMs = 4 * beatMs
    const caller = stage.child('../faults/clock-caller.ts', { endpoint, beatMs, timeoutMs }, { env })
    await caller.says('calling')
    for (const seconds of steps) {
      await sleep(beatMs)
      set(seconds)
    }
    const seen = (await caller.says('seen')) as Seen
    // Else nothing was tested: both have seen each of the four times.
    for (const steppedTo of [seen.steppedTo, seen.serverSteppedTo]) {
      for (const seconds of steps) expect(steppedTo.map((at) => Math.round(at / 30) * 30)).include(seconds)
    }
    expect(seen.failures).deep.equal([])
    expect(seen.answered).equal(10)
    // The one call that failed is the one that was to; nobody was taken for dead, at either end.
    expect(seen.made.failed).equal(1)
    for (const wire of seen.wires) expect(wire).include({ lostPeers: 0, missedBeats: 0 })
    expect(seen.timedOutAfterMs).within(timeoutMs - 20, timeoutMs + 3000)
    expect(child.process.exitCode).equal(null)
    // Each ran once, that which timed out as well.
    const made = [...Array.from({ length: 10 }, (_, index) => `clock-${index}`), 'clock-late']
    expect(stage.executed().toSorted()).deep.equal(made)
    measured(
      'P5',
      'calls lost of 10 while the clock was set by an hour and by a minute',
      seen.failures.length,
      'calls',
    )
    measured('P5', 'a timeout meanwhile was late by', seen.timedOutAfterMs - timeoutMs, 'ms')
  })
})

/** What `clock-caller.ts` says; times of the clock are seconds ahead of the time that has passed. */
interface Seen {
  readonly answered: number
  readonly failures: string[]
  readonly timedOutAfterMs: number
  readonly steppedTo: number[]
  readonly serverSteppedTo: number[]
  readonly made: StatsReport['made']
  /** As the caller counts them, and the service. */
  readonly wires: StatsReport['wire'][]
}
