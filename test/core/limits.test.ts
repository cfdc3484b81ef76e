import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { type ClientOptions, createCore, type StartOptions } from '../../core/index.ts'
import { checkLimits, defaultLimits, limitRules, limitsOf, limitsWith } from '../../core/limits.ts'
import { CoreStats } from '../../core/stats.ts'
import { WireCounters } from '../../core/wire/counters.ts'
import { defaultLimits as wireDefaults } from '../../core/wire/event.ts'
import { Cores, failure, pause, until } from '../support/cores.ts'
import { FakeHost } from '../support/fake-host.ts'
import { pack, RawDealer, type RawMessage, RawRouter, until as seen } from '../support/raw-peer.ts'
import { repository } from '../support/processes.ts'

describe('docs/limits.md', () => {
  const text = readFileSync(join(repository, 'docs/limits.md'), 'utf8')
  const rows = [...text.matchAll(/^\| [^|]+ \| `(\w+)` \| `(LIMIT_\w+)` \| (\d+) \| [^|]{20,} \|$/gm)]

  it('has a row for each limit that can be set, with its config key and its default, and no other', () => {
    const documented = rows.map(([, option, key, otherwise]) => [
      option,
      { key, otherwise: Number(otherwise) },
    ])
    const rules = Object.entries(limitRules).map(([name, { key, otherwise }]) => [name, { key, otherwise }])
    expect(documented).to.deep.equal(rules)
  })

  it('has a counter for each limit, and a limit for each counter', () => {
    const counted = Object.keys(new CoreStats().report(new WireCounters(), 0, 0).limits)
    const standing = [...text.matchAll(/^\| [^|]+ \| `limits\.(\w+)` \|/gm)].map((match) => match[1])
    expect([...Object.keys(limitRules), ...standing]).to.have.members(counted)
  })
})

describe('the limits of a core', () => {
  it('are the same in core and wire where both have them', () => {
    const { maxEventBytes: maxBytes, maxDepth, maxNodes } = defaultLimits
    expect({ maxBytes, maxDepth, maxNodes }).to.deep.equal(wireDefaults)
  })

  it('are named after their options', () => {
    for (const [name, { key }] of Object.entries(limitRules)) {
      expect(key).to.equal(`LIMIT_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`)
    }
  })

  it('come from defaults, config and options, the latter above the former', () => {
    const core = createCore({
      config: { LIMIT_POOL_SIZE: 5, LIMIT_QUEUE_SIZE: 6, LIMIT_SHUTDOWN_TIMEOUT_MS: null },
    })
    const limits = limitsOf(core.config)
    expect(limits).to.deep.equal({ ...defaultLimits, poolSize: 5, queueSize: 6, shutdownTimeoutMs: Infinity })
    expect(limitsWith({ poolSize: 7, queueSize: undefined, bind: 'x' } as object, limits)).to.deep.equal({
      ...limits,
      poolSize: 7,
    })
    expect(createCore().config.keys()).to.deep.equal(['DEBUG'])
  })

  it('are refused by option, key and range where they are out of range', async () => {
    for (const [name, rule] of Object.entries(limitRules)) {
      const wrong = 'least' in rule ? [rule.least - 1, rule.most + 1, 1.5, Infinity] : [0, -1]
      for (const value of [...wrong, '5', null, Number.NaN]) {
        expect(() => checkLimits({ [name]: value }), `${name}: ${String(value)}`)
          .to.throw(name)
          .with.property('code', 'ZASK_OPTION_INVALID')
      }
      const right = 'least' in rule ? [rule.least, rule.most, undefined] : [0.5, Infinity, undefined]
      for (const value of right) checkLimits({ [name]: value })
    }
    await using core = createCore({ config: { LIMIT_MAX_DEPTH: 3, LIMIT_HOOK_TIMEOUT_MS: 0 } })
    const error = await failure(core.start({ ping: () => 1 }, { bind: 'inproc://limits', signals: false }))
    expect(error.code).to.equal('ZASK_CONFIG_VALUE_INVALID')
    expect(error.message).to.include('LIMIT_MAX_DEPTH must be a whole number from 4 to 1000, but is 3')
    expect(error.message).to.include(
      'LIMIT_HOOK_TIMEOUT_MS must be a number of milliseconds above 0, or null',
    )
  })
})

class Values {
  finished = 0
  given = 0

  sink(_value: unknown): null {
    return null
  }

  blob(bytes: number): Buffer {
    return Buffer.alloc(bytes)
  }

  nested(depth: number): unknown {
    return nested(depth)
  }

  many(elements: number): number[] {
    return Array.from({ length: elements }, () => 0)
  }

  stay(): Promise<void> {
    return new Promise(() => undefined)
  }

  hold(ms: number): Promise<void> {
    return pause(ms)
  }

  async *numbers(): AsyncGenerator<number> {
    try {
      for (;;) yield this.given++
    } finally {
      this.finished++
    }
  }
}

function nested(depth: number): unknown {
  let value: unknown = []
  for (let level = 1; level < depth; level++) value = [value]
  return value
}

const zeros = (length: number): number[] => Array.from({ length }, () => 0)
const silent = (at: string): { closed: boolean; end(): void } => {
  const socket = connect({ host: '127.0.0.1', port: Number(at.split(':').at(-1)) })
  const state = { closed: false, end: () => void socket.destroy() }
  socket.on('data', () => undefined)
  socket.on('close', () => (state.closed = true))
  return state
}

const refused = async (client: RawDealer): Promise<void> => {
  const answer = await client.call('stay', [])
  expect(answer.header).to.include({ code: 'ZASK_SERVER_OVERLOADED' })
}

const frames = (count: number): (Buffer | string)[] => [
  ...Array.from({ length: count - 2 }, () => 'x'),
  '',
  pack({ message_id: 'raw', v: 3 }, 'sink', [1]),
]

describe('a limit', () => {
  const cores = new Cores()
  const dealers: RawDealer[] = []
  afterEach(async () => {
    for (const one of dealers.splice(0)) one.close()
    await cores.close()
  })

  function dealer(endpoint: string): RawDealer {
    const made = new RawDealer(endpoint)
    dealers.push(made)
    return made
  }

  /** What a server says to requests with one argument each: `OK`, or the name of the error. */
  async function answers(
    options: StartOptions,
    method: string,
    args: readonly unknown[],
  ): Promise<{ said: string[]; limits: Readonly<Record<string, number>> }> {
    const { core, endpoint } = await cores.serve(new Values(), options)
    const client = dealer(endpoint)
    const said: string[] = []
    for (const arg of args) {
      const answer = await client.call(method, [arg])
      said.push(answer.name === 'OK' ? 'OK' : String((answer.args as unknown[])[0]))
    }
    expect(core.stats.now.channels).to.equal(0)
    return { said, limits: { ...core.stats.limits } }
  }

  const opened = async (options: StartOptions): Promise<number> => {
    const { core, endpoint } = await cores.serve(new Values(), { ...options, shutdownTimeoutMs: 10 })
    const client = dealer(endpoint)
    for (let index = 0; index < 2200; index++) client.request('stay', [])
    await until(() => core.stats.wire.eventsIn === 2200)
    return core.stats.now.channels
  }

  it('of bytes holds for what is taken', async () => {
    const maxEventBytes = 5000
    const overhead = pack({ message_id: 'raw-1', v: 3 }, 'sink', [Buffer.alloc(1000)]).length - 1000
    const bodies = [-1, 0, 1].map((more) => Buffer.alloc(maxEventBytes - overhead + more))
    const { said, limits } = await answers({ maxEventBytes }, 'sink', bodies)
    expect(said).to.deep.equal(['OK', 'OK', 'TypeError'])
    expect(limits).to.include({ maxEventBytes: 1 })
  })

  it('of bytes holds for answers, which become an error', async () => {
    const { core, endpoint } = await cores.serve(new Values(), { maxEventBytes: 5000 })
    const client = dealer(endpoint)
    const sizeOf = async (bytes: number): Promise<number | string> => {
      const answer = await client.call('blob', [bytes])
      const length = client.seen.at(-1)?.payload.length as number
      return answer.name === 'OK' ? length : String((answer.args as unknown[])[1])
    }
    const overhead = ((await sizeOf(1000)) as number) - 1000
    expect(await sizeOf(5000 - overhead - 1)).to.equal(4999)
    expect(await sizeOf(5000 - overhead)).to.equal(5000)
    expect(await sizeOf(5000 - overhead + 1)).to.include(
      'takes 5001 bytes, the limit is 5000 (maxEventBytes)',
    )
    expect(core.stats.limits.maxEventBytes).to.equal(1)
    expect(await sizeOf(10)).to.be.a('number')
  })

  it('of depth holds both ways, the arguments being the first level', async () => {
    const taken = await answers({ maxDepth: 6 }, 'sink', [nested(4), nested(5), nested(6)])
    expect(taken.said).to.deep.equal(['OK', 'OK', 'TypeError'])
    expect(taken.limits).to.include({ maxDepth: 1 })
    const sent = await answers({ maxDepth: 6 }, 'nested', [4, 5, 6])
    expect(sent.said).to.deep.equal(['OK', 'OK', 'TypeError'])
    expect(sent.limits).to.include({ maxDepth: 1 })
  })

  it('of elements holds both ways, the argument being the first', async () => {
    const taken = await answers({ maxNodes: 1000 }, 'sink', [zeros(998), zeros(999), zeros(1000)])
    expect(taken.said).to.deep.equal(['OK', 'OK', 'TypeError'])
    expect(taken.limits).to.include({ maxNodes: 1 })
    const sent = await answers({ maxNodes: 1000 }, 'many', [998, 999, 1000])
    expect(sent.said).to.deep.equal(['OK', 'OK', 'TypeError'])
    expect(sent.limits).to.include({ maxNodes: 1 })
  })

  it('of channels refuses the next one at once, of a connection and of an endpoint', async () => {
    const { core, endpoint } = await cores.serve(new Values(), {
      maxChannelsPerPeer: 3,
      maxChannels: 5,
      shutdownTimeoutMs: 10,
    })
    const open = async (client: RawDealer, count: number): Promise<void> => {
      const before = core.stats.now.channels
      for (let index = 0; index < count; index++) client.request('stay', [])
      await until(() => core.stats.now.channels === before + count)
    }
    const [first, second] = [dealer(endpoint), dealer(endpoint)]
    await open(first, 2)
    await open(first, 1)
    await refused(first)
    expect(core.stats.limits).to.include({ maxChannelsPerPeer: 1, maxChannels: 0 })
    await open(second, 2)
    await refused(second)
    expect(core.stats.limits).to.include({ maxChannelsPerPeer: 1, maxChannels: 1 })
    expect(core.stats.now.channels).to.equal(5)
  })

  it('of channels makes room for pool and queue where those were raised, unless it was set itself', async () => {
    expect(await opened({})).to.equal(2000)
    expect(await opened({ queueSize: 1200 })).to.equal(2200)
    expect(await opened({ queueSize: 1200, maxChannelsPerPeer: 1050 })).to.equal(1050)
  })

  it('of pool and queue is counted by calls that wait and calls that are refused', async () => {
    const { core, endpoint } = await cores.serve(new Values(), { poolSize: 1, queueSize: 1 })
    const { client } = await cores.client<Values>(endpoint)
    const held = client.hold(100)
    await until(() => core.stats.now.running === 1)
    const queued = client.hold(1)
    await until(() => core.stats.now.queued === 1)
    expect((await failure(client.hold(1))).code).to.equal('ZASK_SERVER_OVERLOADED')
    await Promise.all([held, queued])
    expect(core.stats.limits).to.include({ poolSize: 1, queueSize: 1 })
  })

  it('of items on their way ends a stream whose producer goes beyond it', async () => {
    const router = new RawRouter()
    try {
      const { core, client } = await cores.client<Values>(await router.bind(), { window: 4, heartbeat: null })
      const stream = await (async () => {
        const asked = client.numbers()
        void (async () => {
          await until(() => router.seen.length === 1)
          // The first is read at once, four more may lie here unread.
          for (let item = 0; item < 5; item++) void router.reply(router.seen[0] as RawMessage, 'STREAM', item)
        })()
        return await asked
      })()
      expect(await stream.next()).to.deep.equal({ done: false, value: 0 })
      await until(() => core.stats.wire.eventsIn === 5)
      expect(core.stats.limits.window).to.equal(0)
      void router.reply(router.seen[0] as RawMessage, 'STREAM', 5)
      await until(() => core.stats.limits.window === 1)
      const items: unknown[] = []
      const error = await failure(
        (async () => {
          for await (const item of stream) items.push(item)
        })(),
      )
      expect([items, error.code]).to.deep.equal([[1, 2, 3, 4], 'ZASK_WIRE_CREDIT'])
    } finally {
      router.close()
    }
  })

  it('of bytes waiting for a peer gives up who does not read, and counts it once', async () => {
    const host = new FakeHost()
    host.maxPendingBytes = 10_000
    host.result = 'full'
    const peer = host.peer()
    const event = (bytes: number): void => peer.emit('\xa1c', 'STREAM', Buffer.alloc(bytes))
    event(1000)
    const overhead = peer.pendingBytes - 1000
    event(9000 - 2 * overhead - 1)
    expect([peer.pendingBytes, host.gone.length]).to.deep.equal([9999, 0])
    peer.reset()
    event(1000)
    event(9000 - 2 * overhead)
    expect([peer.pendingBytes, host.gone.length]).to.deep.equal([10_000, 0])
    peer.reset()
    event(1000)
    event(9000 - 2 * overhead + 1)
    expect([peer.pendingBytes, host.gone.length, host.counters.met.maxPendingBytes]).to.deep.equal([0, 1, 1])
    host.wheel.close()
  })

  it('of frames holds for both ends', async () => {
    const { core, endpoint } = await cores.serve(new Values())
    const client = dealer(endpoint)
    // ZeroMQ puts the name of the connection before them.
    await client.sendFrames(frames(8))
    await client.sendFrames(frames(9))
    await client.sendFrames(frames(10))
    await until(() => core.stats.limits.messageParts === 1)
    await seen('two answers', () => client.events.length === 2)

    const router = new RawRouter()
    try {
      const own = await cores.client<Values>(await router.bind(), { heartbeat: null })
      const answer = own.client.sink(1)
      await until(() => router.seen.length === 1)
      const { envelope, events } = router.seen[0] as RawMessage
      const ok = pack({ message_id: 'srv', v: 3, response_to: events[0]?.header['message_id'] }, 'OK', [
        'few',
      ])
      const flood = Array.from({ length: 10 }, () => '')
      await router.sendFrames([envelope[0] as Buffer, ...flood, ok])
      await until(() => own.core.stats.limits.messageParts === 1)
      await router.sendFrames([envelope[0] as Buffer, ...flood.slice(1), ok])
      expect(await answer).to.equal('few')
    } finally {
      router.close()
    }
  })

  it('of calls that wait for an endpoint refuses the next one, unsent', async () => {
    const options: ClientOptions = { maxWaiting: 2, timeoutMs: 200 }
    const { core, client } = await cores.client<Values>('ipc:///tmp/zask-nobody-is-here', options)
    const waiting = [failure(client.hold(1)), failure(client.hold(2))]
    expect(await failure(client.hold(3))).to.include({ code: 'ZASK_PEER_UNREACHABLE', sent: false })
    expect(core.stats.limits.maxWaiting).to.equal(1)
    expect((await Promise.all(waiting)).map(({ sent }) => sent)).to.deep.equal([false, false])
    const none = await cores.client<Values>('ipc:///tmp/zask-nobody-is-here', { maxWaiting: 0 })
    expect((await failure(none.client.hold(1))).message).to.include('0 calls wait')
  })

  it('of credit is a whole number from 1 to 10,000, and closes that stream alone', async () => {
    const values = new Values()
    const { core, endpoint } = await cores.serve(values)
    const client = dealer(endpoint)
    const other = client.request('numbers', [])
    for (const [index, credit] of [0, 10_001, -1, 1.5, Number.NaN, '5', null, 2 ** 60].entries()) {
      const stream = client.request('numbers', [])
      await seen('an item', () => client.events.some(({ header }) => header['response_to'] === stream))
      void client.say(stream, '_zpc_more', [credit])
      await until(() => core.stats.limits.credit === index + 1)
      await until(() => core.stats.now.channels === 1)
      expect(values.finished).to.equal(index + 1)
    }
    const itemsOf = (id: string): number =>
      client.events.filter(({ header, name }) => header['response_to'] === id && name === 'STREAM').length
    void client.say(other, '_zpc_more', [1])
    await seen('one more', () => itemsOf(other) === 2)
    void client.say(other, '_zpc_more', [10_000])
    await seen('many more', () => itemsOf(other) > 2)
    expect(core.stats.limits.credit).to.equal(8)
  })

  it('of the handshake cuts who connects and says nothing', async () => {
    const { core, endpoint } = await cores.serve(new Values(), { handshakeTimeoutMs: 100 })
    const { endpoint: patient } = await cores.serve(new Values(), { handshakeTimeoutMs: 60_000 })
    const [cut, kept] = [silent(endpoint), silent(patient)]
    try {
      await until(() => cut.closed && core.stats.limits.handshakeTimeoutMs === 1)
      expect(kept.closed).to.equal(false)
    } finally {
      cut.end()
      kept.end()
    }
  })
})

describe('a stream whose reader takes nothing', () => {
  const cores = new Cores()
  const dealers: RawDealer[] = []
  afterEach(async () => {
    for (const one of dealers.splice(0)) one.close()
    await cores.close()
  })

  it('ends after streamIdleTimeoutMs, and its generator with it, though its reader has vanished without a trace', async () => {
    const values = new Values()
    const { core, endpoint } = await cores.serve(values, { heartbeat: null, streamIdleTimeoutMs: 150 })
    for (let index = 0; index < 20; index++) {
      const client = new RawDealer(endpoint)
      dealers.push(client)
      client.request('numbers', [])
    }
    await until(() => core.stats.now.channels === 20)
    await until(() => core.stats.now.channels === 0)
    expect(values.finished).to.equal(20)
    expect(core.stats.limits.streamIdleTimeoutMs).to.equal(20)
    expect(core.stats.now).to.include({ running: 0, timers: 0 })
  })

  it('goes on as long as it is read, however slowly, and without a limit for ever', async () => {
    const values = new Values()
    const { core, endpoint } = await cores.serve(values, { streamIdleTimeoutMs: 800 })
    const { endpoint: patient } = await cores.serve(values, { streamIdleTimeoutMs: Infinity })
    const read = async (at: string, pauseMs: number, count: number): Promise<number> => {
      const { client } = await cores.client<Values>(at, { window: 2 })
      let items = 0
      for await (const _ of client.numbers()) {
        if (++items === count) break
        await pause(pauseMs)
      }
      return items
    }
    expect(await Promise.all([read(endpoint, 100, 12), read(patient, 600, 3)])).to.deep.equal([12, 3])
    expect(core.stats.limits.streamIdleTimeoutMs).to.equal(0)
  })

  it('gives a zask reader what was sent, and then the reason', async () => {
    const values = new Values()
    const { core, endpoint } = await cores.serve(values, { streamIdleTimeoutMs: 100, heartbeat: null })
    const { client, core: caller } = await cores.client<Values>(endpoint, { window: 4, heartbeat: null })
    const stream = await client.numbers()
    // The second step grants the window.
    expect([await stream.next(), await stream.next()]).to.deep.equal(
      [0, 1].map((value) => ({ done: false, value })),
    )
    await until(() => core.stats.limits.streamIdleTimeoutMs === 1)
    const items: unknown[] = []
    const error = await failure(
      (async () => {
        for await (const item of stream) items.push(item)
      })(),
    )
    expect(error).to.include({ code: 'ZASK_STREAM_IDLE', sent: true })
    expect(error.message).to.include('its reader took no item for 0.1 s')
    expect(items.length).to.be.above(0)
    expect(items).to.deep.equal(Array.from({ length: items.length }, (_, index) => index + 2))
    await until(() => caller.stats.now.calling === 0 && caller.stats.now.channels === 0)
    expect(values.finished).to.equal(1)
  })

  it('is told why its stream failed, too, where no credit is left for the error', async () => {
    const { endpoint } = await cores.serve(
      {
        *broken(): Generator<number> {
          yield 1
          throw new RangeError('broken in the middle')
        },
      },
      { streamIdleTimeoutMs: 100 },
    )
    const client = new RawDealer(endpoint)
    dealers.push(client)
    client.request('broken', [], { zask: 1, heartbeat_ms: null })
    await seen('the end', () => client.events.some(({ name }) => name === '_zask_cancel'))
    const end = client.events.find(({ name }) => name === '_zask_cancel')
    expect(end?.args).to.include('StreamIdle')
  })
})
