import { expect } from 'chai'
import { type Client, createCore, createLogger } from '../../core/index.ts'
import { type FaultCounts, type FaultRule, faults, type FaultsOptions } from '../../plugins/faults.ts'
import { pluginContract } from '../../plugins/testing.ts'
import { Cores, failure, plugin, until } from '../support/cores.ts'

const cores = new Cores()
afterEach(() => cores.close())

class Shop {
  static readonly service = 'shop'
  readonly ran: string[] = []

  buy(what: string): string {
    this.ran.push(what)
    return `bought ${what}`
  }

  look(): string {
    this.ran.push('look')
    return 'nice'
  }

  async *list(): AsyncGenerator<number> {
    yield* [1, 2, 3]
  }
}

/** A shop with faults on its side, and a caller without any. */
async function rehearse(rules: readonly FaultRule[], options: FaultsOptions = {}) {
  const shop = new Shop()
  const played = faults({ rules, ...options })
  const { core, endpoint } = await cores.serve(shop, { plugins: [played] })
  const { client } = await cores.client<Shop>(endpoint, { service: 'shop', timeoutMs: 5000 })
  return { shop, core, endpoint, client, played }
}

async function took(work: PromiseLike<unknown>): Promise<number> {
  const begun = performance.now()
  await work
  return performance.now() - begun
}

describe('faults', () => {
  it('does nothing, and says nothing, where no rule is given', async () => {
    const { client, played } = await rehearse([])
    expect(await client.buy('tea')).equal('bought tea')
    expect(played.counts).deep.equal({ delayed: 0, aborted: 0, dropped: 0, spared: 0, active: 0 })
    expect(cores.logged).deep.equal([])
  })

  it('delays, of served calls, those of the method, and says once that it is on', async () => {
    const { client, played, shop } = await rehearse([{ method: 'buy', delayMs: 150 }])
    expect(await client.look()).equal('nice')
    expect(shop.ran).deep.equal(['look'])
    expect(played.counts.delayed).equal(0)
    expect(await took(client.buy('tea'))).at.least(145)
    expect(await took(client.buy('rice'))).at.least(145)
    expect(played.counts).include({ delayed: 2, active: 0 })
    expect(cores.logged.filter((line) => line.includes('faults are on: 1 rule'))).have.length(1)
  })

  it('aborts with the error it was told, and the method does not run', async () => {
    const abort = { code: 'SHOP_CLOSED', name: 'Closed', message: 'Come tomorrow.', retryable: true }
    const { client, played, shop } = await rehearse([{ service: 'shop', method: 'buy', abort }])
    expect(await failure(client.buy('tea'))).include({
      code: 'SHOP_CLOSED',
      remoteName: 'Closed',
      message: 'Come tomorrow.',
      retryable: true,
    })
    expect(shop.ran).deep.equal([])
    expect(played.counts.aborted).equal(1)
  })

  it('aborts with an error of its own where it was told none, streams as well, after a delay if there is one', async () => {
    const { client, played } = await rehearse([{ method: 'list', abort: {}, delayMs: 50 }])
    const reading = (async () => {
      for await (const _ of client.list()) throw new Error('an item came')
    })()
    expect(await failure(reading)).include({ code: 'ZASK_FAULT_INJECTED', remoteName: 'InjectedFault' })
    expect(played.counts).include({ delayed: 1, aborted: 1, active: 0 })
  })

  it('drops: nobody answers, the caller runs into its deadline, and the session ends', async () => {
    const { client, core, played, shop } = await rehearse([{ method: 'buy', drop: true }])
    const dropped = failure(client.$call('buy', ['tea'], { timeoutMs: 120 }))
    await until(() => played.counts.active === 1)
    expect(await client.look()).equal('nice')
    expect((await dropped).code).equal('ZASK_CALL_TIMEOUT')
    await until(() => core.stats.now.running === 0)
    expect(played.counts).include({ dropped: 1, active: 0 })
    expect(shop.ran).deep.equal(['look'])
  })

  it('lets go of a dropped call whose caller cancels', async () => {
    const { client, core, played } = await rehearse([{ drop: true }])
    const controller = new AbortController()
    const cancelled = failure(client.$call('buy', ['tea'], { signal: controller.signal }))
    await until(() => played.counts.active === 1)
    controller.abort()
    expect((await cancelled).code).equal('ZASK_CALL_CANCELLED')
    await until(() => core.stats.now.running === 0 && played.counts.active === 0)
  })

  it('does not keep a core from stopping: what it dropped is answered then', async () => {
    const { client, core, played } = await rehearse([{ drop: true }])
    const dropped = failure(client.buy('tea'))
    await until(() => played.counts.active === 1)
    expect(await core.stop()).equal(0)
    expect(await dropped).include({ code: 'ZASK_FAULT_INJECTED' })
  })

  it('does its work on made calls, too: nothing is sent', async () => {
    const shop = new Shop()
    const { core: server, endpoint } = await cores.serve(shop)
    const played = faults({
      rules: [
        { side: 'client', method: 'buy', abort: { name: 'NoRoute' } },
        { side: 'client', method: 'look', drop: true },
        { side: 'server', delayMs: 60_000 },
      ],
    })
    const { client, core } = await cores.client<Shop>(endpoint, { plugins: [played], timeoutMs: 100 })
    expect(await failure(client.buy('tea'))).include({ name: 'NoRoute', sent: false })
    expect(await failure(client.look())).include({ code: 'ZASK_CALL_TIMEOUT', sent: false })
    await until(() => played.counts.active === 0)
    expect(played.counts).deep.equal({ delayed: 0, aborted: 1, dropped: 1, spared: 0, active: 0 })
    expect(server.stats.wire.eventsIn).equal(0)
    const held = failure(client.$call('look', [], { timeoutMs: 60_000 }))
    await core.stop()
    expect((await held).code).equal('ZASK_CLIENT_CLOSED')
  })

  it('hits the given percentage of the calls', async () => {
    const thrown = [0.05, 0.5, 0.0999, 0.1, 0.99]
    const { client, played } = await rehearse([{ method: 'buy', abort: {}, percent: 10 }], {
      random: () => thrown.shift() ?? 1,
    })
    const seen: boolean[] = []
    for (let call = 0; call < 5; call++) seen.push(await client.buy('tea').then(Boolean, () => false))
    expect(seen).deep.equal([false, true, false, true, true])
    expect(played.counts.aborted).equal(2)
    const fair = await rehearse([{ abort: {}, percent: 50 }])
    const answers = await Promise.allSettled(Array.from({ length: 400 }, () => fair.client.buy('tea')))
    expect(answers.filter(({ status }) => status === 'fulfilled').length).within(130, 270)
    expect(fair.played.counts.aborted).within(130, 270)
  })

  it('holds back no more than maxActive calls of a rule at the same time', async () => {
    const { client, played } = await rehearse([{ method: 'buy', delayMs: 300, maxActive: 2 }])
    const calls = Array.from({ length: 5 }, (_, i) => client.buy(`${i}`))
    await until(() => played.counts.spared === 3)
    expect(played.counts).include({ delayed: 2, active: 2 })
    await Promise.all(calls)
    await client.buy('again')
    expect(played.counts).include({ delayed: 3, spared: 3, active: 0 })
  })

  it('applies every rule that matches, in their order', async () => {
    const { client, played } = await rehearse([
      { method: 'look', abort: {} },
      { delayMs: 60 },
      { service: 'shop', delayMs: 60 },
      { service: 'other', abort: {} },
      { method: 'buy', abort: { message: 'then this' } },
    ])
    const begun = performance.now()
    expect((await failure(client.buy('tea'))).message).equal('then this')
    expect(performance.now() - begun).at.least(115)
    expect(played.counts).include({ delayed: 2, aborted: 1 })
  })

  it('leaves the built-in methods to health checks, unless a rule names one', async () => {
    const { client } = await rehearse([{ abort: {} }, { method: '_zerorpc_list', abort: {} }])
    expect(await client.$call('_zerorpc_ping')).deep.equal(['pong', 'shop'])
    expect((await failure(client.$call('_zerorpc_list'))).code).equal('ZASK_FAULT_INJECTED')
  })

  describe('by config', () => {
    it('begins, changes and ends at run time, and the log tells each time', async () => {
      const { client, core, played } = await rehearse([])
      core.config.set('FAULTS', [{ method: 'buy', abort: {} }])
      expect((await failure(client.buy('tea'))).code).equal('ZASK_FAULT_INJECTED')
      core.config.set('FAULTS', [{ method: 'look', abort: {} }, { delayMs: 0 }])
      expect(await client.buy('tea')).equal('bought tea')
      core.config.set('FAULTS', null)
      expect(await client.look()).equal('nice')
      expect(await client.look()).equal('nice')
      const told = cores.logged.map((line) => /faults are (on: \d rules?|off)/.exec(line)?.[0])
      expect(told).deep.equal(['faults are on: 1 rule', 'faults are on: 2 rules', 'faults are off'])
      expect(played.counts).include({ aborted: 1, delayed: 1 })
    })

    it('wins over the rules of the options', async () => {
      const core = createCore({
        plugins: [faults({ rules: [{ abort: {} }] })],
        config: { FAULTS: null },
      })
      await using _ = core
      const { endpoints } = await core.start(new Shop(), { bind: 'tcp://127.0.0.1:*', signals: false })
      const { client } = await cores.client<Shop>(endpoints)
      expect(await client.look()).equal('nice')
    })

    it('that is unclear at the start keeps the core from starting', async () => {
      const core = cores.make([faults()])
      core.config.set('FAULTS', [{ method: 'buy', delay: 5 }])
      const error = await failure(core.start(new Shop(), { bind: 'tcp://127.0.0.1:*', signals: false }))
      expect(error.code).equal('ZASK_CONFIG_VALUE_INVALID')
      expect(error.message).include("rule 1 has 'delay', where a rule has only service, method")
    })

    it('that becomes unclear at run time harms no call, and is logged once', async () => {
      const { client, core } = await rehearse([{ abort: {} }])
      core.config.set('FAULTS', [{ method: 'buy' }])
      for (let call = 0; call < 3; call++) expect(await client.buy('tea')).equal('bought tea')
      const told = cores.logged.filter((line) => line.includes('no faults are injected'))
      expect(told).have.length(1)
      expect(told[0]).include('rule 1 is to have delayMs, abort or drop')
      core.config.set('FAULTS', [{ abort: {} }])
      expect((await failure(client.buy('tea'))).code).equal('ZASK_FAULT_INJECTED')
    })
  })

  const unclear: Readonly<Record<string, [rules: unknown, why: string]>> = {
    'no list': [{ abort: {} }, 'must be a list of rules'],
    'a text': ['buy', 'must be a list of rules'],
    'a rule that is none': [[5], 'rule 1 is to be an object'],
    'a misspelt key': [[{ delayMs: 1 }, { methd: 'buy', drop: true }], "rule 2 has 'methd'"],
    'a rule without a fault': [[{ method: 'buy', percent: 5 }], 'it says nothing that is to happen'],
    'a service that is no text': [[{ service: 5, drop: true }], 'needs text as its service'],
    'a method that is no text': [[{ method: '', drop: true }], 'needs text as its method'],
    'a side there is not': [[{ side: 'both', drop: true }], "needs 'server' or 'client'"],
    'a delay into the past': [[{ delayMs: -1 }], 'milliseconds from 0 up'],
    'a delay for ever': [[{ delayMs: Infinity }], 'milliseconds from 0 up'],
    'a percentage above 100': [[{ drop: true, percent: 101 }], 'from 0 to 100'],
    'a percentage that is none': [[{ drop: true, percent: Number.NaN }], 'from 0 to 100'],
    'a percentage as text': [[{ drop: true, percent: '5' }], 'from 0 to 100'],
    'half a call': [[{ drop: true, maxActive: 0.5 }], 'a whole number from 0 up'],
    'maxActive of what is never active': [[{ abort: {}, maxActive: 5 }], 'is not to have maxActive'],
    'drop: false': [[{ drop: false, delayMs: 5 }], 'needs true as its drop'],
    'drop beside a delay': [[{ drop: true, delayMs: 5 }], 'has no end to put off'],
    'abort: true': [[{ abort: true }], 'needs an error as its abort'],
    'a misspelt key of an error': [[{ abort: { msg: 'x' } }], "has 'msg' in its abort"],
    'a code no peer takes over': [[{ abort: { code: 'no such' } }], 'needs a code such as BANK_EMPTY'],
    'an empty message': [[{ abort: { message: '' } }], 'needs text as message'],
    'a name that is no text': [[{ abort: { name: 5 } }], 'needs text as name'],
    'retryable as text': [[{ abort: { retryable: 'yes' } }], 'needs true or false as retryable'],
  }
  for (const [title, [rules, why]] of Object.entries(unclear)) {
    it(`refuses ${title}`, () => {
      expect(() => faults({ rules: rules as never }))
        .throw(why)
        .include({ code: 'ZASK_OPTION_INVALID' })
    })
  }

  it('refuses options that are none, or that it does not have', () => {
    expect(() => faults(null as never)).throw('faults takes an object of options, got null.')
    expect(() => faults({ rule: [] } as never)).throw("faults has no option 'rule'. Did you mean 'rules'?")
    expect(() => faults({ percent: 5 } as never)).throw(
      "faults has no option 'percent'. It has rules, random.",
    )
    expect(() => faults([{ drop: true }] as never)).throw('faults takes an object of options, got [')
    expect(() => faults({ random: 0.5 as never })).throw('random of faults is a function')
  })

  it('stands after the plugins whose refusals are to come first', async () => {
    const shop = new Shop()
    const played = faults({ rules: [{ drop: true }] })
    const guard = plugin('guard', ({ hooks }) => {
      hooks.beforeCall.tap('guard', () => {
        throw new Error('not you')
      })
    })
    const { endpoint } = await cores.serve(shop, { plugins: [guard, played] })
    const { client } = await cores.client<Shop>(endpoint)
    expect((await failure(client.look())).message).equal('not you')
    expect(played.counts.dropped).equal(0)
  })

  it('has its rules and counts typed', async () => {
    const core = createCore({ plugins: [faults({ rules: [{ delayMs: 1 }] })] })
    await using _ = core
    const rules: readonly FaultRule[] | null = core.config.FAULTS
    expect(rules).deep.equal([{ delayMs: 1 }])
    // @ts-expect-error -- a rule that says when, but not what
    const wrong: FaultRule = { when: 'now' }
    expect(wrong).have.property('when')
  })
})

// @ts-expect-error -- counts are not to be written
export const write = (counts: FaultCounts): number => (counts.active = 5)

pluginContract({
  name: 'faults',
  create: () => faults({ rules: [{ delayMs: 1 }] }),
  before: () => [plugin('quiet', (core) => core.setLogger(createLogger({ write: () => undefined })))],
})

describe('faults under the contract of plugins, while they drop', () => {
  it('hold nothing once the callers are gone', async () => {
    const shop = new Shop()
    const played = faults({ rules: [{ drop: true }] })
    const { core, endpoint } = await cores.serve(shop, { plugins: [played] })
    const { client }: { client: Client<Shop> } = await cores.client<Shop>(endpoint)
    // From here on the client knows its server for one that can be told of a cancelled call.
    await client.$call('_zerorpc_ping')
    const open = Array.from({ length: 50 }, () => failure(client.look()))
    await until(() => played.counts.active === 50)
    await client.$close()
    await Promise.all(open)
    await until(() => core.stats.now.running === 0)
    expect(played.counts).include({ dropped: 50, active: 0 })
    expect(core.stats.now.channels).equal(0)
  })
})
