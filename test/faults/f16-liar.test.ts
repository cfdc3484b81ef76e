import { expect } from 'chai'
import { createCore, ZaskError } from '../../core/index.ts'
import { until } from '../support/cores.ts'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

describe('F16: a server that lies', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  /** How each lie is to end; undefined: with a value. */
  const endings: Readonly<Record<string, string | undefined>> = {
    answer: undefined,
    silence: 'ZASK_CALL_TIMEOUT',
    twice: undefined,
    late: 'ZASK_CALL_TIMEOUT',
    unknown: 'ZASK_WIRE_MALFORMED',
    err0: 'ZASK_REMOTE',
    err1: 'ZASK_REMOTE',
    err5: 'ZASK_REMOTE',
    errMap: 'ZASK_REMOTE',
    noArray: 'ZASK_WIRE_MALFORMED',
    empty: 'ZASK_WIRE_MALFORMED',
    stream: undefined,
    otherType: 'ZASK_CALL_TIMEOUT',
    junk: 'ZASK_CALL_TIMEOUT',
    beats: undefined,
    credit: undefined,
    badCredit: 'ZASK_WIRE_CREDIT',
  }

  it('cannot keep a call from ending once, in its time, or leave anything behind: 1,000 calls, 100 at a time', async () => {
    const child = stage.child('../faults/liar.ts', {})
    const endpoint = (await child.says('endpoint')) as string
    expect(await child.says('lies')).have.members(Object.keys(endings))
    const core = stage.add(createCore(), (open) => open.stop())
    const client = await core.client(endpoint)
    const timeoutMs = 500
    const lies = Object.keys(endings)
    const seen = new Map<string, Set<string | undefined>>()
    let ended = 0
    let overrunMs = 0
    let made = 0
    const work = async (): Promise<void> => {
      while (made < 1000) {
        const lie = lies[made++ % lies.length] as string
        // Only who is to wait in vain waits briefly: on a busy machine an answer takes its time.
        const patience = endings[lie] === 'ZASK_CALL_TIMEOUT' ? timeoutMs : 30_000
        const begun = performance.now()
        let ending: string | undefined
        try {
          await client.$call(lie, [], { timeoutMs: patience })
        } catch (error) {
          ending = error instanceof ZaskError ? error.code : `no ZaskError: ${String(error)}`
        }
        ended++
        overrunMs = Math.max(overrunMs, performance.now() - begun - patience)
        seen.set(lie, (seen.get(lie) ?? new Set()).add(ending))
      }
    }
    await Promise.all(Array.from({ length: 100 }, () => work()))
    expect(ended).equal(1000)
    expect(Object.fromEntries([...seen].map(([lie, codes]) => [lie, [...codes]]))).deep.equal(
      Object.fromEntries(Object.entries(endings).map(([lie, code]) => [lie, [code]])),
    )
    // The late answers are dropped, and counted.
    await until(() => (core.stats.wire.dropped['unknown channel'] ?? 0) > 2.5 * (1000 / lies.length))
    expect(core.stats.wire.dropped).include.keys('not msgpack')
    expect(core.stats.limits.credit).at.least(1000 / lies.length - 1)
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
    expect(core.stats.made.ok + core.stats.made.failed).equal(1000)
    measured('P1', 'the latest of 1,000 calls to a lying server, beyond its timeout', overrunMs, 'ms')
    expect(overrunMs).below(1500)
  })
})
