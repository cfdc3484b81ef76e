import { expect } from 'chai'
import fc from 'fast-check'
import { ZaskError } from 'zask'
import { pack, RawRouter, type RawMessage } from '../support/raw-peer.ts'
import { World } from '../support/world.ts'
import { again, cases, patienceMs, seed } from './budget.ts'
import { answers } from './junk.ts'

const batch = 100

describe('a client whose server sends what it likes', function () {
  this.timeout(patienceMs(40_000))

  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())

  it('settles every call once, leaves nothing open, and is as good as before', async () => {
    const { router, endpoint } = await world.router()
    const server = new Liar(router)
    const { client, core } = await world.client(endpoint, { timeoutMs: 20_000, heartbeat: null })
    const count = Math.ceil(cases(10) / batch)
    const outcomes: Record<string, number> = {}
    for (let step = 0; step < count; step++) {
      const said = fc.sample(fc.array(answers, { maxLength: 3 }), { numRuns: batch, seed: seed + step })
      let settled = 0
      const calls = said.map(async (_, index) => {
        const outcome = await settle(client.$call('method', [index]))
        settled++
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      })
      for (const junk of said) await server.answer(junk)
      await Promise.all(calls)
      expect(settled).to.equal(batch)
      expect(core.stats.now, again('client')).to.deep.include({ channels: 0, calling: 0, timers: 0 })
      const good = client.$call('echo', ['well'])
      await server.answer([])
      expect(await good, again('client')).to.equal('at last')
    }
    console.log(`      ${count * batch} answers: ${JSON.stringify(outcomes)}`)
    expect(outcomes).to.include.keys(
      'value',
      'stream',
      'ZASK_WIRE_MALFORMED',
      'ZASK_WIRE_CREDIT',
      'ZASK_REMOTE',
    )
    expect(Object.keys(outcomes)).not.to.include('a strange error')
    expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined)
  })
})

/** A server that says junk, then an answer that ends call or stream. */
class Liar {
  readonly #router: RawRouter
  /** Requests that came with others in one message: the client may have been told that we are zask. */
  readonly #waiting: { message: RawMessage; id: unknown }[] = []

  constructor(router: RawRouter) {
    this.#router = router
  }

  async answer(junk: readonly ((channel: unknown) => Buffer)[]): Promise<void> {
    while (this.#waiting.length === 0) {
      const message = await this.#router.next()
      for (const { header } of message.events)
        if (header['response_to'] === undefined) this.#waiting.push({ message, id: header['message_id'] })
    }
    const { message, id } = this.#waiting.shift() as { message: RawMessage; id: unknown }
    for (const make of junk) await this.#router.replyRaw(message, make(id))
    await this.#router.replyRaw(message, pack({ message_id: 0, v: 3, response_to: id }, 'OK', ['at last']))
  }
}

/** What became of a call: a value, a stream that ended, or the code of an error. */
async function settle(call: Promise<unknown>): Promise<string> {
  try {
    const value = await call
    if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return 'value'
    for await (const item of value as AsyncIterable<unknown>) void item
    return 'stream'
  } catch (error) {
    if (!(error instanceof ZaskError)) return 'a strange error'
    // A code that the peer has chosen is no code of ours.
    return error.name === 'RemoteError' ? 'ZASK_REMOTE' : error.code
  }
}
