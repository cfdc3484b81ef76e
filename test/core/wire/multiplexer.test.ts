import { expect } from 'chai'
import type { EndOptions } from '../../../core/options.ts'
import { wireOptions } from '../../../core/options.ts'
import type { Channel, ChannelListener } from '../../../core/wire/channel.ts'
import { WireCounters } from '../../../core/wire/counters.ts'
import type { Event } from '../../../core/wire/event.ts'
import { ServerMultiplexer, type WireOptions } from '../../../core/wire/multiplexer.ts'
import { TimerWheel } from '../../../core/wire/timer-wheel.ts'
import { pack, pause, RawDealer, until } from '../../support/raw-peer.ts'

/** Takes frames from the test, too. */
class OpenServer extends ServerMultiplexer {
  deliver(payload: Buffer): void {
    this.socketListener().onMessage([Buffer.from('a peer'), Buffer.alloc(0), payload])
  }
}

/** A frame as zeromq.js gives it: in memory that is its own. */
function frameOf(bytes: Uint8Array): Buffer {
  const frame = Buffer.from(new ArrayBuffer(bytes.length))
  frame.set(bytes)
  return frame
}

interface Accepted {
  readonly channel: Channel
  readonly request: Event
  readonly events: Event[]
  readonly lost: string[]
}

describe('the multiplexer of a server', () => {
  let wheel: TimerWheel
  let counters: WireCounters
  let server: OpenServer
  let endpoint: string
  let accepted: Accepted[]
  let dealers: RawDealer[]
  let onRequest: ((call: Accepted) => void) | undefined

  async function serve(options: EndOptions = {}, limits: Partial<WireOptions> = {}): Promise<void> {
    server = new OpenServer(
      { ...wireOptions(options, 1000), ...limits },
      wheel,
      counters,
      (channel, request) => {
        const call: Accepted = { channel, request, events: [], lost: [] }
        const listener: ChannelListener = {
          onEvent: (event) => call.events.push(event),
          onLost: (error) => call.lost.push(error.code),
        }
        channel.listener = listener
        accepted.push(call)
        onRequest?.(call)
      },
    )
    endpoint = await server.bind('tcp://127.0.0.1:*')
  }

  /** The frame after the turn in which it was delivered. */
  async function deliver(payload: Uint8Array): Promise<Buffer> {
    const frame = frameOf(payload)
    server.deliver(frame)
    expect(frame.length, 'while it is read').to.equal(payload.length)
    await pause(0)
    return frame
  }

  function dealer(): RawDealer {
    const one = new RawDealer(endpoint)
    dealers.push(one)
    return one
  }

  /** Answers each request with its first argument. */
  function echo({ channel, request }: Accepted): void {
    channel.emit('OK', [(request.args as unknown[])[0]])
    channel.close()
  }

  /** A client of a server that answers, which has its first answer. */
  async function answered(header: object): Promise<RawDealer> {
    await serve()
    onRequest = echo
    const client = dealer()
    client.request('m', [1], header)
    await until('the answer', () => client.events.some(({ name }) => name === 'OK'))
    return client
  }

  const droppedFor = (reason: string): number => counters.dropped.get(reason) ?? 0

  beforeEach(() => {
    wheel = new TimerWheel()
    counters = new WireCounters()
    accepted = []
    dealers = []
    onRequest = undefined
  })
  afterEach(async () => {
    for (const one of dealers) one.close()
    await server.close()
    wheel.close()
  })

  describe('reading the frames', () => {
    it('hands several frames of routing envelope back unchanged', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      const way = [Buffer.from('first proxy'), Buffer.from([0, 1, 2, 255]), Buffer.from('x'.repeat(255))]
      await client.sendFrames([...way, '', pack({ message_id: 'a', v: 3 }, 'echo', ['hello'])])
      const answer = await client.next()
      expect(answer.envelope).to.deep.equal([...way, Buffer.alloc(0)])
      expect(answer.events[0]).to.deep.include({ name: 'OK', args: ['hello'] })
    })

    it('tells clients behind one proxy apart', async () => {
      await serve()
      const client = dealer()
      const request = pack({ message_id: 'a', v: 3 }, 'echo', [1])
      await client.sendFrames(['one', '', request])
      await client.sendFrames(['two', '', request])
      await until('both', () => accepted.length === 2)
      expect(accepted[0]?.channel.peer).not.to.equal(accepted[1]?.channel.peer)
      expect(droppedFor('duplicate message_id')).to.equal(0)
    })

    it('takes a message without delimiter, and answers with one', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      await client.sendFrames([pack({ message_id: 'a', v: 3 }, 'echo', ['bare'])])
      const answer = await client.next()
      expect(answer.envelope).to.deep.equal([Buffer.alloc(0)])
      expect(answer.events[0]?.args).to.deep.equal(['bare'])
    })

    it('does not look at what the delimiter is, as zerorpc-python does not', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      await client.sendFrames(['not empty', pack({ message_id: 'a', v: 3 }, 'echo', [1])])
      expect((await client.next()).envelope).to.deep.equal([Buffer.alloc(0)])
    })

    it('drops a message whose envelope is longer than any chain of proxies', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      await client.sendFrames([
        ...Array.from({ length: 9 }, () => 'x'),
        '',
        pack({ message_id: 'a', v: 3 }, 'e', [1]),
      ])
      await client.sendFrames([
        ...Array.from({ length: 5000 }, () => ''),
        '',
        pack({ message_id: 'b', v: 3 }, 'e', [1]),
      ])
      await client.sendFrames([Buffer.alloc(256), '', pack({ message_id: 'c', v: 3 }, 'e', [1])])
      expect((await client.call('echo', ['well'])).args).to.deep.equal(['well'])
      expect([droppedFor('too many parts'), droppedFor('routing envelope')]).to.deep.equal([2, 1])
      expect(counters.met.messageParts).to.equal(2)
      expect(accepted).to.have.length(1)
    })

    it('does not take an identity that spells a way through a proxy for that way', async () => {
      await serve()
      const [proxied, liar] = [dealer(), new RawDealer(endpoint, { routingId: '5:abcde3:xyz' })]
      dealers.push(liar)
      await proxied.sendFrames(['xyz', '', pack({ message_id: 'a', v: 3 }, 'm', [])])
      await until('the first', () => accepted.length === 1)
      await liar.send({ message_id: 'a', v: 3 }, 'm', [])
      await until('both', () => accepted.length === 2)
      // The key of a single identity is made of its bytes alone; that of a longer way has a character beyond them.
      const [way, identity] = accepted.map(({ channel }) => channel.peer.key)
      expect(identity).to.equal('5:abcde3:xyz')
      expect(Buffer.from(way as string, 'latin1').toString('latin1')).not.to.equal(way)
    })
  })

  describe('ids', () => {
    const tokens: [string, string][] = [
      ['bin', 'c40400ff0061'],
      ['bin of zerorpc-python', `c420${Buffer.from('c0a1460fe56347f78c632bc3ee2848c2').toString('hex')}`],
      ['bin 16 that could be bin 8', 'c500026162'],
      ['str', 'a26162'],
      ['str 8 that could be a fixstr', 'd9026162'],
      ['str that is no UTF-8', 'a2ff61'],
      ['an empty str', 'a0'],
      ['a small int', '07'],
      ['a negative int', 'd3ffffffffffffff00'],
      ['a uint64 beyond 2 ** 53', 'cfffffffffffffffff'],
      ['a float', 'cb400921fb54442d18'],
      ['true', 'c3'],
    ]
    for (const [what, token] of tokens) {
      it(`are handed back byte for byte: ${what}`, async () => {
        await serve()
        onRequest = echo
        const client = dealer()
        const payload = `9382aa${Buffer.from('message_id').toString('hex')}${token}a17603a46563686f9101`
        await client.sendFrames(['', Buffer.from(payload, 'hex')])
        const { payload: answer } = await client.next()
        expect(answer.toString('hex')).to.match(
          new RegExp(`ab${Buffer.from('response_to').toString('hex')}${token}a24f4b9101$`),
        )
      })
    }

    it('of the same letters are two channels when one is text and the other bytes', async () => {
      await serve()
      const client = dealer()
      await client.send({ message_id: 'same', v: 3 }, 'm', ['text'])
      await client.send({ message_id: Buffer.from('same'), v: 3 }, 'm', ['bytes'])
      await until('both', () => accepted.length === 2)
      await client.say(Buffer.from('same'), '_zpc_more', [7])
      await until('the credit', () => accepted[1]?.channel.credit === 8)
      expect(accepted[0]?.channel.credit).to.equal(1)
    })

    it('of another connection cannot touch a channel: no credit, no beat, no cancel, no event', async () => {
      await serve()
      const [owner, thief] = [dealer(), dealer()]
      const id = owner.request('m', [])
      await until('the request', () => accepted.length === 1)
      for (const [name, args] of [
        ['_zpc_more', [500]],
        ['_zpc_more', [-1]],
        ['_zpc_hb', [0]],
        ['_zask_cancel', null],
        ['STREAM', 1],
      ] as const) {
        await thief.say(id, name, args, { zask: 1 })
      }
      await until('the drops', () => droppedFor('unknown channel') === 5)
      const [call] = accepted
      expect(call?.channel).to.include({ credit: 1, closed: false })
      expect([call?.events, call?.lost]).to.deep.equal([[], []])
      call?.channel.emit('OK', [1])
      expect((await owner.nextEvent()).name).to.equal('OK')
      expect(thief.seen).to.deep.equal([])
    })
  })

  describe('events that are no use', () => {
    it('for an unknown channel are dropped without a word', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      for (const name of ['_zpc_hb', '_zpc_more', '_zask_cancel', 'STREAM', 'echo'])
        await client.say('nobody', name, [1])
      expect((await client.call('echo', [1])).name).to.equal('OK')
      expect(droppedFor('unknown channel')).to.equal(5)
      expect(client.seen).to.have.length(1)
    })

    it('without message_id, or with one that is no scalar or is too long, are dropped', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      const headers = [
        { v: 3 },
        { message_id: [], v: 3 },
        { message_id: {}, v: 3 },
        { message_id: 'x'.repeat(300), v: 3 },
      ]
      for (const header of headers) await client.send(header, 'echo', [1])
      expect((await client.call('echo', [1])).name).to.equal('OK')
      expect(droppedFor('no message_id')).to.equal(4)
    })

    it('that were taken back are not run, and count as nothing', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      await client.send({ _withdrawn: 'a', v: 3 }, 'taken back', [1])
      expect((await client.call('echo', [1])).name).to.equal('OK')
      expect(accepted.map(({ request }) => request.name)).to.deep.equal(['echo'])
      expect(droppedFor('no message_id')).to.equal(0)
    })

    it('with the id of an open channel are dropped, and the channel goes on', async () => {
      await serve()
      const client = dealer()
      await client.send({ message_id: 'a', v: 3 }, 'first', [])
      await client.send({ message_id: 'a', v: 3 }, 'second', [])
      await until('the drop', () => droppedFor('duplicate message_id') === 1)
      expect(accepted.map(({ request }) => request.name)).to.deep.equal(['first'])
      accepted[0]?.channel.emit('OK', [1])
      expect((await client.nextEvent()).name).to.equal('OK')
    })

    it('that cannot be read are dropped by reason', async () => {
      await serve()
      onRequest = echo
      const client = dealer()
      for (const payload of ['', 'c1', '93', '92', '80', '93c0a16d90', 'ffffffff'])
        await client.sendFrames(['', Buffer.from(payload, 'hex')])
      expect((await client.call('echo', [1])).name).to.equal('OK')
      expect([...counters.dropped.values()].reduce((sum, count) => sum + count, 0)).to.equal(7)
      expect(accepted).to.have.length(1)
    })

    it('do not end the reading when a listener has a fault', async () => {
      await serve()
      onRequest = (call) => {
        if (call.request.name === 'fault') throw new Error('a fault')
        echo(call)
      }
      const client = dealer()
      client.request('fault', [])
      expect((await client.call('echo', [1])).args).to.deep.equal([1])
      expect(droppedFor('fault in a listener')).to.equal(1)
    })
  })

  describe('the memory of a message', () => {
    const text = 'x'.repeat(500)

    it('is given back at the end of the turn, whatever was in it, and what was read of it stays', async () => {
      await serve()
      const frame = await deliver(pack({ message_id: 'a', v: 3, key: text }, 'm', [text, { text }, 1]))
      expect(frame.length).to.equal(0)
      const [{ request }] = accepted as [Accepted]
      expect([request.args, request.headers['key']]).to.deep.equal([[text, { text }, 1], text])
      for (const junk of [Buffer.alloc(500, 0xc1), pack({ v: 3 }, 'm', [text]), Buffer.from(text)]) {
        expect((await deliver(junk)).length).to.equal(0)
      }
      expect(accepted).to.have.length(1)
    })

    it('is given back within a turn where it is much', async () => {
      await serve()
      const frames = [1, 2].map((id) => frameOf(pack({ message_id: id, v: 3 }, 'm', ['x'.repeat(600_000)])))
      for (const frame of frames) server.deliver(frame)
      expect(frames.map(({ length }) => length)).to.deep.equal([0, 0])
      expect(accepted.map(({ request }) => (request.args as string[])[0]?.length)).to.deep.equal([
        600_000, 600_000,
      ])
    })

    it('is kept where bytes that were read are a view of it', async () => {
      await serve()
      const bytes = Buffer.alloc(500, 7)
      const frame = await deliver(pack({ message_id: 'a', v: 3 }, 'm', [bytes]))
      expect(frame.length).to.be.above(500)
      expect(accepted[0]?.request.args).to.deep.equal([bytes])
    })

    it('is that of others where it is small, or where the frame is only a part of it', async () => {
      await serve()
      expect((await deliver(pack({ message_id: 'a', v: 3 }, 'm', [1]))).length).to.be.above(10)
      const payload = pack({ message_id: 'b', v: 3 }, 'm', [text])
      const pool = Buffer.from(new ArrayBuffer(8192))
      const part = pool.subarray(100, 100 + payload.length)
      part.set(payload)
      server.deliver(part)
      await pause(0)
      expect([pool.length, part.length]).to.deep.equal([8192, payload.length])
      expect(accepted).to.have.length(2)
    })

    it('of several in one turn is given back, but for one whose listener had a fault: it may be read still', async () => {
      await serve()
      onRequest = ({ request }) => {
        if (request.name === 'fault') throw new Error('a fault')
      }
      const payloads = ['a', 'fault', 'b'].map((name) =>
        frameOf(pack({ message_id: name, v: 3 }, name, [text])),
      )
      for (const payload of payloads) server.deliver(payload)
      await pause(0)
      expect(payloads.map(({ length }) => length > 0)).to.deep.equal([false, true, false])
    })
  })

  describe('a control event that opens a channel', () => {
    it('is answered by nothing, and the request follows with response_to', async () => {
      await serve()
      const client = dealer()
      await client.send({ message_id: 'open', v: 3 }, '_zpc_more', [4])
      await pause(30)
      expect([accepted, client.seen]).to.deep.equal([[], []])
      await client.say('open', '_zpc_more', [5])
      await client.say('open', 'method', ['x'])
      await until('the request', () => accepted.length === 1)
      const { channel, request } = accepted[0] as Accepted
      expect([request.name, request.args, channel.credit]).to.deep.equal(['method', ['x'], 10])
      channel.emit('OK', [1])
      const answer = await client.nextEvent()
      expect([answer.name, answer.header['response_to']]).to.deep.equal(['OK', 'open'])
    })

    it('that is a beat is answered with a beat, as any beat is', async () => {
      await serve()
      const client = dealer()
      await client.send({ message_id: 'open', v: 3 }, '_zpc_hb', [0])
      const beat = await client.nextEvent()
      expect([beat.name, beat.args, beat.header['response_to']]).to.deep.equal(['_zpc_hb', [0], 'open'])
      await client.say('open', 'method', [])
      await until('the request', () => accepted.length === 1)
    })

    it('and never comes to a request is forgotten when its beats stop', async () => {
      await serve({ heartbeat: { intervalMs: 40 } })
      const client = dealer()
      await client.send({ message_id: 'open', v: 3 }, '_zpc_hb', [0])
      await until('the channel', () => server.openChannels === 1)
      await until('its end', () => server.openChannels === 0)
      expect(wheel.size).to.equal(0)
    })

    it('and is cancelled leaves nothing behind, not even the time it had', async () => {
      await serve({ heartbeat: null })
      const client = dealer()
      await client.send({ message_id: 'open', v: 3, zask: 1 }, '_zpc_more', [4])
      await until('the channel', () => server.openChannels === 1)
      await client.say('open', '_zask_cancel', null)
      await until('its end', () => server.openChannels === 0)
      expect(wheel.size).to.equal(0)
    })

    it('with bad credit leaves nothing behind', async () => {
      await serve({ heartbeat: null })
      const client = dealer()
      await client.send({ message_id: 'open', v: 3 }, '_zpc_more', [0])
      await client.say('open', 'method', [])
      await until('the drop', () => droppedFor('unknown channel') === 1)
      expect([server.openChannels, wheel.size, accepted.length]).to.deep.equal([0, 0, 0])
    })
  })

  it('refuses what is more than a peer may have open, and serves others', async () => {
    await serve({ heartbeat: null }, { maxChannelsPerPeer: 5 })
    const [greedy, modest] = [dealer(), dealer()]
    for (let index = 0; index < 7; index++) greedy.request('m', [])
    await greedy.send({ message_id: 'old', v: 1 }, 'm', [])
    await greedy.send({ message_id: 'beat', v: 3 }, '_zpc_hb', [0])
    await until('the refusals', () => greedy.events.length === 3)
    for (const { name, header } of greedy.events.slice(0, 2)) {
      expect(name).to.equal('ERR')
      expect(header).to.include({ code: 'ZASK_SERVER_OVERLOADED', retryable: true })
    }
    expect(greedy.events[0]?.args).to.have.length(3)
    expect(greedy.events[2]?.args).to.have.length(1)
    await until('the drop', () => droppedFor('too many channels') === 4)
    modest.request('m', [])
    await until('the other call', () => accepted.length === 6)
    expect(server.openChannels).to.equal(6)
  })

  it('refuses what is more than it may have open itself', async () => {
    await serve({ heartbeat: null }, { maxChannels: 3 })
    for (let index = 0; index < 5; index++) dealer().request('m', [])
    await until('the drops', () => droppedFor('too many channels') === 2)
    expect(server.openChannels).to.equal(3)
  })

  it('sends what was answered before it closes', async () => {
    await serve()
    const client = dealer()
    for (let index = 0; index < 500; index++) client.request('m', [index])
    await until('the requests', () => accepted.length === 500)
    for (const call of accepted) echo(call)
    await server.close()
    await until('all answers', () => client.seen.length === 500)
    expect(client.events.map(({ args }) => (args as number[])[0])).to.deep.equal(
      Array.from({ length: 500 }, (_, index) => index),
    )
  })

  describe('that closes', () => {
    const ask = '_zask_read'

    it('waits for a zask peer to have read what it was sent, and no longer', async () => {
      const client = await answered({ zask: 1 })
      let closed = false
      const closing = server.close().then(() => (closed = true))
      await until('the question', () => client.events.some(({ name }) => name === ask))
      await pause(100)
      expect(closed).to.equal(false)
      const question = client.events.find(({ name }) => name === ask)
      expect(question).to.deep.include({ args: null })
      expect(question?.header).not.to.have.property('response_to')
      await client.say(question?.header['message_id'], ask, null)
      await until('the end', () => closed)
      await closing
    })

    it('waits a second at most for one that does not read', async () => {
      const client = await answered({ zask: 1 })
      const begun = performance.now()
      await server.close()
      expect(performance.now() - begun).to.be.within(900, 4000)
      expect(client.events.filter(({ name }) => name === ask)).to.have.length.above(3)
    })

    it('does not wait for a zask peer that is gone', async () => {
      const client = await answered({ zask: 1 })
      client.close()
      const begun = performance.now()
      await server.close()
      expect(performance.now() - begun).to.be.below(900)
      expect(counters.lostPeers).to.equal(1)
    })

    it('does not ask a plain peer', async () => {
      const client = await answered({})
      await server.close()
      await pause(50)
      expect(client.events.map(({ name }) => name)).to.deep.equal(['OK'])
    })

    it('takes no answer for what it has not asked', async () => {
      const client = await answered({ zask: 1 })
      await client.say('nobody', ask, null)
      await until('the drop', () => droppedFor('unknown channel') === 1)
    })
  })

  it('loses the channels of a peer that is gone when it has something to say to it', async () => {
    await serve({ heartbeat: null })
    const client = new RawDealer(endpoint)
    for (let index = 0; index < 3; index++) client.request('m', [])
    await until('the requests', () => accepted.length === 3)
    client.close()
    await pause(50)
    accepted[0]?.channel.emit('OK', [1])
    await until('the loss', () => accepted[1]?.lost.length === 1)
    expect(accepted.map(({ lost }) => lost)).to.deep.equal([
      ['ZASK_PEER_LOST'],
      ['ZASK_PEER_LOST'],
      ['ZASK_PEER_LOST'],
    ])
    expect([server.openChannels, counters.lostPeers]).to.deep.equal([0, 1])
  })

  it('finds out that the silent reader of a stream is gone', async () => {
    await serve({ heartbeat: { intervalMs: 30 } })
    const client = new RawDealer(endpoint)
    client.request('m', [])
    await until('the request', () => accepted.length === 1)
    const [call] = accepted
    call?.channel.emit('STREAM', 1)
    const waiting = call?.channel.ready()?.catch((error: Error) => error)
    client.close()
    expect(await waiting).to.be.an('error')
    expect(call?.lost).to.deep.equal(['ZASK_PEER_LOST'])
  })
})
