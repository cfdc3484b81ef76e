import { expect } from 'chai'
import type { RemoteStream } from '../../core/index.ts'
import { Cores, failure, pause, until } from '../support/cores.ts'

class Streams {
  produced = 0
  ended = 0

  async *count(to: number): AsyncGenerator<number> {
    try {
      for (let item = 1; item <= to; item++) {
        this.produced = item
        yield item
      }
    } finally {
      this.ended++
    }
  }

  *undefineds(): Generator<undefined> {
    yield undefined
    yield undefined
  }

  value(): number {
    return 5
  }

  refused(): AsyncGenerator<number> {
    throw new RangeError('no stream today')
  }
}

describe('a stream that is read', () => {
  const cores = new Cores()
  afterEach(() => cores.close())

  it('is iterated at once, or awaited first and iterated or stepped then', async () => {
    const { endpoint } = await cores.serve(new Streams())
    const { client } = await cores.client<Streams>(endpoint)
    const items: number[] = []
    for await (const item of client.count(3)) items.push(item)
    const stream = await client.count(2)
    for await (const item of stream) items.push(item)
    const stepped = await client.count(1)
    expect(await stepped.next()).deep.equal({ done: false, value: 1 })
    expect(await stepped.next()).deep.equal({ done: true, value: undefined })
    expect(await stepped.next()).deep.equal({ done: true, value: undefined })
    expect(items).deep.equal([1, 2, 3, 1, 2])
  })

  it('gives items in order to steps that were asked for all at once', async () => {
    const { endpoint } = await cores.serve(new Streams())
    const { client } = await cores.client<Streams>(endpoint)
    const stream = await client.count(300)
    const steps = await Promise.all(Array.from({ length: 303 }, () => stream.next()))
    expect(steps.slice(0, 300).map(({ value }) => value)).deep.equal(
      Array.from({ length: 300 }, (_, index) => index + 1),
    )
    expect(steps.slice(300).map(({ done }) => done)).deep.equal([true, true, true])
  })

  it('may hold empty items, which do not end it', async () => {
    const { endpoint } = await cores.serve(new Streams())
    const { client } = await cores.client<Streams>(endpoint)
    let items = 0
    for await (const item of client.undefineds()) {
      expect(item ?? null).equal(null)
      items++
    }
    expect(items).equal(2)
  })

  it('holds its producer back while nobody reads, and loses nothing by it', async () => {
    const streams = new Streams()
    const { endpoint } = await cores.serve(streams)
    const { client } = await cores.client<Streams>(endpoint, { window: 50 })
    const stream = await client.count(2000)
    await pause(60)
    expect(streams.produced).below(110)
    let expected = 0
    for await (const item of stream) {
      expect(item).equal(++expected)
      if (expected % 500 === 0) {
        await pause(10)
        expect(streams.produced - expected).below(110)
      }
    }
    expect(expected).equal(2000)
  })

  it('is cancelled by leaving the loop, by `return`, and by an error thrown in the loop', async () => {
    const streams = new Streams()
    const { core: server, endpoint } = await cores.serve(streams)
    const { core, client } = await cores.client<Streams>(endpoint)
    for await (const item of client.count(100_000)) if (item === 2) break
    await until(() => streams.ended === 1)
    const stream: RemoteStream<number> = await client.count(100_000)
    const pending = Array.from({ length: 3 }, () => stream.next())
    await Promise.all(pending)
    await stream.return()
    expect(await stream.next()).deep.equal({ done: true, value: undefined })
    await until(() => streams.ended === 2)
    const thrown = await failure(
      (async () => {
        for await (const item of client.count(100_000)) if (item === 3) throw new Error('mine')
      })(),
    )
    expect(thrown.message).equal('mine')
    await until(() => streams.ended === 3 && server.stats.now.running === 0)
    expect([core.stats.now.channels, server.stats.now.channels, core.stats.now.calling]).deep.equal([0, 0, 0])
    expect(client.$endpoints[0]?.calls).equal(0)
  })

  it('ends its call once: afterCall counts the items', async () => {
    const { core: server, endpoint } = await cores.serve(new Streams())
    const { core, client } = await cores.client<Streams>(endpoint)
    const outcomes: unknown[] = []
    for (const one of [server, core]) {
      one.hooks.afterCall.tap('test', ({ side }, { ok, items }) => void outcomes.push({ side, ok, items }))
    }
    for await (const item of client.count(120)) void item
    await until(() => outcomes.length === 2)
    expect(outcomes).deep.equal([
      { side: 'server', ok: true, items: 120 },
      { side: 'client', ok: true, items: 120 },
    ])
  })

  it('throws what the method threw before its first item, and says when there is no stream', async () => {
    const { endpoint } = await cores.serve(new Streams())
    const { client } = await cores.client<Streams>(endpoint)
    expect(await failure(client.refused())).include({ remoteName: 'RangeError', message: 'no stream today' })
    const error = await failure(
      (async () => {
        for await (const item of client.value() as unknown as AsyncIterable<number>) void item
      })(),
    )
    expect(error).include({ code: 'ZASK_CALL_NOT_STREAM' })
    expect(error.message).include('await it')
  })

  it('gives what had come, then the error, when its client is closed', async () => {
    const { endpoint } = await cores.serve(new Streams())
    const { client } = await cores.client<Streams>(endpoint)
    const stream = await client.count(100_000)
    expect((await stream.next()).value).equal(1)
    await pause(20)
    await client.$close()
    const items: number[] = []
    const error = await failure(
      (async () => {
        for await (const item of stream) items.push(item)
      })(),
    )
    expect(error).include({ code: 'ZASK_CLIENT_CLOSED', sent: true })
    expect(items).deep.equal(Array.from({ length: items.length }, (_, index) => index + 2))
  })
})
