import { expect } from 'chai'
import { type Call, createCore, type Outcome, type Plugin } from '../../core/index.ts'
import { Child } from '../support/children.ts'
import { Cores, failure, pause, plugin, until } from '../support/cores.ts'

class Greeter {
  static readonly service: string = 'greeter'
  static readonly version: string = '1.0'

  greet(name: string): string {
    return `hello ${name}`
  }

  fail(): never {
    throw new RangeError('out of range')
  }
}

class Adder {
  static readonly service: string = 'adder'

  add(a: number, b: number): number {
    return a + b
  }

  greet(): string {
    return 'adder'
  }
}

const cores = new Cores()
afterEach(() => cores.close())

const make =
  (config: object): (() => unknown) =>
  () =>
    createCore({ config })

describe('createCore', () => {
  it('refuses an option it does not have, and names the one that was meant', () => {
    expect(() => createCore({ plugin: [] } as object)).to.throw("Did you mean 'plugins'?")
    expect(() => createCore({ hookTimeoutMs: 0 })).to.throw(
      'hookTimeoutMs is a number of milliseconds above 0',
    )
  })

  it('names a plugin that fails in apply, or makes it asynchronous', () => {
    const throwing = plugin('broken', () => {
      throw new Error('no disk')
    })
    expect(() => cores.make([throwing])).to.throw('plugin broken failed in apply: no disk')
    const promising: Plugin = { name: 'slow', apply: () => Promise.resolve() as unknown as void }
    expect(() => cores.make([promising])).to.throw('plugin slow returned a promise from apply')
  })

  it('refuses config keys that nobody owns or that would not count, and names the one that was meant', () => {
    expect(make({ DEBUGG: false }))
      .to.throw('the config key DEBUGG, which nobody owns. Did you mean DEBUG?')
      .with.property('code', 'ZASK_OPTION_INVALID')
    expect(make({ LIMIT_POOLSIZE: 5 })).to.throw('Did you mean LIMIT_POOL_SIZE?')
    expect(make({ DATABASE_URI: 'sqlite://' })).to.throw('List the plugin that owns it')
    expect(make({ debug: false })).to.throw('Config key debug of createCore is not UPPERCASE. Write DEBUG.')
    const owning: Plugin<{ config: { MAIL_PORT: number; MAIL_HOST: string } }> = {
      name: 'mail',
      defaults: { MAIL_PORT: 25 },
      apply: ({ config }) => config.check('MAIL_HOST', 'text'),
    }
    const { config } = createCore({ plugins: [owning], config: { MAIL_PORT: 26, MAIL_HOST: 'post' } })
    expect([config.MAIL_PORT, config.MAIL_HOST]).deep.equal([26, 'post'])
  })

  it('refuses a logger that could not log, and keeps the one it has', () => {
    const core = cores.make()
    const { log } = core
    for (const wrong of [null, undefined, {}, 'log', () => 1]) {
      expect(() => core.setLogger(wrong as never), typeof wrong)
        .to.throw("setLogger takes a logger such as bunyan's, got ")
        .with.property('code', 'ZASK_OPTION_INVALID')
    }
    expect(() => core.setLogger({ ...log, child: undefined } as never)).to.throw('child')
    expect(core.log).equal(log)
  })

  it('gives core.call to nobody outside of a call', () => {
    const core = cores.make()
    expect(() => core.call)
      .to.throw('There is no current call here')
      .with.property('code', 'ZASK_NO_CALL')
    expect(core.currentCall).equal(undefined)
  })
})

describe('hooks around real calls', () => {
  it('runs gates in list order and observers in reverse, on both sides', async () => {
    const steps: string[] = []
    const noting = (name: string): Plugin =>
      plugin(name, ({ hooks }) => {
        hooks.beforeCall.tap(name, ({ side }) => void steps.push(`${side} before ${name}`))
        hooks.afterCall.tap(name, ({ side }) => void steps.push(`${side} after ${name}`))
        hooks.sessionEnd.tap(name, ({ side }) => void steps.push(`${side} end ${name}`))
      })
    const { endpoint } = await cores.serve(new Greeter(), { plugins: [noting('a'), noting('b')] })
    const { client } = await cores.client<Greeter>(endpoint, { plugins: [noting('c'), noting('d')] })
    expect(await client.greet('you')).equal('hello you')
    await until(() => steps.length === 10)
    expect(steps).deep.equal([
      'client before c',
      'client before d',
      'server before a',
      'server before b',
      'server after b',
      'server after a',
      'server end b',
      'server end a',
      'client after d',
      'client after c',
    ])
  })

  it("answers with a server gate's error, runs neither method nor later gates, and still observes", async () => {
    const seen: [string, unknown][] = []
    const gates = [
      plugin('gate', ({ hooks }) => {
        hooks.beforeCall.tap('gate', () => {
          throw Object.assign(new TypeError('not you'), { name: 'Refusal' })
        })
      }),
      plugin('later', ({ hooks }) => {
        hooks.beforeCall.tap('later', () => void seen.push(['later', true]))
        hooks.afterCall.tap('later', (_call, outcome) => void seen.push(['after', outcome.ok]))
        hooks.sessionEnd.tap('later', (call) => void seen.push(['end', call.method]))
      }),
    ]
    const { endpoint } = await cores.serve(new Greeter(), { plugins: gates })
    const { client } = await cores.client<Greeter>(endpoint)
    expect(await failure(client.greet('you'))).include({ remoteName: 'Refusal', message: 'not you' })
    expect(seen).deep.equal([
      ['after', false],
      ['end', 'greet'],
    ])
  })

  it("fails a call with a client gate's own error, without sending anything", async () => {
    const { core: server, endpoint } = await cores.serve(new Greeter())
    const refusal = new Error('not today')
    const outcomes: Outcome[] = []
    const gate = plugin('gate', ({ hooks }) => {
      hooks.beforeCall.tapPromise('gate', async () => {
        await pause(1)
        throw refusal
      })
      hooks.afterCall.tap('gate', (_call, outcome) => void outcomes.push(outcome))
    })
    const { client } = await cores.client<Greeter>(endpoint, { plugins: [gate] })
    expect(await failure(client.greet('you'))).equal(refusal)
    expect(outcomes).have.length(1)
    expect(outcomes[0]).include({ ok: false, error: refusal })
    expect(server.stats.wire.eventsIn).equal(0)
  })

  it('waits for an async function given to tap before the method runs, and between plugins', async () => {
    const steps: string[] = []
    class Noting {
      run(): string[] {
        steps.push('method')
        return steps
      }
    }
    const slow = plugin('slow', ({ hooks }) => {
      hooks.beforeCall.tap('slow', async () => {
        await pause(5)
        steps.push('slow')
      })
    })
    const next = plugin('next', ({ hooks }) => {
      hooks.beforeCall.tap('next', () => void steps.push('next'))
    })
    const { endpoint } = await cores.serve(new Noting(), { plugins: [slow, next] })
    const { client } = await cores.client<Noting>(endpoint)
    expect(await client.run()).deep.equal(['slow', 'next', 'method'])
  })

  it('logs throwing observers with plugin and hook, runs the others, and leaves the answer alone', async () => {
    const seen: string[] = []
    const throwing = plugin('thrower', ({ hooks }) => {
      hooks.afterCall.tap('thrower', () => {
        throw new Error('after is broken')
      })
      hooks.sessionEnd.tap('thrower', async () => {
        await pause(1)
        throw new Error('end is broken')
      })
    })
    const quiet = plugin('quiet', ({ hooks }) => {
      hooks.afterCall.tap('quiet', ({ side }) => void seen.push(`after, ${side}`))
      hooks.sessionEnd.tap('quiet', ({ side }) => void seen.push(`end, ${side}`))
    })
    const { core, endpoint } = await cores.serve(new Greeter(), { plugins: [quiet, throwing] })
    const { client } = await cores.client<Greeter>(endpoint, { plugins: [quiet, throwing] })
    expect(await client.greet('you')).equal('hello you')
    await until(() => core.stats.served.ok === 1)
    // The two sides run on their own; each has its order.
    expect(seen.filter((step) => step.endsWith('server'))).deep.equal(['after, server', 'end, server'])
    expect(seen.filter((step) => step.endsWith('client'))).deep.equal(['after, client'])
    const log = cores.logged.join('')
    expect(log).include('plugin thrower failed in afterCall: after is broken')
    expect(log).include('plugin thrower failed in sessionEnd: end is broken')
  })

  it('goes on without an observer that never ends, naming it, and can stop', async () => {
    const ended: string[] = []
    const hanging = plugin('hanging', ({ hooks }) => {
      hooks.afterCall.tapPromise('hanging', () => new Promise(() => undefined))
      hooks.sessionEnd.tap('hanging', (call) => void ended.push(call.method))
    })
    const { core, endpoint } = await cores.serve(new Greeter(), { plugins: [hanging], hookTimeoutMs: 50 })
    const { client } = await cores.client<Greeter>(endpoint)
    expect(await client.greet('you')).equal('hello you')
    expect(await core.stop()).equal(0)
    expect(ended).deep.equal(['greet'])
    expect(cores.logged.join('')).match(
      /without its observers: plugin hanging has not finished in afterCall for 0.05 s/,
    )
  })
})

describe('core.start', () => {
  it('gives the real endpoints, of several services at one endpoint and at several', async () => {
    const core = cores.make()
    const bind = ['tcp://127.0.0.1:*', 'tcp://127.0.0.1:0']
    const started = await core.start([new Greeter(), new Adder()], { bind, signals: false })
    expect(started.endpoints).have.length(2)
    for (const endpoint of started.endpoints) expect(endpoint).match(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/)
    expect(started.services).deep.equal([
      { service: 'greeter', version: '1.0', endpoints: started.endpoints },
      { service: 'adder', version: undefined, endpoints: started.endpoints },
    ])
    for (const endpoint of started.endpoints) {
      const { client } = await cores.client<Adder & Greeter>(endpoint)
      expect(await client.add(2, 3)).equal(5)
      expect(await failure(client.fail())).include({ remoteName: 'RangeError', message: 'out of range' })
    }
  })

  it('routes by service_name among the services of one endpoint, and says when it cannot tell', async () => {
    const { endpoint } = await cores.serve([new Greeter(), new Adder()])
    const { client: adder } = await cores.client<Adder>(endpoint, { service: 'adder' })
    const { client: greeter } = await cores.client<Greeter>(endpoint, { service: 'greeter' })
    expect([await adder.greet(), await greeter.greet('you')]).deep.equal(['adder', 'hello you'])
    const { client: neither } = await cores.client<Adder>(endpoint)
    const error = await failure(neither.greet())
    expect(error).include({ code: 'ZASK_SERVICE_AMBIGUOUS' })
    expect(error.message).include("service_name: 'greeter', 'adder'")
    expect(await failure(neither.$call('nothing'))).include({ remoteName: 'NameError', message: 'nothing' })
  })

  it('tells two versions of a service at one endpoint apart by service_version', async () => {
    class Old {
      static readonly service: string = 'greeter'
      static readonly version: string = '0.9'
      greet(): string {
        return 'old'
      }
    }
    const { endpoint } = await cores.serve([new Greeter(), new Old()])
    const headers = { service_version: '0.9' }
    const { client } = await cores.client<Old>(endpoint, { service: 'greeter', headers })
    expect(await client.greet()).equal('old')
    const { client: asked } = await cores.client<Old>(endpoint, { service: 'greeter', version: '0.9' })
    expect(await asked.greet()).equal('old')
    const { client: newer } = await cores.client<Greeter>(endpoint, { service: 'greeter', version: '1.0' })
    expect(await newer.greet('you')).equal('hello you')
  })

  it('asks plugins where a service is, and names the remedies where nobody knows', async () => {
    const resolver = plugin('resolver', ({ hooks }) => {
      hooks.resolveEndpoint.tap('resolver', ({ service }) =>
        service === 'greeter' ? { version: '1.0', endpoints: ['inproc://greeter'] } : undefined,
      )
    })
    const core = cores.make([resolver])
    const started = await core.start(new Greeter(), { signals: false })
    expect(started.endpoints).deep.equal(['inproc://greeter'])
    const client = await core.client<Greeter>('greeter')
    expect(await client.greet('you')).equal('hello you')
    const missing = await failure(core.start(new Adder(), { signals: false }))
    expect(missing).include({ code: 'ZASK_ENDPOINT_MISSING' })
    expect(missing.message).include("knows where 'adder' is")
    expect(await failure(core.client('nobody'))).include({ code: 'ZASK_ENDPOINT_MISSING' })
    expect(await failure(core.client(['a', 'b']))).include({ code: 'ZASK_ENDPOINT_INVALID' })
  })

  it('says so where a plugin answers with something else than endpoints', async () => {
    for (const answer of ['inproc://greeter', {}, { endpoints: 'inproc://greeter' }, { endpoints: [5] }]) {
      const resolver = plugin('resolver', ({ hooks }) => {
        hooks.resolveEndpoint.tap('resolver', () => answer as never)
      })
      const core = cores.make([resolver])
      const errors = [failure(core.start(new Greeter(), { signals: false })), failure(core.client('greeter'))]
      for (const error of await Promise.all(errors)) {
        expect(error, JSON.stringify(answer)).include({ code: 'ZASK_HOOK_FAILED' })
        expect(error.message).include("it must answer { endpoints: ['tcp://…'] }, or nothing")
      }
    }
  })

  it('binds nothing when one of its endpoints is taken, and can be tried again', async () => {
    const { endpoint } = await cores.serve(new Greeter())
    const core = cores.make()
    const free = `ipc:///tmp/zask-core-${process.pid}.sock`
    const error = await failure(core.start(new Adder(), { bind: [free, endpoint], signals: false }))
    expect(error).include({ code: 'ZASK_ENDPOINT_IN_USE' })
    await core.start(new Adder(), { bind: free, signals: false })
    const { client } = await cores.client<Adder>(free)
    expect(await client.add(1, 1)).equal(2)
  })

  it('names the plugin that fails in configLoaded, and binds nothing', async () => {
    const failing = plugin('database', ({ hooks }) => {
      hooks.configLoaded.tap('database', () => {
        throw new Error('no such host')
      })
    })
    const core = cores.make([failing])
    const error = await failure(core.start(new Greeter(), { bind: 'inproc://never', signals: false }))
    expect(error).include({
      code: 'ZASK_HOOK_FAILED',
      message: 'plugin database failed in configLoaded: no such host',
    })
    expect(error.details).deep.equal({ hook: 'configLoaded', plugin: 'database' })
  })

  it('names a plugin that hangs in configLoaded', async () => {
    const hanging = plugin('database', ({ hooks }) => {
      hooks.configLoaded.tapPromise('database', () => new Promise(() => undefined))
    })
    const core = cores.make([plugin('fine', () => undefined), hanging], 30)
    const error = await failure(core.start(new Greeter(), { bind: 'inproc://never', signals: false }))
    expect(error).include({ code: 'ZASK_HOOK_TIMEOUT' })
    expect(error.message).match(/^plugin database has not finished in configLoaded for 0.03 s/)
  })

  it('runs configLoaded once, however often it starts and whoever comes first', async () => {
    let runs = 0
    const counting = plugin('counting', ({ hooks }) => {
      hooks.configLoaded.tapPromise('counting', async () => {
        await pause(1)
        runs++
      })
    })
    const core = cores.make([counting])
    await Promise.all([
      core.start(new Greeter(), { bind: 'inproc://once-greeter', signals: false }),
      core.start(new Adder(), { bind: 'inproc://once-adder', signals: false }),
      core.client('inproc://once-greeter'),
    ])
    expect(runs).equal(1)
  })

  it('refuses what is misspelt, out of range, or cannot hold for several services', async () => {
    const core = cores.make()
    const start = (options: object, service: object = new Greeter()): Promise<Error> =>
      failure(core.start(service, { bind: 'inproc://refused', ...options }))
    expect((await start({ poolsize: 1 })).message).include("Did you mean 'poolSize'?")
    expect((await start({ poolSize: 0 })).message).include('poolSize is a whole number from 1')
    expect((await start({ shutdownTimeoutMs: -1 })).message).include('above 0')
    const several = await start({ service: 'both' }, [new Greeter(), new Adder()])
    expect(several.message).include('make it static in each class')
  })

  it('refuses what only JavaScript can say, by the name of the option', async () => {
    const core = cores.make()
    const start = (options: unknown, service: object = new Greeter()): Promise<Error> =>
      failure(core.start(service, { bind: 'inproc://refused', ...(options as object) }))
    for (const bind of [4242, null, {}, ['inproc://a', 5]]) {
      const error = await start({ bind })
      expect(error, JSON.stringify(bind)).include({ code: 'ZASK_OPTION_INVALID' })
      expect(error.message).match(/^bind is an endpoint, such as 'tcp:.*, or a list of them, got /)
    }
    expect((await start({ bind: undefined, connect: 3 })).message).match(/^connect is .* got 3\./)
    expect((await start({ signals: 'no' })).message).equal("signals is true or false, got 'no'.")
    expect((await start({ coalesce: 0 })).message).equal('coalesce is true or false, got 0.')
    expect(await start({}, [])).include({ code: 'ZASK_SERVICE_INVALID' })
    expect(() => createCore({ root: 5 as never })).to.throw('root is a text, got 5.')
    for (const target of [42, null, {}, [42]]) {
      const error = await failure(core.client(target as never))
      expect(error, JSON.stringify(target)).include({ code: 'ZASK_ENDPOINT_INVALID' })
    }
  })

  it('refuses two services of one name and version at one endpoint, of which one could never be called', async () => {
    const core = cores.make()
    const error = await failure(core.start([new Greeter(), new Greeter()], { bind: 'inproc://twins' }))
    expect(error).include({ code: 'ZASK_SERVICE_AMBIGUOUS' })
    expect(error.message).include("Two services at 'inproc://twins' are called 'greeter' 1.0")
    await core.start(new Greeter(), { bind: 'inproc://twins', signals: false })
  })
})

describe('core.stop', () => {
  it('runs stopping and stopped once each, in reverse list order, after the last session has ended', async () => {
    const steps: string[] = []
    const noting = (name: string): Plugin =>
      plugin(name, ({ hooks }) => {
        hooks.started.tap(name, () => void steps.push(`started ${name}`))
        hooks.stopping.tap(name, () => void steps.push(`stopping ${name}`))
        hooks.stopped.tap(name, () => void steps.push(`stopped ${name}`))
        hooks.sessionEnd.tap(name, async () => {
          await pause(10)
          steps.push(`end ${name}`)
        })
      })
    class Slow {
      async wait(): Promise<string> {
        await pause(40)
        steps.push('answer')
        return 'done'
      }
    }
    const { core, endpoint } = await cores.serve(new Slow(), { plugins: [noting('a'), noting('b')] })
    const { client } = await cores.client<Slow>(endpoint)
    const running = client.wait()
    await until(() => core.stats.now.running === 1)
    const stopped = [core.stop(), core.stop()]
    const refused = await failure(client.wait())
    expect(refused).include({
      code: 'ZASK_SERVER_STOPPING',
      remoteName: 'ServiceUnavailable',
      retryable: true,
    })
    expect(await running).equal('done')
    expect(await Promise.all(stopped)).deep.equal([0, 0])
    expect(steps.filter((step) => step.startsWith('st'))).deep.equal([
      'started b',
      'started a',
      'stopping b',
      'stopping a',
      'stopped b',
      'stopped a',
    ])
    expect(steps.filter((step) => step === 'end a')).have.length(2)
    expect(steps.slice(-3)).deep.equal(['end a', 'stopped b', 'stopped a'])
  })

  it('names a plugin that hangs in stopped', async () => {
    const hanging = plugin('files', ({ hooks }) => {
      hooks.stopped.tapPromise('files', () => new Promise(() => undefined))
    })
    const { core } = await cores.serve(new Greeter(), { plugins: [hanging], hookTimeoutMs: 30 })
    const error = await failure(core.stop())
    expect(error).include({ code: 'ZASK_HOOK_TIMEOUT' })
    expect(error.message).match(/^plugin files has not finished in stopped/)
  })

  it('cuts what runs at shutdownTimeoutMs, answers it as retryable, and ends its session', async () => {
    const ends: string[] = []
    const reasons: unknown[] = []
    class Stuck {
      async wait(): Promise<never> {
        core.call.signal.addEventListener('abort', () => reasons.push(core.call.signal.reason))
        return new Promise(() => undefined)
      }
    }
    const { core, endpoint } = await cores.serve(new Stuck(), {
      shutdownTimeoutMs: 30,
      plugins: [
        plugin('end', ({ hooks }) => hooks.sessionEnd.tap('end', (call) => void ends.push(call.method))),
      ],
    })
    const { client } = await cores.client<Stuck>(endpoint)
    const waiting = failure(client.wait())
    await until(() => core.stats.now.running === 1)
    expect(await core.stop()).equal(1)
    expect(await waiting).include({ code: 'ZASK_SERVER_STOPPING', retryable: true })
    expect(ends).deep.equal(['wait'])
    expect(reasons.map((reason) => (reason as { code: string }).code)).deep.equal(['ZASK_SERVER_STOPPING'])
  })

  it('waits without limit where shutdownTimeoutMs is Infinity', async () => {
    class Slow {
      async wait(): Promise<string> {
        await pause(50)
        return 'done'
      }
    }
    const { core, endpoint } = await cores.serve(new Slow(), { shutdownTimeoutMs: Infinity })
    const { client } = await cores.client<Slow>(endpoint)
    const answer = client.wait()
    await until(() => core.stats.now.running === 1)
    expect(await core.stop()).equal(0)
    expect(await answer).equal('done')
  })

  it('refuses to start or to make clients afterwards', async () => {
    const { core } = await cores.serve(new Greeter())
    await core.stop()
    expect(await failure(core.start(new Adder()))).include({ code: 'ZASK_CORE_STOPPED' })
    expect(await failure(core.client('tcp://127.0.0.1:1'))).include({ code: 'ZASK_CORE_STOPPED' })
  })

  it('leaves nothing behind when it comes in the middle of a start', async () => {
    const slow = plugin('slow', ({ hooks }) => {
      hooks.configLoaded.tapPromise('slow', () => pause(20))
    })
    const core = cores.make([slow])
    const starting = failure(core.start(new Greeter(), { bind: 'inproc://middle', signals: false }))
    await core.stop()
    expect(await starting).include({ code: 'ZASK_CORE_STOPPED' })
    expect(core.stats.now.channels).equal(0)
    const { endpoint } = await cores.serve(new Greeter(), { bind: 'inproc://middle' })
    expect(endpoint).equal('inproc://middle')
  })

  it('is what `await using` does at the end of its block', async () => {
    const steps: string[] = []
    {
      await using core = createCore()
      core.hooks.stopped.tap('test', () => void steps.push('stopped'))
      await core.start(new Greeter(), { bind: 'inproc://using', signals: false })
    }
    expect(steps).deep.equal(['stopped'])
  })
})

describe('two cores of one process', () => {
  it('share neither hooks, config, calls nor ids', async () => {
    const seen: Call[] = []
    const watching = plugin('watching', ({ hooks }) =>
      hooks.beforeCall.tap('watching', (call) => void seen.push(call)),
    )
    const one = await cores.serve(new Greeter(), { plugins: [watching] })
    const other = await cores.serve(new Greeter())
    one.core.config.fromObject({ DEBUG: false })
    expect([one.core.config.DEBUG, other.core.config.DEBUG]).deep.equal([false, true])
    const { client } = await cores.client<Greeter>(other.endpoint)
    expect(await client.greet('b')).equal('hello b')
    expect(seen).have.length(0)
    const ids = new Set<string>()
    for (const { core, endpoint } of [one, other]) {
      core.hooks.beforeCall.tap('ids', (call) => void ids.add(call.id))
      const { client: caller } = await cores.client<Greeter>(endpoint)
      await caller.greet('c')
    }
    expect(ids.size).equal(2)
    await one.core.stop()
    expect(await client.greet('d')).equal('hello d')
  })
})

describe('a script that makes a client, calls and closes', () => {
  it('exits by itself, with nothing left', async () => {
    const { endpoint } = await cores.serve({ echo: (value: unknown) => value })
    const child = new Child('calling-child.ts', { endpoint })
    expect(await child.exited).deep.equal({ code: 0, signal: null })
    expect(child.errors).equal('')
    expect(child.said[0]).deep.equal({ answer: 'hello' })
    const left = (child.said[1] ?? {})['left'] as string[]
    expect(left.filter((one) => one !== 'PipeWrap')).deep.equal([])
  })

  for (const endpoint of ['inproc://nobody', 'tcp://127.0.0.1:9', 'ipc:///tmp/zask-nobody.sock']) {
    it(`exits by itself although nobody answers at ${endpoint}`, async () => {
      const child = new Child('calling-child.ts', { endpoint, nobody: true })
      expect(await child.exited).deep.equal({ code: 0, signal: null })
      expect(child.errors).equal('')
      expect(child.said[0]?.['answer']).oneOf(['Unreachable', 'TimeoutExpired'])
    })
  }
})

describe('ten thousand calls, one third of them failing', () => {
  it('leave no open channel, timer or socket', async () => {
    // mocha's own timer is armed once the test has waited for something.
    await pause(1)
    const before = process.getActiveResourcesInfo().toSorted()
    const { core: server, endpoint } = await cores.serve(new Greeter(), { poolSize: 50, queueSize: 20_000 })
    const { core, client } = await cores.client<Greeter>(endpoint)
    const outcomes = { ok: 0, failed: 0 }
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 1000 }, (_, index) =>
        index % 3 === 0 ? client.fail() : client.greet('x'),
      )
      for (const { status } of await Promise.allSettled(calls))
        outcomes[status === 'fulfilled' ? 'ok' : 'failed']++
    }
    expect(outcomes).deep.equal({ ok: 6660, failed: 3340 })
    const nothing = { running: 0, queued: 0, calling: 0, channels: 0, timers: 0 }
    expect(server.stats.now).deep.equal(nothing)
    expect(core.stats.now).deep.equal(nothing)
    expect(server.stats.served).deep.equal({ ...outcomes, overloaded: 0 })
    await Promise.all([core.stop(), server.stop()])
    // zeromq.js ends what it has closed in the next turn.
    await pause(1)
    expect(process.getActiveResourcesInfo().toSorted()).deep.equal(before)
  })
})
