import { Readable } from 'node:stream'
import { expect } from 'chai'
import { type Client, type Core, type Outcome, type Plugin, ZaskError } from '../../core/index.ts'
import { Child } from '../support/children.ts'
import { Cores, failure, pause, plugin, until } from '../support/cores.ts'

const cores = new Cores()
const rejections: unknown[] = []
const onRejection = (reason: unknown): void => void rejections.push(reason)

before(() => process.prependListener('unhandledRejection', onRejection))
after(() => process.off('unhandledRejection', onRejection))
afterEach(async () => {
  await cores.close()
  await pause(0)
  expect(rejections, 'unhandled rejections').deep.equal([])
})

/** The sessions that a server's plugin saw: the outcome of each call, and how often its session ended. */
class Sessions {
  readonly outcomes: Outcome[] = []
  readonly ends = new Map<string, number>()

  get plugin(): Plugin {
    return plugin('sessions', ({ hooks }) => {
      hooks.afterCall.tap('sessions', (_call, outcome) => void this.outcomes.push(outcome))
      hooks.sessionEnd.tap('sessions', ({ id }) => void this.ends.set(id, (this.ends.get(id) ?? 0) + 1))
    })
  }

  get counts(): number[] {
    return [...this.ends.values()]
  }

  get codes(): unknown[] {
    return this.outcomes.map((outcome) => (outcome.ok ? 'ok' : (outcome.error as { code?: string }).code))
  }
}

const trap = (): never => {
  throw new Error('a trap')
}

class Values {
  get secret(): string {
    throw new Error('an accessor was run')
  }

  readonly field = 5
  readonly arrow = (a: number): number => a * 2

  sync(): string {
    return 'sync'
  }

  async later(): Promise<string> {
    await pause(1)
    return 'async'
  }

  *items(): Generator<number> {
    yield* [1, 2, 3]
  }

  async *asyncItems(n: number): AsyncGenerator<number> {
    for (let item = 1; item <= n; item++) yield item
  }

  async promised(): Promise<AsyncGenerator<number>> {
    return this.asyncItems(2)
  }

  readable(): Readable {
    return Readable.from(['a', 'b'])
  }

  list(): number[] {
    return [1, 2]
  }

  *failing(): Generator<number> {
    yield 1
    throw new RangeError('after one')
  }

  empty(): AsyncGenerator<number> {
    return this.asyncItems(0)
  }

  _private(): string {
    return 'private'
  }
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

describe('a served method', () => {
  it('gives values, sync and async, and streams from generators of both kinds, Readables and promises', async () => {
    const { endpoint } = await cores.serve(new Values())
    const { client } = await cores.client<Values>(endpoint)
    expect([await client.sync(), await client.later(), await client.arrow(4)]).deep.equal([
      'sync',
      'async',
      8,
    ])
    expect(await client.list()).deep.equal([1, 2])
    expect(await collect(client.items())).deep.equal([1, 2, 3])
    expect(await collect(client.asyncItems(500))).deep.equal(
      Array.from({ length: 500 }, (_, index) => index + 1),
    )
    expect(await collect(client.promised())).deep.equal([1, 2])
    expect(await collect(client.readable())).deep.equal(['a', 'b'])
    expect(await collect(client.empty())).deep.equal([])
  })

  it('delivers what a stream yielded before it failed, then the error', async () => {
    const sessions = new Sessions()
    const { endpoint } = await cores.serve(new Values(), { plugins: [sessions.plugin] })
    const { client } = await cores.client<Values>(endpoint)
    const items: number[] = []
    const error = await failure(
      (async () => {
        for await (const item of client.failing()) items.push(item)
      })(),
    )
    expect(items).deep.equal([1])
    expect(error).include({ remoteName: 'RangeError', message: 'after one' })
    await until(() => sessions.outcomes.length === 1)
    expect(sessions.outcomes[0]).include({ ok: false, items: 1 })
  })

  it('is never one that is hidden, whatever a peer sends as its name', async () => {
    const { endpoint } = await cores.serve(new Values())
    const { client } = await cores.client<Values>(endpoint)
    const hidden = [
      'constructor',
      '__proto__',
      'toString',
      'valueOf',
      'hasOwnProperty',
      '__defineGetter__',
      '_private',
      'secret',
      'field',
      '',
      'then',
      'sync\n',
      'Sync',
      'x'.repeat(100_000),
    ]
    for (const name of hidden) {
      expect(await failure(client.$call(name, ['sync', 1])), name.slice(0, 20)).include({
        remoteName: 'NameError',
      })
    }
    expect(await client.sync()).equal('sync')
  })

  it('answers with an error whatever it throws, rejects with, or returns', async () => {
    const hostile: Error = Object.create(Error.prototype, {
      message: {
        get() {
          throw new Error('the getter throws')
        },
      },
    }) as Error
    const thrown: unknown[] = [
      undefined,
      null,
      0,
      '',
      'text',
      Symbol('s'),
      10n,
      { message: 5 },
      hostile,
      () => 1,
      NaN,
    ]
    const circle: unknown[] = []
    circle.push(circle)
    const hostileProxy = new Proxy({ a: 1 }, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap })
    thrown.push(hostileProxy)
    const returned: unknown[] = [() => 1, Symbol('s'), { deep: Symbol('s') }, 2n ** 70n, circle, hostileProxy]
    const core = cores.make()
    const service = {
      throws(index: number): never {
        throw thrown[index]
      },
      rejects: (index: number): Promise<never> => Promise.reject(thrown[index]),
      returns: (index: number): unknown => returned[index],
      *yields(index: number): Generator {
        yield returned[index]
      },
      thenable: () => ({
        // eslint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
        then(resolve: (value: number) => void, reject: (error: unknown) => void) {
          resolve(1)
          reject(new Error('twice'))
        },
      }),
    }
    const { endpoint } = await cores.serve(service)
    const client: Client = await core.client(endpoint)
    for (let index = 0; index < thrown.length; index++) {
      for (const name of ['throws', 'rejects']) {
        const error = await failure(client.$call(name, [index]))
        expect(error, `${name} ${index}`).instanceOf(Error)
        expect(error.remoteName, `${name} ${index}`).a('string')
      }
    }
    for (let index = 0; index < returned.length; index++) {
      expect((await failure(client.$call('returns', [index]))).name, `returns ${index}`).equal('RemoteError')
      const yielded = failure(collect(client.$call('yields', [index])))
      expect((await yielded).name, `yields ${index}`).equal('RemoteError')
    }
    expect(await client.$call('thenable')).equal(1)
    await pause(5)
    expect(rejections).deep.equal([])
  })

  it('sends an error whose details cannot be encoded without them, and one that is too long cut', async () => {
    const service = {
      odd(): never {
        throw new ZaskError('MY_CODE', 'odd', { retryable: true, details: { fn: () => 1 } })
      },
      long(): never {
        throw new Error('x'.repeat(10_000))
      },
    }
    const { endpoint } = await cores.serve(service, { maxEventBytes: 1024 })
    const { client } = await cores.client<typeof service>(endpoint)
    expect(await failure(client.odd())).include({ code: 'MY_CODE', message: 'odd', retryable: true })
    expect((await failure(client.long())).message).match(/^x{100}$/)
  })

  it('sends the traceback only while DEBUG is set', async () => {
    const { core, endpoint } = await cores.serve(new Values())
    const { client } = await cores.client<Values>(endpoint)
    expect((await failure(collect(client.failing()))).remoteTraceback).include('served-call.test.ts')
    core.config.fromObject({ DEBUG: false })
    expect((await failure(collect(client.failing()))).remoteTraceback).equal('')
  })
})

const gates = (): Plugin[] => [
  plugin('first', ({ hooks }) =>
    hooks.beforeCall.tap('first', ({ method }) => {
      if (method === 'refused') throw new Error('first gate')
    }),
  ),
  plugin('second', ({ hooks }) =>
    hooks.beforeCall.tapPromise('second', async ({ method }) => {
      await pause(1)
      if (method === 'refusedLater') throw new Error('second gate')
    }),
  ),
]

describe('answerError', () => {
  const service = {
    fail(): void {
      throw new RangeError('a secret')
    },
    async *items(): AsyncGenerator<number> {
      yield 1
      throw new RangeError('a secret')
    },
  }

  it('has another error sent than was thrown, by gates, methods and streams; the outcome stays', async () => {
    const sessions = new Sessions()
    const hiding = plugin('hiding', ({ hooks, config }) => {
      config.fromObject({ DEBUG: false })
      hooks.beforeCall.tap('hiding', ({ side, args }) => {
        if (side === 'server' && args.length > 0) throw new RangeError('a secret')
      })
      hooks.answerError.tap('hiding', (call, thrown) =>
        thrown instanceof RangeError ? new ZaskError('HIDDEN', `see ${call.method}`) : undefined,
      )
    })
    const { endpoint } = await cores.serve(service, { plugins: [sessions.plugin, hiding] })
    const { client } = await cores.client<typeof service>(endpoint)
    const hidden = { code: 'HIDDEN', remoteTraceback: '' }
    expect(await failure(client.fail())).include({ ...hidden, message: 'see fail' })
    expect(await failure(client.$call('fail', [1]))).include({ ...hidden, message: 'see fail' })
    expect(await failure(collect(client.items()))).include({ ...hidden, message: 'see items' })
    expect(await failure(client.$call('nothing', []))).include({
      remoteName: 'NameError',
      message: 'nothing',
    })
    await until(() => sessions.outcomes.length === 4)
    expect(
      sessions.outcomes.slice(0, 3).map((outcome) => (outcome as { error?: Error }).error?.message),
    ).deep.equal(['a secret', 'a secret', 'a secret'])
  })

  it('sends the error of a tap that fails, and never what the tap was to hide', async () => {
    const failing = plugin('failing', ({ hooks }) => {
      hooks.answerError.tap('failing', (_call, thrown) => {
        throw new TypeError(`cannot hide a ${(thrown as Error).name}`)
      })
    })
    const { endpoint } = await cores.serve(service, { plugins: [failing] })
    const { client } = await cores.client<typeof service>(endpoint)
    expect(await failure(client.fail())).include({ message: 'cannot hide a RangeError' })
    expect(cores.logged.join('')).match(/ERROR a tap of answerError failed/)
  })
})

describe('a session', () => {
  class Many {
    returned = 0
    waiting = 0
    aborted = 0
    core: Core | undefined

    ok(): string {
      return 'ok'
    }
    fail(): never {
      throw new Error('failed')
    }
    refused(): void {}
    refusedLater(): void {}

    async wait(): Promise<void> {
      const { signal } = (this.core as Core).call
      this.waiting++
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      this.aborted++
    }

    async *forever(): AsyncGenerator<number> {
      try {
        for (let item = 0; ; item++) {
          yield item
          await pause(1)
        }
      } finally {
        this.returned++
      }
    }
  }

  it('ends exactly once for calls answered, failed, refused, unknown, cancelled and timed out', async () => {
    const sessions = new Sessions()
    const many = new Many()
    const { core, endpoint } = await cores.serve(many, { plugins: [sessions.plugin, ...gates()] })
    many.core = core
    const { client } = await cores.client<Many>(endpoint)
    await client.ok()
    for (const name of ['fail', 'refused', 'refusedLater', 'unknown']) await failure(client.$call(name))
    expect(await failure(client.$call('wait', [], { timeoutMs: 40 }))).include({
      name: 'TimeoutExpired',
      sent: true,
    })
    await until(() => many.aborted === 1 && core.stats.now.running === 0)
    const cancel = new AbortController()
    const cancelled = failure(client.$call('wait', [], { signal: cancel.signal }))
    await until(() => many.waiting === 2)
    cancel.abort()
    expect(await cancelled).include({ code: 'ZASK_CALL_CANCELLED', sent: true })
    for await (const item of client.forever()) if (item === 3) break
    await until(() => sessions.counts.length === 8)
    expect(sessions.counts).deep.equal(Array(8).fill(1))
    expect(sessions.outcomes.map(({ ok }) => ok)).deep.equal([true, ...Array<boolean>(7).fill(false)])
    expect([many.aborted, many.returned]).deep.equal([2, 1])
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
  })

  it('ends for a call that timed out in the queue, which then never runs', async () => {
    const sessions = new Sessions()
    const ran: number[] = []
    let release: (() => void) | undefined
    const service = {
      async hold(): Promise<void> {
        await new Promise<void>((resolve) => (release = resolve))
      },
      run: (id: number): void => void ran.push(id),
    }
    const { core, endpoint } = await cores.serve(service, { plugins: [sessions.plugin], poolSize: 1 })
    const { client } = await cores.client<typeof service>(endpoint)
    const holding = client.hold()
    await until(() => core.stats.now.running === 1)
    expect(await failure(client.$call('run', [1], { timeoutMs: 40 }))).include({ name: 'TimeoutExpired' })
    await until(() => sessions.counts.length === 1)
    expect(core.stats.now).include({ queued: 0, running: 1 })
    release?.()
    await holding
    await client.run(2)
    expect(ran).deep.equal([2])
    await until(() => sessions.counts.length === 3)
    expect(sessions.counts).deep.equal([1, 1, 1])
  })

  it('ends when the client was killed, and the method is told by its signal', async () => {
    const sessions = new Sessions()
    let reason: unknown
    const service = {
      echo: (value: unknown) => value,
      slow: () =>
        new Promise<void>((resolve) => {
          const { signal } = core.call
          signal.addEventListener('abort', () => {
            reason = signal.reason
            resolve()
          })
        }),
    }
    const { core, endpoint } = await cores.serve(service, {
      plugins: [sessions.plugin],
      heartbeat: { intervalMs: 100 },
    })
    const child = new Child('calling-child.ts', { endpoint, stay: true })
    await child.says('calling')
    await until(() => core.stats.now.running === 1)
    child.kill('SIGKILL')
    await until(() => sessions.counts.length === 2)
    expect(sessions.counts).deep.equal([1, 1])
    expect(sessions.codes).deep.equal(['ok', 'ZASK_PEER_LOST'])
    expect(reason).include({ code: 'ZASK_PEER_LOST' })
    expect(core.stats.now).include({ running: 0, channels: 0, timers: 0 })
  })

  it('ends without a method that ignores its abort, at shutdown', async () => {
    const sessions = new Sessions()
    const service = { stuck: () => new Promise<never>(() => undefined) }
    const { core, endpoint } = await cores.serve(service, {
      plugins: [sessions.plugin],
      shutdownTimeoutMs: 20,
    })
    const { client } = await cores.client<typeof service>(endpoint)
    const call = failure(client.stuck())
    await until(() => core.stats.now.running === 1)
    expect(await core.stop()).equal(1)
    expect(await call).include({ remoteName: 'ServiceUnavailable' })
    expect(sessions.counts).deep.equal([1])
  })

  it('waits for the finally of a generator, which still is in its call, before it ends', async () => {
    const steps: string[] = []
    const service = {
      async *items(): AsyncGenerator<number> {
        try {
          for (let item = 0; ; item++) yield item
        } finally {
          await pause(5)
          steps.push(`finally of ${core.call.method}`)
        }
      },
    }
    const end = plugin('end', ({ hooks }) => hooks.sessionEnd.tap('end', () => void steps.push('end')))
    const { core, endpoint } = await cores.serve(service, { plugins: [end] })
    const { client } = await cores.client<typeof service>(endpoint)
    for await (const item of client.items()) if (item === 1) break
    await until(() => steps.length === 2)
    expect(steps).deep.equal(['finally of items', 'end'])
  })

  it('destroys a Readable whose reader has left, though it has nothing to give', async () => {
    const readable = new Readable({ objectMode: true, read: () => undefined })
    readable.push('only')
    const { core, endpoint } = await cores.serve({ tail: () => readable })
    const { client } = await cores.client<{ tail(): AsyncIterable<string> }>(endpoint)
    for await (const item of client.tail()) {
      expect(item).equal('only')
      break
    }
    await until(() => readable.destroyed && core.stats.now.running === 0)
  })
})

describe('core.call', () => {
  it('is each call’s own, in concurrent calls, streams and taps', async () => {
    const wrong: unknown[] = []
    const check = (id: unknown, seen: unknown): void => void (id === seen || wrong.push([id, seen]))
    const service = {
      async run(id: number): Promise<number> {
        for (let step = 0; step < 5; step++) {
          await pause(Math.random() * 3)
          check(id, core.call.args[0])
        }
        return id
      },
      async *items(id: number): AsyncGenerator<number> {
        for (let item = 0; item < 150; item++) {
          if (item % 50 === 0) await pause(1)
          check(id, core.call.args[0])
          yield item
        }
      },
    }
    const checking = plugin('checking', ({ hooks }) => {
      hooks.beforeCall.tap('checking', async (call) => {
        await pause(1)
        check(call, core.call)
      })
      hooks.afterCall.tap('checking', (call) => check(call, core.call))
      hooks.sessionEnd.tap('checking', async (call) => {
        await pause(1)
        check(call, core.call)
      })
    })
    const { core, endpoint } = await cores.serve(service, { plugins: [checking] })
    const { client } = await cores.client<typeof service>(endpoint)
    const calls = Array.from({ length: 300 }, async (_, id) => {
      if (id % 3 !== 0) return check(id, await client.run(id))
      expect(await collect(client.items(id))).have.length(150)
    })
    await Promise.all(calls)
    await core.stop()
    expect(wrong).deep.equal([])
  })

  it('carries service, version, method, arguments, headers, peer, time left and a logger that names them', async () => {
    class Named {
      static readonly service: string = 'named'
      static readonly version: string = '2.0'
      look(_a: number): object {
        const { call } = core
        call.log.warn('looked')
        const { side, service, version, method, args, headers, startedAt, deadline, parent } = call
        const left = (deadline as number) - performance.now()
        const fresh = Date.now() - startedAt < 5000 && left > 0 && left <= 4000
        return {
          side,
          service,
          version,
          method,
          args,
          mine: headers['mine'],
          fresh,
          parent: parent ?? 'none',
        }
      }
    }
    const { core, endpoint } = await cores.serve(new Named())
    const { client } = await cores.client<Named>(endpoint, { headers: { mine: 'yes' }, timeoutMs: 4000 })
    expect(await client.look(7)).deep.equal({
      side: 'server',
      service: 'named',
      version: '2.0',
      method: 'look',
      args: [7],
      mine: 'yes',
      fresh: true,
      parent: 'none',
    })
    expect(cores.logged.join('')).match(/looked service=named method=look call=\w+-1/)
  })
})

describe('a failing service further on', () => {
  it('does not make a zask client run a call again that has run', async () => {
    let runs = 0
    const last = await cores.serve({ work: () => pause(100) }, { shutdownTimeoutMs: 5000 })
    const { client: further } = await cores.client<{ work(): Promise<void> }>(last.endpoint)
    const holding = further.work()
    await until(() => last.core.stats.now.running === 1)
    const stopped = last.core.stop()
    const middle = {
      async work(): Promise<void> {
        runs++
        await further.work()
      },
    }
    const [one, other] = [await cores.serve(middle), await cores.serve(middle)]
    const { client } = await cores.client<typeof middle>([one.endpoint, other.endpoint])
    await until(() => client.$endpoints.every(({ up }) => up))
    expect(await failure(client.work())).include({ code: 'ZASK_SERVER_STOPPING' })
    expect(runs).equal(1)
    await Promise.all([holding, stopped])
  })
})
