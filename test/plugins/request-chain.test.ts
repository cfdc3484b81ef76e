import { expect } from 'chai'
import { type Call, type Client, createCore, type Plugin } from 'zask'
import { headers } from 'zask/plugins/headers'
import { requestChain, type RequestChainAdds } from 'zask/plugins/request-chain'
import { pluginContract, testCore } from 'zask/testing'

type Chained = Call & RequestChainAdds
type Seen = { service: string | undefined; requestId: string; originAccessKey: string | undefined }

const uuidForm = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 3))

/** Three services, each calling the next; the last answers with what the chain has come to. */
async function chain(plugins: readonly Plugin[] = [requestChain()], config: object = {}) {
  const current = (): Seen => {
    const { service, requestId, originAccessKey } = tested.core.currentCall as unknown as Chained
    return { service, requestId, originAccessKey }
  }
  class First {
    static readonly service = 'first'
    async ask(): Promise<Seen[]> {
      const before = current()
      await pause()
      const next = await clients.second()
      const seen = await next.ask()
      return [before, ...seen, current()]
    }
    async *stream(): AsyncGenerator<Seen> {
      yield current()
      await pause()
      const next = await clients.second()
      yield* await next.stream()
      yield current()
    }
  }
  class Second {
    static readonly service = 'second'
    async ask(): Promise<Seen[]> {
      const before = current()
      const last = await clients.last()
      await pause()
      const [one, two] = await Promise.all([last.ask(), last.ask()])
      return [before, one, two, current()]
    }
    async *stream(): AsyncGenerator<Seen> {
      yield current()
      const last = await clients.last()
      await pause()
      yield await last.ask()
    }
  }
  class Last {
    static readonly service = 'last'
    async ask(): Promise<Seen> {
      await pause()
      return current()
    }
  }
  // One client for all calls, made within one of them: that must tie it to none.
  let second: Promise<Client<Second>> | undefined
  let last: Promise<Client<Last>> | undefined
  const clients = {
    second: () => (second ??= tested.core.client<Second>('second')),
    last: () => (last ??= tested.core.client<Last>('last')),
  }
  const services = [new First(), new Second(), new Last()] as const
  const tested = await testCore({ services, plugins, config })
  return tested
}

describe('request-chain', () => {
  it('gives a call an id at the first hop and carries it through every call below', async () => {
    await using tested = await chain()
    const seen = await tested.client.ask()
    expect(seen.map(({ service }) => service)).to.deep.equal([
      'first',
      'second',
      'last',
      'last',
      'second',
      'first',
    ])
    const ids = new Set(seen.map(({ requestId }) => requestId))
    expect(ids.size).to.equal(1)
    expect([...ids][0]).to.match(uuidForm)
  })

  it('takes the id that a caller sends', async () => {
    await using tested = await chain()
    const uuid = 'a0d193d0-e69f-11f1-84a2-02fc00000001'
    const seen = await tested.client.$with({ headers: { uuid } }).ask()
    expect(new Set(seen.map(({ requestId }) => requestId))).to.deep.equal(new Set([uuid]))
  })

  it('holds in streams, from their first item to their last', async () => {
    await using tested = await chain()
    const ids = new Set<string>()
    const services: unknown[] = []
    for await (const { requestId, service } of tested.client.stream()) {
      ids.add(requestId)
      services.push(service)
    }
    expect(services).to.deep.equal(['first', 'second', 'last', 'first'])
    expect(ids.size).to.equal(1)
  })

  it('gives calls outside of any call an id each', async () => {
    await using tested = await chain()
    const ids = (await Promise.all([1, 2, 3].map(() => tested.client.ask()))).map(
      ([first]) => first?.requestId,
    )
    expect(new Set(ids).size).to.equal(3)
  })

  it('never leaks into a neighbour: 1,000 interleaved calls through three services', async () => {
    await using tested = await chain()
    const answers = await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        const own = i % 2 === 0 ? { uuid: `call-${i}`, origin_access_key: `key-${i}` } : {}
        return { i, seen: await tested.client.$with({ headers: own }).ask() }
      }),
    )
    const ids = new Set<string>()
    for (const { i, seen } of answers) {
      const mine = new Set(seen.map(({ requestId }) => requestId))
      expect(mine.size, `ids of call ${i}`).to.equal(1)
      if (i % 2 === 0) expect([...mine]).to.deep.equal([`call-${i}`])
      const keys = new Set(seen.map(({ originAccessKey }) => originAccessKey ?? undefined))
      expect([...keys]).to.deep.equal([i % 2 === 0 ? `key-${i}` : undefined])
      for (const id of mine) ids.add(id)
    }
    expect(ids.size).to.equal(1000)
  }).timeout(30_000)

  it('carries the key of the first caller, whatever keys the services between call with', async () => {
    await using tested = await chain([headers(), requestChain()], {
      ZERORPC_FIRST: { access_key: 'outside', client_keys: null },
      ZERORPC_SECOND: { access_key: 'of-first', client_keys: null },
      ZERORPC_LAST: { access_key: 'of-second', client_keys: null },
    })
    const seen = await tested.client.ask()
    expect(new Set(seen.map(({ originAccessKey }) => originAccessKey))).to.deep.equal(new Set(['outside']))
  })

  it('sends origin_access_key only within a call, as the original', async () => {
    const sent: Record<string, unknown>[] = []
    const witness: Plugin = {
      name: 'witness',
      apply(core) {
        core.hooks.beforeCall.tap('witness', (call) => {
          if (call.side === 'client') sent.push({ service: call.service, ...call.headers })
        })
      },
    }
    await using tested = await chain([requestChain(), witness])
    await tested.client.$with({ headers: { access_key: 'outside' } }).ask()
    expect(sent[0]).to.not.have.property('origin_access_key')
    for (const one of sent.slice(1)) expect(one).to.include({ origin_access_key: 'outside' })
    expect(new Set(sent.map(({ uuid }) => uuid)).size).to.equal(1)
  })

  for (const [title, uuid] of Object.entries({
    'empty text': '',
    'a number': 5,
    nil: null,
    'a list': ['x'],
    bytes: Buffer.from('x'),
    'a line break': 'a\nb',
    'a terminal escape': '\u001b[31m',
    'ten thousand characters': 'x'.repeat(10_000),
  })) {
    it(`makes a new id where the caller sends ${title}`, async () => {
      class Probe {
        id(): string {
          return tested.core.call.requestId
        }
      }
      const tested = await testCore({ services: [new Probe()], plugins: [requestChain()] })
      await using stack = new AsyncDisposableStack()
      stack.use(tested)
      // A core without the plugin sends the header as it is.
      const stranger = stack.use(createCore())
      const client = await stranger.client<Probe>(tested.endpoint, { headers: { uuid } })
      expect(await client.id()).to.match(uuidForm)
    })
  }
})

pluginContract({ name: 'request-chain', create: requestChain })
