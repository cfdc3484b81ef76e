import { expect } from 'chai'
import { createCore, createLogger, type Plugin, RemoteError, ZaskError } from 'zask'
import { headers } from 'zask/plugins/headers'
import { requestChain } from 'zask/plugins/request-chain'
import { pluginContract, type PluginContractOptions, testCore } from 'zask/testing'

class Users {
  static readonly service = 'users'
  static readonly version = '1.0'
  name(id: number): string {
    return `user ${id}`
  }
  fail(): never {
    throw new RangeError('no such user')
  }
  *countTo(n: number): Generator<number> {
    for (let i = 1; i <= n; i++) yield i
  }
}

class Orders {
  static readonly service = 'orders'
  find(id: number): string {
    return `order ${id}`
  }
}

async function optionError(run: () => Promise<unknown>): Promise<string> {
  try {
    await run()
  } catch (error) {
    expect(error).to.be.instanceOf(ZaskError).and.include({ code: 'ZASK_OPTION_INVALID' })
    return (error as ZaskError).message
  }
  throw new Error('nothing was thrown')
}

describe('testCore', () => {
  it('gives a typed client of a service that has no port', async () => {
    await using test = await testCore({ services: [new Users()] })
    const name: string = await test.client.name(1)
    expect(name).to.equal('user 1')
    expect(test.endpoint).to.match(/^inproc:/)
  })

  it('runs streams and errors as the wire does', async () => {
    await using test = await testCore({ services: [new Users()] })
    const items: number[] = []
    for await (const item of test.client.countTo(250)) items.push(item)
    expect(items).to.have.length(250)
    const error = await test.client.fail().then(
      () => expect.fail('it did not fail'),
      (thrown: unknown) => thrown,
    )
    expect(error).to.be.instanceOf(RemoteError)
    expect(error).to.include({ remoteName: 'RangeError', message: 'no such user' })
  })

  it('encodes arguments and results: what cannot travel is refused', async () => {
    class Echo {
      echo(value: unknown): unknown {
        return value
      }
    }
    await using test = await testCore({ services: [new Echo()] })
    expect(await test.client.echo({ undefined, date: new Date(0) })).to.deep.equal({
      undefined: null,
      date: new Date(0),
    })
    const error = await test.client.echo(new Set([1])).then(
      () => expect.fail('a Set went through'),
      (thrown: unknown) => thrown,
    )
    expect(error).to.include({ code: 'ZASK_WIRE_NOT_ENCODABLE' })
  })

  it('runs the plugins on both sides, with config and headers', async () => {
    const sides: string[] = []
    const witness: Plugin = {
      name: 'witness',
      apply(core) {
        core.hooks.beforeCall.tap('witness', (call) => {
          sides.push(`${call.side} ${String(call.headers['access_key'])}`)
        })
      },
    }
    await using test = await testCore({
      services: [new Users()],
      plugins: [headers(), witness],
      config: { ZERORPC_USERS: { access_key: 'key', client_keys: ['key'] } },
    })
    await test.client.name(1)
    expect(sides).to.deep.equal(['client key', 'server key'])
  })

  it('types core.call by the list of plugins', async () => {
    class Who {
      id(): string {
        return test.core.call.requestId
      }
    }
    const who = new Who()
    const test = await testCore({ services: [who], plugins: [requestChain()] })
    expect(await (await test.clientOf(who)).id()).to.have.length(36)
    await test.stop()
  })

  it('serves several services, each to be called by the object or by its name', async () => {
    const services = [new Users(), new Orders()] as const
    await using test = await testCore({ services })
    const orders = await test.clientOf(services[1])
    expect(await orders.find(2)).to.equal('order 2')
    const named = await test.core.client<Orders>('orders')
    expect(await named.find(3)).to.equal('order 3')
    const versioned = await test.core.client<Users>('users', { version: '1.0' })
    expect(await versioned.name(4)).to.equal('user 4')
  })

  it('can be called from another core, which has none of its plugins', async () => {
    await using test = await testCore({
      services: [new Users()],
      plugins: [headers()],
      config: { ZERORPC_USERS: { client_keys: ['key'], access_key: 'key' } },
    })
    await using stranger = createCore()
    const client = await stranger.client<Users>(test.endpoint)
    const error = await client.name(1).then(
      () => expect.fail('it was let in'),
      (thrown: unknown) => thrown,
    )
    expect(error).to.include({ remoteName: 'NoSuchAccessKeyException' })
  })

  it('uses the core of the application where it is given one', async () => {
    const core = createCore({ plugins: [requestChain()] })
    class Who {
      id(): string {
        return core.call.requestId
      }
    }
    await using test = await testCore({ core, services: [new Who()] })
    expect(test.core).to.equal(core)
    expect(await test.client.id()).to.have.length(36)
  })

  it('keeps two tests apart that run at the same time', async () => {
    class Number {
      readonly #number: number
      constructor(number: number) {
        this.#number = number
      }
      get(): number {
        return this.#number
      }
    }
    await using one = await testCore({ services: [new Number(1)] })
    await using two = await testCore({ services: [new Number(2)] })
    expect(await Promise.all([one.client.get(), two.client.get()])).to.deep.equal([1, 2])
  })

  it('stops the core when a start fails, and throws why', async () => {
    const stopped: string[] = []
    const broken: Plugin = {
      name: 'broken',
      apply(core) {
        core.hooks.configLoaded.tap('broken', () => {
          throw new Error('no database')
        })
        core.hooks.stopped.tap('broken', () => void stopped.push('stopped'))
      },
    }
    const error = await testCore({ services: [new Users()], plugins: [broken] }).then(
      () => expect.fail('it started'),
      (thrown: unknown) => thrown as Error,
    )
    expect(error.message).to.include('no database')
    expect(stopped).to.deep.equal(['stopped'])
  })

  it('says what is wrong with its options', async () => {
    expect(await optionError(() => testCore({ services: [] }))).to.include('at least one service')
    expect(await optionError(() => testCore(undefined as never))).to.include('an object of options')
    expect(await optionError(() => testCore({ services: [new Users()], plugin: [] } as never))).to.include(
      "no option 'plugin'",
    )
    const core = createCore()
    expect(await optionError(() => testCore({ core, services: [new Users()], config: {} }))).to.include(
      'config',
    )
    await using test = await testCore({ services: [new Users()] })
    expect(await optionError(() => test.clientOf(new Users()))).to.include('clientOf')
  })
})

/** Runs the suite for a plugin and answers with the titles of the tests that fail. */
async function failing(options: Omit<PluginContractOptions<Plugin>, 'describe' | 'it'>): Promise<string[]> {
  const tests: [title: string, body: () => Promise<void>][] = []
  pluginContract({
    ...options,
    describe: (_title, body) => body(),
    it: (title, body) => void tests.push([title, body]),
  })
  expect(tests.length).to.be.greaterThan(8)
  const failed: string[] = []
  for (const [title, body] of tests) {
    try {
      await body()
    } catch {
      failed.push(title)
    }
  }
  return failed
}

const inert = (name: string): Plugin => ({ name, apply() {} })

const making =
  (name: string, apply: Plugin['apply']): (() => Plugin) =>
  () => ({ name, apply })

describe('pluginContract', function () {
  this.timeout(60_000)

  it('passes a plugin that keeps the contract', async () => {
    const create = making('good', (core) => {
      core.hooks.beforeCall.tap('good', () => undefined)
      core.hooks.sessionEnd.tap('good', () => undefined)
    })
    expect(await failing({ name: 'good', create })).to.deep.equal([])
  })

  it('passes a plugin that needs another one before it', async () => {
    const options = {
      name: 'second',
      create: (): Plugin => ({ ...inert('second'), requires: ['first'] }),
      before: (): Plugin[] => [inert('first')],
    }
    expect(await failing(options)).to.deep.equal([])
  })

  it('finds a wrong name, and one plugin given twice', async () => {
    expect(await failing({ name: 'right', create: () => inert('wrong') })).to.include(
      'it bears its name, and its factory makes a new one each time',
    )
    const shared = inert('shared')
    expect(await failing({ name: 'shared', create: () => shared })).to.include(
      'it bears its name, and its factory makes a new one each time',
    )
  })

  it('finds a timer that apply starts', async () => {
    const timers: NodeJS.Timeout[] = []
    const create = (): Plugin => ({
      name: 'eager',
      apply: () => void timers.push(setInterval(() => {}, 1000)),
    })
    const failed = await failing({ name: 'eager', create })
    for (const timer of timers) clearInterval(timer)
    expect(failed).to.include('its apply is synchronous and opens nothing')
  })

  it('finds a tap under another name', async () => {
    const create = making('mine', (core) => core.hooks.afterCall.tap('yours', () => undefined))
    expect(await failing({ name: 'mine', create })).to.deep.equal(['its taps carry its name'])
  })

  it('finds a tap that fails at the end of a session', async () => {
    const create = making('clumsy', (core) => {
      core.setLogger(createLogger({ write: () => undefined }))
      core.hooks.sessionEnd.tap('clumsy', () => {
        throw new Error('on purpose')
      })
    })
    const failed = await failing({ name: 'clumsy', create })
    expect(failed).to.include('after a throw the session has ended once and nothing is held')
    expect(failed).to.include('after a caller that is lost the session has ended once and nothing is held')
  })

  it('finds what is still held after a call', async () => {
    let held = 0
    const create = (): Plugin => ({
      name: 'holding',
      apply(core) {
        core.hooks.beforeCall.tap('holding', (call) => void (call.side === 'server' && held++))
        core.hooks.afterCall.tap(
          'holding',
          (call, outcome) => void (call.side === 'server' && outcome.ok && held--),
        )
      },
    })
    const idle = (): void => {
      const leaked = held
      held = 0
      if (leaked > 0) throw new Error(`${leaked} sessions are open`)
    }
    expect(await failing({ name: 'holding', create, idle })).to.include.members([
      'after a throw the session has ended once and nothing is held',
      'after a call that is cancelled the session has ended once and nothing is held',
      'after a caller that is lost the session has ended once and nothing is held',
    ])
  })

  it('finds a timer that outlives its core', async () => {
    const timers: NodeJS.Timeout[] = []
    const create = (): Plugin => ({
      name: 'lasting',
      apply(core) {
        core.hooks.started.tap('lasting', () => void timers.push(setInterval(() => {}, 1000)))
      },
    })
    const failed = await failing({ name: 'lasting', create })
    for (const timer of timers) clearInterval(timer)
    expect(failed).to.deep.equal([
      'after a stop in the middle of calls every session has ended once and nothing is left open',
    ])
  })

  it('finds a plugin that refuses every call', async () => {
    const create = making('closed', (core) => {
      core.hooks.beforeCall.tap('closed', (call) => {
        if (call.side === 'client') throw new Error('closed')
      })
    })
    expect(await failing({ name: 'closed', create })).to.include(
      'after an answer the session has ended once and nothing is held',
    )
  })
})
