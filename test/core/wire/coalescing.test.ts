import { expect } from 'chai'
import * as zmq from 'zeromq'
import { ListeningProxy } from '../../support/listening-proxy.ts'
import { type RawEvent, type RawMessage, unpack, until } from '../../support/raw-peer.ts'
import { World } from '../../support/world.ts'

class Echo {
  echo(value: unknown): unknown {
    return value
  }

  *countTo(last: number): Generator<number> {
    for (let item = 1; item <= last; item++) yield item
  }
}

interface Recorded {
  readonly dir: 'c2s' | 's2c'
  readonly events: RawEvent[]
}

/**
 * Stands between client and server and keeps a record of each message. To the server it looks like the client itself
 * (`direct`: the envelope stops here), or like a proxy that leaves its own frame in the envelope.
 */
async function tap(
  world: World,
  server: string,
  direct: boolean,
): Promise<{ endpoint: string; record: Recorded[] }> {
  const record: Recorded[] = []
  const [front, back] = [new zmq.Router({ linger: 0 }), new zmq.Dealer({ linger: 0 })]
  world.add(front, (socket) => socket.close())
  world.add(back, (socket) => socket.close())
  await front.bind('tcp://127.0.0.1:*')
  back.connect(server)
  let client: Buffer
  const pass = async (
    dir: Recorded['dir'],
    from: zmq.Router | zmq.Dealer,
    to: zmq.Router | zmq.Dealer,
  ): Promise<void> => {
    for (;;) {
      let frames: Buffer[]
      try {
        frames = await from.receive()
      } catch {
        return
      }
      record.push({ dir, events: unpack(frames.at(-1) as Buffer) })
      if (direct && dir === 'c2s') client = frames.shift() as Buffer
      if (direct && dir === 's2c') frames.unshift(client)
      await to.send(frames)
    }
  }
  void pass('c2s', front, back)
  void pass('s2c', back, front)
  return { endpoint: front.lastEndpoint as string, record }
}

const sizes = (record: readonly Recorded[], dir: Recorded['dir']): number[] =>
  record.filter((message) => message.dir === dir).map(({ events }) => events.length)
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const ones = (count: number): number[] => range(count).map(() => 1)
const times = (pieces: readonly Buffer[], text: string): number =>
  Buffer.concat(pieces).toString('latin1').split(text).length - 1
const order = (quantity: number): object => ({ sku: `CARD-${quantity}`, quantity, at: { city: 'London' } })
const shows = (message: RawMessage | undefined): unknown => message?.events[0]?.header['zask']

describe('coalescing', () => {
  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())

  describe('between zask peers', () => {
    it('puts the events of one turn into one message, once both have shown what they are', async () => {
      const { endpoint } = await world.serve(new Echo())
      const { endpoint: tapped, record } = await tap(world, endpoint, true)
      const { client } = await world.client<Echo>(tapped)

      // Before the first answer the client does not know whom it talks to.
      await Promise.all(range(5).map((value) => client.echo(value)))
      expect(sizes(record, 'c2s')).to.deep.equal(ones(5))
      const firsts = ['c2s', 's2c'].map((dir) =>
        record.filter((message) => message.dir === dir).flatMap(({ events }) => events),
      )
      for (const events of firsts) {
        expect(events.map(({ header }) => header['zask'])).to.deep.equal([1, ...ones(4).map(() => undefined)])
      }

      record.length = 0
      expect(await Promise.all(range(50).map((value) => client.echo(value)))).to.deep.equal(range(50))
      expect(sizes(record, 'c2s')).to.deep.equal([32, 18])
      expect(sizes(record, 's2c').reduce((sum, size) => sum + size, 0)).to.equal(50)
      expect(sizes(record, 's2c').length).to.be.below(10)
      expect(record.flatMap(({ events }) => events).some(({ header }) => 'zask' in header)).to.equal(false)
    })

    it('has short ids, and answers without one of their own, once both have shown what they are', async () => {
      const { endpoint } = await world.serve(new Echo())
      const { endpoint: tapped, record } = await tap(world, endpoint, true)
      const { client } = await world.client<Echo>(tapped)
      await client.echo(0)
      const [request, answer] = record.map(({ events }) => events[0] as RawEvent)
      const opening = request?.header['message_id'] as Uint8Array
      expect(opening).to.be.instanceOf(Uint8Array).with.length(32)
      // The server has read the announcement when it answers.
      expect(answer?.header).to.not.have.property('message_id')
      expect(answer?.header['response_to']).to.deep.equal(opening)

      record.length = 0
      await Promise.all(range(10).map((value) => client.echo(value)))
      for await (const item of client.countTo(200)) if (item === 200) break
      const events = record.flatMap(({ dir, events: said }) => said.map((event) => ({ dir, ...event })))
      const openings = events.filter(({ header }) => !('response_to' in header))
      expect(openings.map(({ name }) => name)).to.deep.equal([...range(10).map(() => 'echo'), 'countTo'])
      const ids = openings.map(({ header }) => Buffer.from(header['message_id'] as Uint8Array))
      for (const id of ids) expect(id.length).to.equal(7)
      const [first] = ids as [Buffer]
      expect(ids.map((id) => id.readUIntBE(1, 6) - first.readUIntBE(1, 6))).to.deep.equal(range(11))
      for (const { header, name } of events) {
        if ('response_to' in header) expect(Object.keys(header), name).to.deep.equal(['v', 'response_to'])
      }
    })

    it('sends a stream in far fewer messages than items, in order and within the credit', async () => {
      const { endpoint } = await world.serve(new Echo())
      const { endpoint: tapped, record } = await tap(world, endpoint, true)
      const { client } = await world.client<Echo>(tapped)
      await client.echo(0)
      record.length = 0
      const items: number[] = []
      for await (const item of client.countTo(1000)) items.push(item)
      expect(items).to.deep.equal(range(1000).map((index) => index + 1))
      expect(sizes(record, 's2c').length).to.be.below(200)
      let credit = 1
      for (const { dir, events } of record) {
        for (const { name, args } of events) {
          if (dir === 'c2s' && name === '_zpc_more') credit += (args as number[])[0] as number
          // The tap sees a grant before the server does.
          if (dir === 's2c' && name.startsWith('STREAM')) expect(credit--).to.be.above(0)
        }
      }
    })

    it('does not happen where it is switched off, at either end on its own', async () => {
      for (const off of ['client', 'server']) {
        const { endpoint } = await world.serve(new Echo(), { coalesce: off !== 'server' })
        const { endpoint: tapped, record } = await tap(world, endpoint, true)
        const { client } = await world.client<Echo>(tapped, { coalesce: off !== 'client' })
        await client.echo(0)
        record.length = 0
        await Promise.all(range(20).map((value) => client.echo(value)))
        expect(sizes(record, off === 'client' ? 'c2s' : 's2c')).to.deep.equal(ones(20))
        expect(sizes(record, off === 'client' ? 's2c' : 'c2s').length).to.be.below(20)
      }
    })

    it('does not happen behind a proxy: who gets the next message may be somebody else', async () => {
      const { endpoint } = await world.serve(new Echo())
      const { endpoint: proxied, record } = await tap(world, endpoint, false)
      const { client } = await world.client<Echo>(proxied)
      await client.echo(0)
      expect(await Promise.all(range(20).map((value) => client.echo(value)))).to.deep.equal(range(20))
      let count = 0
      for await (const item of client.countTo(200)) count += item > 0 ? 1 : 0
      expect(count).to.equal(200)
      expect(new Set([...sizes(record, 'c2s'), ...sizes(record, 's2c')])).to.deep.equal(new Set([1]))
      const answers = record.filter(({ dir }) => dir === 's2c').flatMap(({ events }) => events)
      expect(answers.some(({ header }) => 'zask' in header)).to.equal(false)
    })

    it('sends the keys of records once in a message, both ways, and records come as they were', async () => {
      const { endpoint } = await world.serve(new Echo())
      const proxy = world.add(await ListeningProxy.open(endpoint), (one) => one[Symbol.asyncDispose]())
      const { client } = await world.client<Echo>(proxy.endpoint)
      const said = (): [number, number] => [times(proxy.sent, 'quantity'), times(proxy.heard, 'quantity')]

      expect(await client.echo(order(0))).to.deep.equal(order(0))
      expect(said()).to.deep.equal([1, 1])
      // Keys are learned by their coming again.
      for (let round = 0; round < 3; round++)
        await Promise.all(range(64).map((value) => client.echo(order(value))))
      const before = said()
      expect(await Promise.all(range(64).map((value) => client.echo(order(value))))).to.deep.equal(
        range(64).map(order),
      )
      const [sent, heard] = said()
      expect([sent - before[0], heard - before[1]]).to.satisfy(
        ([out, back]: number[]) => out! <= 4 && back! <= 16,
      )
      expect(await client.echo([order(1), Buffer.from('x'), order(2)])).to.deep.equal([
        order(1),
        Buffer.from('x'),
        order(2),
      ])
    })

    it('leaves room in a message for an event of the largest size', async () => {
      const { endpoint } = await world.serve(new Echo(), { maxEventBytes: 256 * 1024 })
      const { client, core } = await world.client<Echo>(endpoint, { maxEventBytes: 256 * 1024 })
      await client.echo(0)
      const [small, large] = [Buffer.alloc(60_000, 1), Buffer.alloc(256 * 1024 - 300, 2)]
      const answers = await Promise.all([client.echo(small), client.echo(large)])
      expect(answers).to.deep.equal([small, large])
      expect(core.stats.wire.lostPeers).to.equal(0)
    })
  })

  describe('of a server', () => {
    it('towards a client that does not show itself never happens, and nothing is shown to it', async () => {
      const { endpoint } = await world.serve(new Echo())
      const dealer = world.dealer(endpoint)
      for (const value of range(30)) dealer.request('echo', [value])
      const stream = dealer.request('countTo', [100])
      await dealer.say(stream, '_zpc_more', [200])
      await until('all answers', () => dealer.events.length === 30 + 101)
      expect(dealer.seen.map(({ events }) => events.length)).to.deep.equal(ones(131))
      for (const { header } of dealer.events)
        expect(Object.keys(header)).to.deep.equal(['message_id', 'v', 'response_to'])
    })

    it('begins when a client shows itself with the header key, and is shown once in return', async () => {
      const { endpoint } = await world.serve(new Echo())
      const dealer = world.dealer(endpoint)
      dealer.request('echo', [1], { zask: 1 })
      expect(shows(await dealer.next())).to.equal(1)
      const stream = dealer.request('countTo', [90])
      await dealer.say(stream, '_zpc_more', [200])
      await until('the stream', () => dealer.events.some(({ name }) => name === 'STREAM_DONE'))
      const messages = dealer.seen.slice(1)
      expect(messages.length).to.be.below(30)
      expect(messages.some((message) => shows(message) !== undefined)).to.equal(false)
    })

    it('is not due to the next client', async () => {
      const { endpoint } = await world.serve(new Echo())
      const known = world.dealer(endpoint)
      known.request('echo', [1], { zask: 1 })
      await known.next()
      const next = world.dealer(endpoint)
      for (const value of range(20)) next.request('echo', [value])
      await until('the answers', () => next.events.length === 20)
      expect(next.seen.map(({ events }) => events.length)).to.deep.equal(ones(20))
    })
  })

  describe('of a client', () => {
    it('towards a server that does not show itself never happens, and it shows itself only once', async () => {
      const { router, endpoint } = await world.router()
      const { client } = await world.client<Echo>(endpoint)
      for (const round of [0, 1]) {
        const answers = range(20).map((value) => client.echo(value))
        for (const value of range(20)) await router.reply(await router.next(), 'OK', [value])
        expect(await Promise.all(answers), `round ${round}`).to.deep.equal(range(20))
      }
      expect(router.seen.map(({ events }) => events.length)).to.deep.equal(ones(40))
      expect(router.seen.map(shows)).to.deep.equal([1, ...ones(39).map(() => undefined)])
    })

    it('is forgotten when the connection is a new one: a plain server may have taken the place', async () => {
      const zask = await world.serve(new Echo())
      const { client } = await world.client<Echo>(zask.endpoint)
      await client.echo(0)
      await zask.core.stop()
      await until('the end', () => client.$endpoints[0]?.up === false)
      const { router } = await world.router(zask.endpoint)
      const answers = range(10).map((value) => client.echo(value))
      for (const value of range(10)) await router.reply(await router.next(), 'OK', [value])
      expect(await Promise.all(answers)).to.deep.equal(range(10))
      expect(router.seen.map(({ events }) => events.length)).to.deep.equal(ones(10))
      expect(shows(router.seen[0])).to.equal(1)
    })
  })
})
