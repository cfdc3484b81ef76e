import { expect } from 'chai'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Weather } from '../support/tcp-proxy.ts'
import { measured } from './measured.ts'
import { full, times } from './scale.ts'
import { Stage, untilAnswered } from './stage.ts'

/** As users have it by default: what is slow here is the network, and the machine may be, too. */
const heartbeat = { intervalMs: 5000 }

describe('F10: a bad network', function () {
  this.timeout(full ? 300_000 : 60_000)
  let stage: Stage
  beforeEach(() => (stage = new Stage()))
  afterEach(() => stage.close())

  const harmless: Readonly<Record<string, Weather>> = {
    'that delays by 200 ms': { delayMs: 200 },
    'that delivers byte by byte': { pieceBytes: 1 },
    'of 50 KB a second': { bytesPerSecond: 50_000 },
  }
  for (const [title, weather] of Object.entries(harmless)) {
    it(`${title} costs time, and no call or item`, async () => {
      const { endpoint } = await stage.victim({ start: { heartbeat } })
      const proxy = await stage.proxy(endpoint, weather)
      const { core, load } = await stage.caller(proxy.endpoint, { heartbeat })
      for (let call = 0; call < 100; call++) void load.call(0)
      for (let stream = 0; stream < 3; stream++) void load.stream(200, 0)
      await load.settled()
      expect(stage.history.summary).deep.equal({ ok: 103 })
      expect(stage.problems()).deep.equal([])
      expect(core.stats.wire).include({ lostPeers: 0 })
      expect(proxy.accepted).equal(1)
    })
  }

  const cuts: Readonly<Record<string, (at: number) => Weather>> = {
    closed: (at) => ({ cutAfter: at }),
    reset: (at) => ({ resetAfter: at }),
  }
  for (const [how, weatherAt] of Object.entries(cuts)) {
    it(`whose connections are ${how} at any byte breaks the call of that connection at most, and the next one gets through`, async () => {
      const { endpoint } = await stage.victim()
      const { client: asked, load: witness } = await stage.caller(endpoint)
      const offsets = Array.from({ length: 301 }, (_, at) => at).filter((at) => at % times(1, 13) === 0)
      let lost = 0
      const cutAt = async (at: number): Promise<void> => {
        const proxy = await stage.proxy(endpoint, weatherAt(at))
        const { core, client, load } = await stage.caller(proxy.endpoint)
        // What is cut before the handshake is done was no connection, and the call waits for the next one.
        while (proxy.accepted === 0) await sleep(1)
        proxy.weather = {}
        for (let call = 0; call < 10; call++) await load.call(0)
        expect(core.stats.now.channels).equal(0)
        lost += core.stats.wire.lostPeers
        await client.$close()
        await proxy.close()
      }
      for (let first = 0; first < offsets.length; first += 8) {
        await Promise.all(offsets.slice(first, first + 8).map((at) => cutAt(at)))
      }
      await untilAnswered(witness)
      expect(stage.problems()).deep.equal([])
      const { ok = 0, ZASK_PEER_LOST: broken = 0, ...others } = stage.history.summary
      expect(others).deep.equal({})
      expect(broken).within(1, offsets.length)
      // A connection may break with nothing but unsent calls on it, which then go by the next one.
      expect(lost).at.least(broken)
      // Those cut in their handshake were no connections yet, and are counted where they came.
      expect((await asked.state()).stats.wire.refused['unfinished handshake']).above(0)
      measured(
        'P1',
        `calls that never ended, connections ${how} at ${offsets.length} offsets`,
        0,
        `of ${ok + broken}`,
      )
    })
  }

  it('that sends bytes twice ends that connection, and none but its calls', async () => {
    const { endpoint } = await stage.victim()
    const { core: other, client: asked, load: witness } = await stage.caller(endpoint)
    await untilAnswered(witness)
    for (let chunk = 0; chunk < times(12, 6); chunk++) {
      const proxy = await stage.proxy(endpoint, { duplicate: chunk })
      const { load } = await stage.caller(proxy.endpoint)
      while (proxy.accepted === 0) await sleep(1)
      proxy.weather = {}
      for (let call = 0; call < 5; call++) await load.call(0, 4000)
      expect((await witness.call(0)).ok).equal(true)
    }
    expect(other.stats.wire.lostPeers).equal(0)
    const { dropped, refused } = (await asked.state()).stats.wire
    // Which one depends on where in the conversation the bytes were.
    expect(Object.keys({ ...dropped, ...refused })).not.deep.equal([])
    // A request that arrives twice with the same id: the duplicate is dropped while the first runs. Else it is a
    // request like any other to the service, and only a network below TCP could do that.
    expect(stage.problems().filter((problem) => !problem.includes('was run 2 times'))).deep.equal([])
  })
})
