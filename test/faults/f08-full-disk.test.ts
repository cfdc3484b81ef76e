import { expect } from 'chai'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatsOf, StatsReport } from '../../core/index.ts'
import type { AccessLog } from '../../plugins/access-log.ts'
import { executed } from './history.ts'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

describe('F8: an access log that cannot be written', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  /** 1,000 calls a second while something is done to the log; answers what it said about it. */
  async function write(
    accessLog: string,
    during: () => Promise<void>,
  ): Promise<{ said: string; calls: number; lost: number }> {
    const { child, endpoint } = await stage.victim({ accessLog })
    const { load } = await stage.caller(endpoint)
    await untilAnswered(load)
    const timer = setInterval(() => {
      for (let call = 0; call < 10; call++) void load.call(0)
    }, 10)
    stage.add(timer, clearInterval)
    await during()
    clearInterval(timer)
    await load.settled()
    expect(Object.keys(stage.history.summary)).deep.equal(['ok'])
    expect(stage.problems()).deep.equal([])
    child.kill('SIGTERM')
    expect(await child.exited).include({ code: 0 })
    const { plugins } = (await child.says('stats')) as StatsReport<StatsOf<[AccessLog]>>
    const lost = plugins['access-log']?.linesLost ?? NaN
    return { said: child.errors, calls: executed(stage.log).length, lost }
  }

  it('for want of space, as /dev/full, costs no call, and says how many lines were lost', async () => {
    const { said, calls, lost: counted } = await write('/dev/full', () => sleep(full ? 5000 : 700))
    expect(said).match(/there is no space \(ENOSPC\)/)
    const lost = [...said.matchAll(/: (\d+) lines are lost/g)].reduce(
      (sum, [, lines]) => sum + Number(lines),
      0,
    )
    expect(lost).equal(calls)
    expect(counted).equal(calls)
    measured('P20', 'calls that failed while the log had no space', 0, `of ${calls}`)
  })

  it('because its folder is gone costs no call, and goes on when the folder is back', async () => {
    const folder = join(stage.folder, 'logs')
    const path = join(folder, 'access.log')
    mkdirSync(folder)
    const { calls, lost } = await write(path, async () => {
      await sleep(300)
      rmSync(folder, { recursive: true })
      await sleep(500)
      mkdirSync(folder)
      await sleep(1700)
    })
    expect(existsSync(path)).equal(true)
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    expect(lines.length).within(1, calls)
    // What went to the file that was deleted with its folder, before anybody noticed, is not known to be lost.
    expect(lost).within(1, calls - lines.length)
    expect(
      lines.filter((line) => !/^\S+ - \[[^\]]+\] - "Victim" - "mark" - OK - \d+ms$/.test(line)),
    ).deep.equal([])
    measured('P20', 'torn lines after the folder of the log was gone', 0, `of ${lines.length}`)
  })
})
