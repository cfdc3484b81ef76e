import { encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import { runLoad, runStream } from './load.ts'
import { renderMemoryVerdict } from './memory.ts'
import { payloads } from './payloads.ts'
import { renderProfile } from './profile.ts'
import { renderReport, summarise } from './report.ts'
import type { Sample } from './rounds.ts'
import { median, Samples, spread } from './statistics.ts'
import { systems, type BenchClient } from './system.ts'

/** The turns of a test are numbered through: two make a round. */
function sampleOf(system: string, number: number, callsPerSecond: number, p50Us = 100): Sample {
  const cpu = { clientCpu: 50, serverCpu: 60 }
  const [round, turn] = [number >> 1, number % 2]
  return {
    system,
    round,
    turn,
    payload: 'small-integer',
    inFlight: 1,
    callsPerSecond,
    p50Us,
    p99Us: 200,
    ...cpu,
  }
}

/** A client whose streams yield just these items. */
function clientOf(...items: number[]): BenchClient {
  return {
    echo: async (value) => value,
    stop: async () => {},
    countTo: async function* () {
      yield* items
    },
  }
}

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: Error) => error.message)
}

describe('the sums of the benchmark', () => {
  it('take quantiles from the exact samples, however many there are', () => {
    const samples = new Samples()
    for (let i = 100_000; i >= 1; i--) samples.add(i)
    expect(samples.quantiles(0, 0.5, 0.99, 1)).to.deep.equal([Number.NaN, 50_000, 99_000, 100_000])
    expect(new Samples().quantiles(0.5)).to.deep.equal([Number.NaN])
  })

  it('take the median of an odd and of an even number of rounds, and half the range as spread', () => {
    expect(median([30, 10, 20])).to.equal(20)
    expect(median([10, 40, 20, 30])).to.equal(25)
    expect(spread([90, 100, 110])).to.equal(0.1)
  })

  it('compare with raw zeromq.js and with the best peer of the same turn, not with their medians', () => {
    const samples = [
      sampleOf('zask', 1, 1000),
      sampleOf('raw-zeromq', 1, 500),
      sampleOf('grpc-js', 1, 100),
      sampleOf('nest-tcp', 1, 250),
      // The machine was ten times as slow, and another peer was the best.
      sampleOf('zask', 2, 100),
      sampleOf('raw-zeromq', 2, 50),
      sampleOf('grpc-js', 2, 25),
      sampleOf('nest-tcp', 2, 20),
    ]
    const [zask, raw] = summarise(samples, systems)
    expect(zask).to.include({ system: 'zask', callsPerSecond: 550, ofRaw: 2, ofBestPeer: 4 })
    expect(raw).to.include({ system: 'raw-zeromq', callsPerSecond: 275, ofRaw: 1, ofBestPeer: 2 })
  })

  it('leave a ratio out where there is nothing to compare with', () => {
    const [zask] = summarise([sampleOf('zask', 1, 1000)], systems)
    expect(zask).to.include({ system: 'zask', callsPerSecond: 1000 })
  })

  it('end in what zask promises: rate and latency against the others, and the cost of plugins', () => {
    const samples = [
      sampleOf('zask', 1, 1000, 110),
      sampleOf('zask-plugins', 1, 960),
      sampleOf('raw-zeromq', 1, 800),
      sampleOf('nest-tcp', 1, 500),
    ]
    expect(renderReport(summarise(samples, systems), systems)).to.include(
      '  echo of a small integer, 1 in flight: 1.25 × raw-zeromq, 1.10 × its median latency, ' +
        '2.00 × the best peer, 4.2 % more CPU with three no-op plugins',
    )
  })

  it('call memory flat when the second half of the calls left less than one byte each', () => {
    // The first half may grow: that is code and caches.
    const samples = [
      { system: 'zask', calls: 0, clientBytes: 1000, serverBytes: 1000 },
      { system: 'zask', calls: 1000, clientBytes: 90_000, serverBytes: 5000 },
      { system: 'zask', calls: 2000, clientBytes: 90_500, serverBytes: 21_000 },
    ]
    expect(renderMemoryVerdict(samples)).to.equal(
      'zask  second half: client flat (0.50 bytes a call), server not flat (16.00 bytes a call)',
    )
  })

  it('find in a profile the time of each package and function, without the time asleep', () => {
    const core = new URL('../../core/server.ts', import.meta.url).href
    const nodes = [
      { id: 1, callFrame: { functionName: '(idle)', url: '', lineNumber: 9 } },
      { id: 2, callFrame: { functionName: 'answer', url: core, lineNumber: 9 } },
      { id: 3, callFrame: { functionName: 'send', url: 'file:///a/node_modules/@x/y/z.js', lineNumber: 9 } },
      { id: 4, callFrame: { functionName: '(garbage collector)', url: '', lineNumber: 9 } },
    ]
    const profile = { nodes, samples: [1, 2, 2, 3, 4], timeDeltas: [1000, 40, 20, 30, 10] }
    expect(renderProfile(profile).split('\n')).to.deep.equal([
      'by place',
      '   60.0 %  core/server.ts',
      '   30.0 %  @x/y',
      '   10.0 %  (garbage collector)',
      'by function',
      '   60.0 %  answer core/server.ts:10',
      '   30.0 %  send @x/y:10',
      '   10.0 %  (garbage collector)',
    ])
  })
})

describe('the load of the benchmark', () => {
  it('sends an object of 1,024 bytes', () => {
    expect(encode(payloads['object-1KiB'])).to.have.length(1024)
  })

  it('keeps exactly the given number of calls outstanding, and counts every one the server got', async () => {
    let outstanding = 0
    let calls = 0
    const seen = new Set<number>()
    const echo = async (value: unknown): Promise<unknown> => {
      calls++
      outstanding++
      await new Promise(setImmediate)
      seen.add(outstanding)
      outstanding--
      return value
    }
    const client = { echo, stop: async () => {} }
    const result = await runLoad(client, 42, { inFlight: 8, seconds: 0, leastCalls: 100 })
    expect(Math.max(...seen)).to.equal(8)
    expect(outstanding).to.equal(0)
    expect(result.made).to.equal(calls).and.to.equal(107)
  })

  it('refuses a stream that skips an item, or that ends early', async () => {
    expect(await failureOf(runStream(clientOf(1, 3), 3))).to.equal('The stream yielded 3 where 2 was due.')
    expect(await failureOf(runStream(clientOf(1, 2), 3))).to.equal('The stream ended after 2 of 3 items.')
    expect(await runStream(clientOf(1, 2, 3), 3)).to.include({ made: 3 })
  })
})
