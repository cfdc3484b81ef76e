import { existsSync, globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

/** The library of the Debian package libfaketime, which tells a process another wall clock. */
const library = globSync('/usr/lib/{*/,}faketime/libfaketime.so.1').find((path) => existsSync(path))

const steps: readonly [name: string, seconds: number][] = [
  ['an hour ahead', 3600],
  ['an hour back', -3600],
  ['a minute ahead', 60],
  ['a minute back', -60],
]

describe('F5: a wall clock that is set', function () {
  this.timeout(full ? 180_000 : 30_000)
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
    const beat = full ? 5000 : 200
    const start = { heartbeat: { intervalMs: beat } }
    const { child, endpoint } = await stage.victim({ start }, { env })
    const caller = stage.child(
      '../faults/clock-caller.ts',
      { endpoint, beatMs: beat, steps: steps.length },
      { env },
    )
    for (const [index, [, seconds]] of steps.entries()) {
      await caller.says(`calling${index}`)
      await sleep(beat)
      set(seconds)
    }
    const seen = (await caller.says('seen')) as Seen[]
    expect(seen).have.length(steps.length)
    for (const [index, [name, seconds]] of steps.entries()) {
      const { answered, failures, timeoutMs, steppedSeconds, serverSteppedSeconds } = seen[index] as Seen
      const before = steps[index - 1]?.[1] ?? 0
      // Else nothing was tested.
      expect(steppedSeconds, name).closeTo(seconds - before, 60)
      expect(serverSteppedSeconds, name).closeTo(seconds - before, 60)
      expect(failures, name).deep.equal([])
      expect(answered, name).equal(10)
      expect(timeoutMs, name).within(4 * beat - 20, 4 * beat + 1500)
    }
    expect(child.process.exitCode).equal(null)
    measured(
      'P5',
      `calls lost of ${10 * steps.length} while the clock was set by an hour and a minute`,
      0,
      'calls',
    )
    measured(
      'P5',
      'a timeout too late at most',
      Math.max(...seen.map(({ timeoutMs }) => timeoutMs - 4 * beat)),
      'ms',
    )
  })
})

/** What `clock-caller.ts` says of one step of the clock. */
interface Seen {
  readonly answered: number
  readonly failures: string[]
  readonly timeoutMs: number
  readonly steppedSeconds: number
  readonly serverSteppedSeconds: number
}
