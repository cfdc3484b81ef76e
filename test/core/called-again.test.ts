import { expect } from 'chai'
import * as zmq from 'zeromq'
import type { Client, ClientOptions } from '../../core/index.ts'
import { Cores, failure, pause, until } from '../support/cores.ts'
import { type RawMessage, RawRouter } from '../support/raw-peer.ts'

interface Shop {
  price(of: string): number
  buy(what: string): void
  list(): AsyncGenerator<string>
}

const cores = new Cores()
const routers: RawRouter[] = []
afterEach(async () => {
  for (const router of routers.splice(0)) router.close()
  await cores.close()
})

/** Servers made by hand, and a client that is connected to all of them. */
async function shops(
  count: number,
  options: ClientOptions<Shop> = {},
): Promise<{ client: Client<Shop>; stats: () => { retried: number; failed: number } }> {
  const endpoints: string[] = []
  for (let index = 0; index < count; index++) {
    const router = new RawRouter()
    routers.push(router)
    endpoints.push(await router.bind())
  }
  const { client, core } = await cores.client<Shop>(endpoints, {
    heartbeat: null,
    timeoutMs: 5000,
    ...options,
  })
  await until(() => client.$endpoints.every(({ up }) => up))
  return { client, stats: () => core.stats.made }
}

/** The request that one of the servers got, with that server. */
async function asked(): Promise<{ router: RawRouter; request: RawMessage }> {
  for (;;) {
    for (const router of routers) {
      const request = router.seen.at(-1)
      if (request !== undefined) return { router, request }
    }
    await pause(2)
  }
}

/** Closes the server that was asked, as if it had been killed. */
async function breakAsked(): Promise<RawMessage> {
  const { router, request } = await asked()
  routers.splice(routers.indexOf(router), 1)
  router.close()
  return request
}

const leftOf = ({ events }: RawMessage): number => events[0]?.header['deadline_ms'] as number

describe('a call whose connection breaks', () => {
  it('is made again at another endpoint where its method may run twice, in the time that is left', async () => {
    const { client, stats } = await shops(2, { idempotent: ['price'] })
    const price = client.price('tea')
    const first = await breakAsked()
    const { router, request } = await asked()
    expect(request.events[0]).to.deep.include({ name: 'price', args: ['tea'] })
    expect(leftOf(request)).to.be.at.most(leftOf(first))
    void router.reply(request, 'OK', [5])
    expect(await price).to.equal(5)
    expect(stats()).to.include({ retried: 1, failed: 0 })
  })

  it('is not made again where nobody said so, and has been sent', async () => {
    const { client, stats } = await shops(2, { idempotent: ['price'] })
    const bought = failure(client.buy('tea'))
    await breakAsked()
    expect(await bought).to.include({ code: 'ZASK_PEER_LOST', sent: true })
    await pause(50)
    expect(routers[0]?.seen).to.deep.equal([])
    expect(stats()).to.include({ retried: 0, failed: 1 })
  })

  it('goes by what is said for that call before what is said for its method', async () => {
    const { client } = await shops(3, { idempotent: ['price'] })
    const once = failure(client.$with({ idempotent: false }).price('tea'))
    await breakAsked()
    expect(await once).to.include({ code: 'ZASK_PEER_LOST', sent: true })
    const twice = client.$call('buy', ['tea'], { idempotent: true })
    await breakAsked()
    const { router, request } = await asked()
    void router.reply(request, 'OK', ['sold'])
    expect(await twice).to.equal('sold')
  })

  it('is made four times at most', async () => {
    const { client, stats } = await shops(6, { idempotent: ['price'] })
    const price = failure(client.price('tea'))
    for (let attempt = 1; attempt <= 4; attempt++) await breakAsked()
    expect(await price).to.include({ code: 'ZASK_PEER_LOST', sent: true })
    await pause(50)
    expect(routers.map(({ seen }) => seen.length)).to.deep.equal([0, 0])
    expect(stats()).to.include({ retried: 3 })
  })

  it('waits for the only endpoint to be back, within its time, and then says that it was sent', async () => {
    const { client } = await shops(1, { idempotent: ['price'] })
    const price = client.price('tea')
    await breakAsked()
    const router = new RawRouter()
    routers.push(router)
    await router.bind(client.$endpoints[0]?.endpoint)
    const { request } = await asked()
    void router.reply(request, 'OK', [7])
    expect(await price).to.equal(7)
    const late = failure(client.$with({ timeoutMs: 300 }).price('coffee'))
    await until(() => router.seen.length === 2)
    await breakAsked()
    expect(await late).to.include({ code: 'ZASK_PEER_UNREACHABLE', sent: true })
  })

  it('is not made again once its stream has begun', async () => {
    const { client } = await shops(2, { idempotent: ['list'] })
    const items: string[] = []
    const stream = failure(
      (async () => {
        for await (const item of client.list()) items.push(item)
      })(),
    )
    const { router, request } = await asked()
    void router.reply(request, 'STREAM', 'tea')
    await until(() => items.length === 1)
    await breakAsked()
    expect(await stream).to.include({ code: 'ZASK_PEER_LOST' })
    await pause(50)
    expect(routers[0]?.seen).to.deep.equal([])
  })

  it('refuses what is no list of names', async () => {
    for (const idempotent of ['price', true, [1]]) {
      const error = await failure(cores.make().client('inproc://shop', { idempotent } as never))
      expect(error.message).to.include('idempotent is a list of names')
    }
    const { client } = await shops(1)
    expect(() => client.$with({ idempotent: 'yes' as never })).to.throw('idempotent is true or false')
  })
})

describe('a call that expires while it waits to be sent', () => {
  it('is never sent, and says so', async () => {
    // A server that does not read: libzmq takes what it has room for, the rest waits in the client.
    const router = new zmq.Router({ linger: 0, receiveHighWaterMark: 1, receiveBufferSize: 4096 })
    try {
      await router.bind('tcp://127.0.0.1:*')
      const { client } = await cores.client<Shop>(router.lastEndpoint as string, {
        timeoutMs: 300,
        heartbeat: null,
      })
      await until(() => client.$endpoints[0]?.up === true)
      const body = 'x'.repeat(100_000)
      const errors = await Promise.all(
        Array.from({ length: 120 }, (_, index) => failure(client.price(`${index} ${body}`))),
      )
      const unsent = errors.flatMap(({ sent }, index) => (sent === false ? [index] : []))
      expect(unsent.length).to.be.within(1, 119)
      expect(new Set(errors.map(({ code }) => code))).to.deep.equal(new Set(['ZASK_CALL_TIMEOUT']))
      const seen: number[] = []
      void (async () => {
        for await (const frames of router) {
          const found = /(\d+) x/.exec(frames.at(-1)?.subarray(0, 200).toString('latin1') ?? '')
          if (found !== null) seen.push(Number(found[1]))
        }
      })().catch(() => undefined)
      await until(() => seen.length === 120 - unsent.length)
      await pause(100)
      expect(seen.filter((index) => unsent.includes(index))).to.deep.equal([])
      expect(seen).to.have.length(120 - unsent.length)
    } finally {
      router.close()
    }
  })
})
