import { expect } from 'chai'
import type { Plugin } from '../../core/index.ts'
import { RawDealer } from '../support/raw-peer.ts'
import { Cores, type Failure, failure, pause, plugin, until } from '../support/cores.ts'

const hostile = Object.defineProperty(new Error('never read'), 'message', {
  get() {
    throw new RangeError('nobody reads me')
  },
})

/** What taps and methods do wrong; `says` is what of it can be told on. */
const faults: readonly { name: string; run: () => unknown; says: string }[] = [
  {
    name: 'throws',
    run() {
      throw new Error('it broke')
    },
    says: 'it broke',
  },
  { name: 'rejects', run: () => Promise.reject(new Error('it broke later')), says: 'it broke later' },
  {
    name: 'throws what is no Error',
    run() {
      // oxlint-disable-next-line typescript/only-throw-error -- what is thrown in the wild
      throw 'just text'
    },
    says: 'just text',
  },
  {
    name: 'throws an Error whose message cannot be read',
    run() {
      throw hostile
    },
    says: '',
  },
  {
    name: 'rejects with a function whose text cannot be had',
    run: () => Promise.reject(Object.assign(() => 1, { toString: () => Promise.reject(new Error('no')) })),
    says: '',
  },
]
const hanging = { name: 'never settles', run: () => new Promise(() => undefined) }

class Greeter {
  greet(): string {
    return 'hello'
  }
}

/** A plugin whose tap of one hook does `run` for the first call, or the first time, and nothing after that. */
function faulty(hook: string, run: () => unknown, side?: string): Plugin {
  let done = false
  return plugin('faulty', ({ hooks }) => {
    const taps = hooks as unknown as Record<
      string,
      { tap(name: string, fn: (subject: never) => unknown): void }
    >
    taps[hook]?.tap('faulty', (subject: { side?: string }) => {
      if (done || subject.side !== side) return undefined
      done = true
      return run()
    })
  })
}

const check = (error: Failure, sent: boolean): void => {
  expect(error).to.include({ code: 'ZASK_HOOK_TIMEOUT', sent })
  expect(error.message).to.include('plugin faulty has not finished in beforeCall for 0.06 s')
}

describe('a faulty tap', () => {
  const cores = new Cores()
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  before(() => process.on('unhandledRejection', note))
  after(() => process.off('unhandledRejection', note))
  afterEach(async () => {
    await cores.close()
    await pause(0)
    expect(unhandled.splice(0)).to.deep.equal([])
  })

  for (const { name, run, says } of faults) {
    it(`of beforeCall that ${name} ends that call, on either side, and no other`, async () => {
      const { core, endpoint } = await cores.serve(new Greeter(), {
        plugins: [faulty('beforeCall', run, 'server')],
      })
      const { client } = await cores.client<Greeter>(endpoint)
      expect((await failure(client.greet())).message).to.include(says)
      expect(await client.greet()).to.equal('hello')
      const own = await cores.client<Greeter>(endpoint, { plugins: [faulty('beforeCall', run, 'client')] })
      await own.client.greet().then(
        () => expect.fail('the gate let it through'),
        (error: unknown) => expect(typeof error).to.be.oneOf(['object', 'string', 'function']),
      )
      expect(await own.client.greet()).to.equal('hello')
      expect(core.stats.now).to.include({ running: 0, channels: 0 })
    })

    for (const hook of ['afterCall', 'sessionEnd']) {
      it(`of ${hook} that ${name} changes no answer, and is named in the log`, async () => {
        const { core, endpoint } = await cores.serve(new Greeter(), {
          plugins: [faulty(hook, run, 'server')],
        })
        const { client } = await cores.client<Greeter>(endpoint)
        expect([await client.greet(), await client.greet()]).to.deep.equal(['hello', 'hello'])
        await until(() => core.stats.served.ok === 2)
        expect(cores.logged.join('')).to.include(`plugin faulty failed in ${hook}`)
      })
    }

    it(`of configLoaded that ${name} fails the start by its name`, async () => {
      const error = await failure(cores.serve(new Greeter(), { plugins: [faulty('configLoaded', run)] }))
      expect(error.code).to.equal('ZASK_HOOK_FAILED')
      expect(error.message).to.include('faulty').and.include('configLoaded')
    })

    for (const hook of ['started', 'stopping', 'stopped']) {
      it(`of ${hook} that ${name} is logged by its name, and start and stop go on`, async () => {
        const { core, endpoint } = await cores.serve(new Greeter(), { plugins: [faulty(hook, run)] })
        const { client } = await cores.client<Greeter>(endpoint)
        expect(await client.greet()).to.equal('hello')
        expect(await core.stop()).to.equal(0)
        expect(cores.logged.join('')).to.include(`plugin faulty failed in ${hook}`)
      })
    }

    it(`of resolveEndpoint that ${name} fails that client, and the next can be made`, async () => {
      const resolving = faulty('resolveEndpoint', run)
      const known = plugin('known', ({ hooks }) =>
        hooks.resolveEndpoint.tap('known', () => ({ endpoints: ['inproc://somewhere'] })),
      )
      const core = cores.make([resolving, known])
      await core.client('greeter').then(
        () => expect.fail('a client was made'),
        () => undefined,
      )
      await core.client('greeter')
    })
  }

  it(`of beforeCall that ${hanging.name} ends a call without a deadline after hookTimeoutMs, naming plugin and hook`, async () => {
    const plugins = [
      plugin('innocent', ({ hooks }) => hooks.beforeCall.tapPromise('innocent', () => pause(1))),
    ]
    const { core, endpoint } = await cores.serve(new Greeter(), {
      plugins: [...plugins, faulty('beforeCall', hanging.run, 'server')],
      hookTimeoutMs: 60,
    })
    const { client } = await cores.client<Greeter>(endpoint, { timeoutMs: Infinity })
    check(await failure(client.greet()), true)
    expect(await client.greet()).to.equal('hello')
    const caller = cores.make([...plugins, faulty('beforeCall', hanging.run, 'client')], 60)
    const own = await caller.client<Greeter>(endpoint, { timeoutMs: Infinity })
    check(await failure(own.greet()), false)
    expect(await own.greet()).to.equal('hello')
    expect([core.stats.limits.hookTimeoutMs, caller.stats.limits.hookTimeoutMs]).to.deep.equal([1, 1])
    expect(caller.stats.now).to.include({ calling: 0, timers: 0 })
  })

  it(`of beforeCall that ${hanging.name} is named by the deadline where there is one, at both ends`, async () => {
    const { endpoint } = await cores.serve(new Greeter(), {
      plugins: [faulty('beforeCall', hanging.run, 'server')],
      hookTimeoutMs: 5,
    })
    const caller = new RawDealer(endpoint)
    try {
      const id = caller.request('greet', [], { deadline_ms: 80 })
      await until(() => caller.events.some(({ header }) => header['response_to'] === id))
      expect(String(caller.events[0]?.args)).to.match(
        /TimeoutExpired,timeout after \d+ms: plugin faulty held it in beforeCall/,
      )
    } finally {
      caller.close()
    }
    const { client } = await cores.client<Greeter>(endpoint)
    const own = await cores.client<Greeter>(endpoint, {
      plugins: [faulty('beforeCall', hanging.run, 'client')],
      timeoutMs: 80,
    })
    const error = await failure(own.client.greet())
    expect(error).to.include({ code: 'ZASK_CALL_TIMEOUT', sent: false })
    expect(error.message).to.include('did not let it through in time, that of plugin faulty')
    expect(await client.greet()).to.equal('hello')
  })

  for (const hook of ['afterCall', 'sessionEnd']) {
    it(`of ${hook} that ${hanging.name} is named in the log, and the call goes on without it`, async () => {
      const { core, endpoint } = await cores.serve(new Greeter(), {
        plugins: [faulty(hook, hanging.run, 'server')],
        hookTimeoutMs: 50,
      })
      const { client } = await cores.client<Greeter>(endpoint)
      expect(await client.greet()).to.equal('hello')
      await until(() => core.stats.served.ok === 1)
      expect(cores.logged.join('')).to.include(`plugin faulty has not finished in ${hook} for 0.05 s`)
      expect(core.stats.limits.hookTimeoutMs).to.equal(1)
    })
  }

  for (const hook of ['configLoaded', 'resolveEndpoint', 'started', 'stopping', 'stopped']) {
    it(`of ${hook} that ${hanging.name} is named by the error of start or stop`, async () => {
      const core = cores.make([faulty(hook, hanging.run)], 50)
      const where = hook === 'resolveEndpoint' ? {} : { bind: 'inproc://faulty-tap' }
      const error = await failure(
        core.start(new Greeter(), { ...where, signals: false }).then(() => core.stop()),
      )
      expect(error.code).to.equal('ZASK_HOOK_TIMEOUT')
      expect(error.message).to.include(`plugin faulty has not finished in ${hook} for 0.05 s`)
    })
  }
})

describe('a config that turns out to be wrong while calls run', () => {
  const cores = new Cores()
  afterEach(() => cores.close())

  it('is told to the log in full, and to the caller without value and origin', async () => {
    const mail: Plugin = {
      name: 'mail',
      defaults: { MAIL_PORT: 25 },
      apply(core) {
        core.config.check('MAIL_PORT', 'integer')
        core.hooks.beforeCall.tap('mail', () => void core.config.get('MAIL_PORT'))
      },
    }
    const { core, endpoint } = await cores.serve(new Greeter(), { plugins: [mail] })
    const { client } = await cores.client<Greeter>(endpoint)
    expect(await client.greet()).to.equal('hello')
    core.config.set('MAIL_PORT', 'eighty', '/etc/secret/place.json')
    const error = await failure(client.greet())
    expect(error).to.include({ code: 'ZASK_CONFIG_VALUE_INVALID', remoteName: 'ConfigError' })
    expect(error.message).to.not.match(/MAIL|eighty|secret/)
    expect(cores.logged.join('')).to.match(/greet failed by the config.*MAIL_PORT.*eighty.*place\.json/)
    core.config.set('MAIL_PORT', 26)
    expect(await client.greet()).to.equal('hello')
  })

  it('does not keep errors from being answered where it is DEBUG', async () => {
    const { core, endpoint } = await cores.serve({
      fail() {
        throw new RangeError('as ever')
      },
    })
    const { client } = await cores.client<{ fail(): void }>(endpoint)
    core.config.set('DEBUG', 'yes')
    const error = await failure(client.fail())
    expect(error).to.include({ message: 'as ever', remoteName: 'RangeError', remoteTraceback: '' })
  })
})
