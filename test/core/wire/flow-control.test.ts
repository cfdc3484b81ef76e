import { expect } from 'chai'
import { type Core } from 'zask'
import { pause, type RawDealer, type RawEvent, until } from '../../support/raw-peer.ts'
import { World } from '../../support/world.ts'

class Streams {
  /** How far the generator was asked. */
  asked = 0
  ended = 0

  echo(value: unknown): unknown {
    return value
  }

  *countTo(last: number): Generator<number> {
    try {
      for (let item = 1; item <= last; item++) {
        this.asked = item
        yield item
      }
    } finally {
      this.ended++
    }
  }

  *breakAfter(last: number): Generator<number> {
    yield* this.countTo(last)
    throw new RangeError('broken')
  }

  /** Holds the event loop up, as a careless method does. */
  block(ms: number): string {
    const end = performance.now() + ms
    while (performance.now() < end);
    return 'blocked'
  }

  async sleep(ms: number): Promise<string> {
    await pause(ms)
    return 'slept'
  }
}

describe('a served stream', () => {
  let world: World
  let service: Streams
  let core: Core
  let dealer: RawDealer
  beforeEach(async () => {
    world = new World()
    service = new Streams()
    const served = await world.serve(service)
    core = served.core
    dealer = world.dealer(served.endpoint)
  })
  afterEach(() => world.close())

  const items = (): unknown[] => dealer.events.filter(({ name }) => name === 'STREAM').map(({ args }) => args)
  const names = (): string[] => dealer.events.map(({ name }) => name)

  it('stops after the one item that needs no grant, and its generator is not asked far ahead', async () => {
    const id = dealer.request('countTo', [1000])
    await until('the first item', () => items().length === 1)
    await pause(50)
    expect(items()).to.deep.equal([1])
    expect(service.asked).to.be.at.most(2)
    await dealer.say(id, '_zpc_more', [5])
    await until('five more', () => items().length === 6)
    await pause(50)
    expect(items()).to.deep.equal([1, 2, 3, 4, 5, 6])
    expect(service.asked).to.be.at.most(7)
  })

  it('holds STREAM_DONE back until there is credit for it', async () => {
    const id = dealer.request('countTo', [3])
    await dealer.say(id, '_zpc_more', [2])
    await until('the items', () => items().length === 3)
    await pause(50)
    expect(names()).to.deep.equal(['STREAM', 'STREAM', 'STREAM'])
    await dealer.say(id, '_zpc_more', [1])
    await until('the end', () => names().length === 4)
    expect(dealer.events[3]).to.deep.include({ name: 'STREAM_DONE', args: null })
    expect(core.stats.now.channels).to.equal(0)
  })

  it('holds an ERR in its middle back until there is credit for it', async () => {
    const id = dealer.request('breakAfter', [2])
    await dealer.say(id, '_zpc_more', [1])
    await until('the items', () => items().length === 2)
    await pause(50)
    expect(names()).to.deep.equal(['STREAM', 'STREAM'])
    await dealer.say(id, '_zpc_more', [1])
    await until('the error', () => names().length === 3)
    expect(((dealer.events.at(-1) as RawEvent).args as unknown[]).slice(0, 2)).to.deep.equal([
      'RangeError',
      'broken',
    ])
    expect(core.stats.now.channels).to.equal(0)
  })

  it('never exceeds its credit, whatever portions it is granted in', async () => {
    const id = dealer.request('countTo', [500])
    let granted = 1
    for (const portion of [1, 2, 3, 50, 7, 1, 100, 51, 51]) {
      await dealer.say(id, '_zpc_more', [portion])
      granted += portion
      await until('what was granted', () => names().length >= granted)
      await pause(5)
      expect(names()).to.have.length(granted)
    }
    expect(items()).to.deep.equal(Array.from({ length: granted }, (_, index) => index + 1))
  })

  it('is ended by bad credit, with its generator, and no other stream is', async () => {
    const [bad, good] = [dealer.request('countTo', [100]), dealer.request('countTo', [100])]
    await until('both', () => items().length === 2)
    await dealer.say(bad, '_zpc_more', [-100])
    await until('the end of one', () => service.ended === 1)
    expect(core.stats.now.channels).to.equal(1)
    await dealer.say(good, '_zpc_more', [1000])
    await until('the other', () => names().includes('STREAM_DONE'))
    const { header } = dealer.events.at(-1) as RawEvent
    expect(header['response_to']).to.equal(good)
  })

  it('says nothing after its end, whatever comes', async () => {
    const id = dealer.request('countTo', [2])
    await dealer.say(id, '_zpc_more', [100])
    await until('the end', () => names().includes('STREAM_DONE'))
    for (let time = 0; time < 20; time++) {
      await dealer.say(id, '_zpc_more', [10])
      await dealer.say(id, '_zpc_hb', [0])
    }
    await pause(50)
    expect(names()).to.deep.equal(['STREAM', 'STREAM', 'STREAM_DONE'])
    expect(core.stats.wire.dropped).to.deep.equal({ 'unknown channel': 40 })
  })

  it('sends no control events of its own to a plain client that sends none', async () => {
    const id = dealer.request('countTo', [1000])
    await dealer.say(id, '_zpc_more', [2000])
    await until('the end', () => names().includes('STREAM_DONE'))
    expect(new Set(names())).to.deep.equal(new Set(['STREAM', 'STREAM_DONE']))
  })
})

describe('the heartbeat between zask peers', () => {
  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())
  const heartbeat = { intervalMs: 50 }

  it('keeps calls alive that take many intervals', async () => {
    const { endpoint, core } = await world.serve(new Streams(), { heartbeat })
    const { client } = await world.client<Streams>(endpoint, { heartbeat })
    await client.echo(0)
    expect(await Promise.all(Array.from({ length: 50 }, () => client.sleep(500)))).to.have.length(50)
    expect(core.stats.wire.lostPeers).to.equal(0)
  })

  it('is no reason to lose a client or server whose event loop was held up', async () => {
    const { endpoint } = await world.serve(new Streams(), { heartbeat: { intervalMs: 400 } })
    const { client } = await world.client<Streams>(endpoint, { heartbeat: { intervalMs: 400 } })
    await client.echo(0)
    const sleeping = Array.from({ length: 50 }, () => client.sleep(1500))
    // One process, so that both ends stand still: no beat is sent or read for longer than two intervals.
    expect(await client.block(1200)).to.equal('blocked')
    expect(await Promise.all(sleeping)).to.have.length(50)
  })

  it('switched off at one end is not missed at the other', async () => {
    const pairs = [
      [null, heartbeat],
      [heartbeat, null],
    ] as const
    const answers = pairs.map(async ([server, caller]) => {
      const { endpoint } = await world.serve(new Streams(), { heartbeat: server })
      const { client } = await world.client<Streams>(endpoint, { heartbeat: caller })
      await client.echo(0)
      return client.sleep(400)
    })
    expect(await Promise.all(answers)).to.deep.equal(['slept', 'slept'])
  })

  it('of two paces goes by the slower one', async () => {
    const pairs = [
      [30, 300],
      [300, 30],
    ] as const
    const answers = pairs.map(async ([server, caller]) => {
      const { endpoint } = await world.serve(new Streams(), { heartbeat: { intervalMs: server } })
      const { client } = await world.client<Streams>(endpoint, { heartbeat: { intervalMs: caller } })
      await client.echo(0)
      return client.sleep(800)
    })
    expect(await Promise.all(answers)).to.deep.equal(['slept', 'slept'])
  })
})

describe('a client that reads many streams of one plain server', () => {
  let world: World
  beforeEach(() => {
    world = new World()
  })
  afterEach(() => world.close())

  it('grants less in all than what a ROUTER of that server holds before it drops', async () => {
    const { router, endpoint } = await world.router()
    const { client } = await world.client(endpoint)
    const readers = Array.from({ length: 30 }, async () => {
      for await (const item of client['countTo']!(2)) void item
    })
    await until('all requests', () => router.seen.length === 30)
    const requests = [...router.seen]
    for (const request of requests) await router.reply(request, 'STREAM', 1)
    await until('a grant for each', () => router.seen.length === 60)
    const granted = router.seen.slice(30).map(({ events }) => (events[0]!.args as number[])[0]!)
    expect(Math.min(...granted)).to.be.at.least(1)
    expect(granted.reduce((sum, credit) => sum + credit, 0)).to.be.below(1000)
    for (const request of requests) await router.reply(request, 'STREAM_DONE', null)
    await Promise.all(readers)
  })
})
