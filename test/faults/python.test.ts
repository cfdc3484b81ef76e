import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCore, ZaskError } from '../../core/index.ts'
import { PythonServer, requirePython, startScript } from '../interop/python-peer.ts'
import { measured } from './measured.ts'
import { full } from './scale.ts'
import { Stage } from './stage.ts'

/** What of the Python service is called here; times are seconds. */
interface PythonService {
  add(a: number, b: number): Promise<number>
  slow(seconds: number): Promise<number>
  slow_stream(n: number, seconds: number): AsyncIterable<number>
}

/** Of zerorpc's kind: a beat of half a second is lost after one to one and a half. */
const heartbeat = 0.5
const intervalMs = heartbeat * 1000

describe('R8: faults between zask and Python', function () {
  this.timeout(full ? 120_000 : 60_000)
  let stage: Stage
  before(function () {
    requirePython(this)
  })
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    it(`a Python client hears of a zask server that gets ${signal} as LostRemote`, async () => {
      const { child, endpoint } = await stage.victim({ start: { heartbeat: { intervalMs } } })
      const script = startScript(
        endpoint,
        [
          { call: 'mark', args: ['first', 0] },
          { call: 'mark', args: ['second', 60_000], timeout: 60 },
        ],
        { heartbeat },
      )
      stage.add(script, (open) => open.kill())
      while (!stage.executed().includes('second')) await sleep(20)
      const begun = performance.now()
      child.kill(signal)
      const { steps, violations } = await script.report
      measured(
        'P22',
        `${signal} of the zask server until Python raised LostRemote, beats of 0.5 s`,
        performance.now() - begun,
        'ms',
      )
      expect(steps[0]?.value).equal('first')
      expect(steps[1]?.failed?.[0]).equal('LostRemote')
      expect(violations).deep.equal([])
      expect(stage.executed()).deep.equal(['first', 'second'])
    })

    it(`a zask client hears of a Python server that gets ${signal} as LostRemote, and calls on where it can`, async () => {
      const server = await PythonServer.start({ heartbeat })
      stage.add(server, (open) => open.kill())
      const core = stage.add(createCore(), (open) => open.stop())
      const client = await core.client<PythonService>(server.endpoint, {
        heartbeat: { intervalMs },
        timeoutMs: 60_000,
      })
      expect(await client.add(1, 4)).equal(5)
      const lost = [
        client.slow(60),
        (async () => {
          for await (const _ of client.slow_stream(1000, 0.05)) void _
        })(),
      ]
      await sleep(700)
      const begun = performance.now()
      server.signal(signal)
      for (const ending of await Promise.allSettled(lost)) {
        const { reason } = ending as PromiseRejectedResult
        expect(reason).instanceOf(ZaskError).include({ code: 'ZASK_PEER_LOST', name: 'LostRemote' })
      }
      measured(
        'P22',
        `${signal} of a Python server until zask calls failed, beats of 0.5 s`,
        performance.now() - begun,
        'ms',
      )
      expect(core.stats.wire.lostPeers).at.least(1)
      expect(core.stats.now).include({ calling: 0, channels: 0 })
      if (signal === 'SIGKILL') return
      server.signal('SIGCONT')
      expect(await client.add(2, 4)).equal(6)
    })
  }
})
