import { expect } from 'chai'
import type { Call, Outcome } from '../../core/index.ts'
import { Cores, failure, pause, plugin, until } from '../support/cores.ts'
import { freePort } from '../support/ports.ts'
import type { Work } from '../support/serving-child.ts'
import { ServingChildren } from '../support/serving-children.ts'

const cores = new Cores()
const children = new ServingChildren()
afterEach(async () => {
  children.kill()
  await cores.close()
})

/** Where nobody listens. */
const freeEndpoint = async (): Promise<string> => `tcp://127.0.0.1:${await freePort()}`

class Echo {
  ran = 0

  echo(value: unknown): unknown {
    this.ran++
    return value
  }

  async slow(ms: number): Promise<string> {
    this.ran++
    await pause(ms)
    return 'done'
  }

  async *ticks(count: number, ms: number): AsyncGenerator<number> {
    for (let item = 0; item < count; item++) {
      yield item
      await pause(ms)
    }
  }
}

describe('a client', () => {
  it('may be there before its service: calls wait for it', async () => {
    const endpoint = await freeEndpoint()
    const { client } = await cores.client<Echo>(endpoint)
    const answers = Promise.all([client.echo(1), client.echo('two')])
    expect(client.$endpoints).deep.equal([{ endpoint, up: false, calls: 0, heartbeatMs: undefined }])
    await cores.serve(new Echo(), { bind: endpoint })
    expect(await answers).deep.equal([1, 'two'])
    expect(client.$endpoints[0]).include({ up: true })
  })

  it('works again after its service was restarted', async () => {
    const { core, endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client<Echo>(endpoint)
    await client.echo(1)
    await core.stop()
    await until(() => client.$endpoints[0]?.up === false)
    await cores.serve(new Echo(), { bind: endpoint })
    expect(await client.echo(2)).equal(2)
  })

  it('can be bound, and served by services that connect out to it', async () => {
    const { client } = await cores.client<Echo>('tcp://127.0.0.1:*', { bind: true })
    const endpoint = client.$endpoints[0]?.endpoint as string
    expect(endpoint).match(/:[1-9]\d*$/)
    const core = cores.make()
    const started = await core.start(new Echo(), { connect: endpoint, signals: false })
    expect(started.endpoints).deep.equal([endpoint])
    expect(await client.echo('out')).equal('out')
    const items: number[] = []
    for await (const item of client.ticks(3, 0)) items.push(item)
    expect(items).deep.equal([0, 1, 2])
  })

  it('can connect to one service, and be connected to by another, at the same time', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client<Echo>(endpoint, { bind: 'tcp://127.0.0.1:*' })
    const [connected, bound] = client.$endpoints.map((one) => one.endpoint)
    expect(connected).equal(endpoint)
    expect(bound).match(/:[1-9]\d*$/)
    await cores.make().start(new Echo(), { connect: bound as string, signals: false })
    await until(() => client.$endpoints.every(({ up }) => up))
    expect(await Promise.all([1, 2, 3, 4].map((value) => client.echo(value)))).deep.equal([1, 2, 3, 4])
  })

  it('is neither a promise nor JSON, though every name is a method', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client<Echo>(endpoint)
    expect(await Promise.resolve(client)).equal(client)
    expect(JSON.stringify(client)).equal('{}')
    expect('echo' in client && !('then' in client)).equal(true)
    expect(client.echo).equal(client.echo)
  })

  it('closes at the end of `await using`, and fails what is open or comes later', async () => {
    const echo = new Echo()
    const { endpoint, core: server } = await cores.serve(echo)
    const { core, client } = await cores.client<Echo>(endpoint)
    const open = failure(client.slow(100))
    await until(() => server.stats.now.running === 1)
    {
      await using closing = client
      expect(await closing.echo(1)).equal(1)
    }
    expect(await open).include({ code: 'ZASK_CLIENT_CLOSED', sent: true })
    expect(await failure(client.echo(2))).include({ code: 'ZASK_CLIENT_CLOSED', sent: false })
    const waiting = await core.client<Echo>(await freeEndpoint())
    const unsent = failure(waiting.echo(3))
    await waiting.$close()
    expect(await unsent).include({ code: 'ZASK_CLIENT_CLOSED', sent: false })
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
  })

  it('fails at its close what a gate holds up, whose signal tells it', async () => {
    const { core: server, endpoint } = await cores.serve(new Echo())
    const told: unknown[] = []
    const stuck = plugin('stuck', ({ hooks }) => {
      hooks.beforeCall.tap('stuck', async ({ signal }) => {
        signal.addEventListener('abort', () => told.push(signal.reason))
        await new Promise(() => undefined)
      })
    })
    const { core, client } = await cores.client<Echo>(endpoint, { plugins: [stuck], timeoutMs: Infinity })
    const held = failure(client.echo(1))
    await client.$close()
    const error = await held
    expect(error).include({ code: 'ZASK_CLIENT_CLOSED', sent: false })
    expect(told).deep.equal([error])
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
    expect(server.stats.served.ok).equal(0)
  })

  it('refuses options that are misspelt or impossible', async () => {
    const core = cores.make()
    expect((await failure(core.client('inproc://a', { timeout: 5 } as object))).message).include(
      "'timeoutMs'",
    )
    expect((await failure(core.client('inproc://a', { timeoutMs: 0 }))).message).include('above 0')
    expect(await failure(core.client('tcp://nowhere'))).include({ code: 'ZASK_ENDPOINT_INVALID' })
  })

  it('refuses to connect to a port that is none', async () => {
    const core = cores.make()
    for (const endpoint of ['tcp://127.0.0.1:0', 'tcp://127.0.0.1:*']) {
      const error = await failure(core.client(endpoint))
      expect(error.code, endpoint).equal('ZASK_ENDPOINT_INVALID')
      expect(error.message).include('a free port to bind')
    }
    expect(core.stats.now.channels).equal(0)
  })

  it('refuses what only JavaScript can say, and leaves nothing of such a call behind', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { core, client } = await cores.client<Echo>(endpoint)
    const make = (options: unknown): Promise<Error> => failure(core.client(endpoint, options as never))
    expect((await make({ version: 1 })).message).equal('version is a text, got 1.')
    expect((await make({ service: '' })).message).equal("service is a text, got ''.")
    expect((await make({ headers: 'key' })).message).equal("headers is an object of header keys, got 'key'.")
    expect((await make({ bind: 5 })).message).match(/^bind is an endpoint, .* got 5\.$/)
    for (const options of [{ timeout: 5 }, null, { signal: new AbortController() }, { headers: ['key'] }]) {
      const title = JSON.stringify(options)
      const wrong = options as never
      expect(() => client.$with(wrong), title)
        .to.throw()
        .with.property('code', 'ZASK_OPTION_INVALID')
      expect(() => client.$call('echo', [1], wrong), title)
        .to.throw()
        .with.property('code', 'ZASK_OPTION_INVALID')
    }
    for (const method of [undefined, 5, null]) {
      expect(() => client.$call(method as never)).to.throw("$call takes a method's name and a list")
    }
    expect(() => client.$call('echo', 'text' as never)).to.throw("got 'echo' and 'text'.")
    expect(core.stats.now).include({ calling: 0, channels: 0, timers: 0 })
  })

  it('says what it is where it is put into a text, and calls nothing', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { core, client } = await cores.client<Echo>(endpoint)
    // oxlint-disable-next-line typescript/no-base-to-string -- what a text makes of it is the question
    expect(String(client)).equal(`client of ${endpoint}`)
    expect(core.stats.now).include({ calling: 0 })
  })
})

describe('a deadline', () => {
  it('holds for the client, for one call, and for the calls of `$with`', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client<Echo>(endpoint, { timeoutMs: 50 })
    const error = await failure(client.slow(600))
    expect(error).include({ name: 'TimeoutExpired', code: 'ZASK_CALL_TIMEOUT', sent: true })
    expect(error.message).equal('timeout after 0.05s, when calling remote method slow')
    expect(await client.$call('slow', [100], { timeoutMs: 5000 })).equal('done')
    expect(await client.$with({ timeoutMs: 5000 }).slow(100)).equal('done')
    expect(await failure(client.$with({ timeoutMs: 30 }).slow(600))).include({ name: 'TimeoutExpired' })
  })

  it('counts the time before there is a connection, and says that nothing was sent', async () => {
    const endpoint = await freeEndpoint()
    const { core, client } = await cores.client<Echo>(endpoint, { timeoutMs: 40 })
    const error = await failure(client.echo(1))
    expect(error).include({ code: 'ZASK_PEER_UNREACHABLE', sent: false, retryable: true })
    const echo = new Echo()
    await cores.serve(echo, { bind: endpoint })
    await until(() => client.$endpoints[0]?.up === true)
    await client.$with({ timeoutMs: 5000 }).echo(2)
    expect(echo.ran).equal(1)
    expect(core.stats.now).include({ calling: 0, channels: 0 })
  })

  it('counts the time a gate takes, and names it', async () => {
    const { core: server, endpoint } = await cores.serve(new Echo())
    const stuck = plugin('stuck', ({ hooks }) => {
      hooks.beforeCall.tapPromise('stuck', () => new Promise(() => undefined))
    })
    const { client } = await cores.client<Echo>(endpoint, { plugins: [stuck], timeoutMs: 30 })
    const error = await failure(client.echo(1))
    expect(error).include({ code: 'ZASK_CALL_TIMEOUT', sent: false })
    expect(error.message).include('a tap of beforeCall did not let it through in time')
    expect(server.stats.wire.eventsIn).equal(0)
  })

  it('does not touch a stream once its first item is there, on either side', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client<Echo>(endpoint, { timeoutMs: 60 })
    const items: number[] = []
    for await (const item of client.ticks(8, 20)) items.push(item)
    expect(items).have.length(8)
    expect(await failure(client.$call('slow', [600]))).include({ name: 'TimeoutExpired' })
  })

  it('travels to calls made within a call, which have no more time than is left, and are cancelled with it', async () => {
    const left: number[] = []
    const reasons: string[] = []
    const last = await cores.serve({
      async wait(): Promise<void> {
        const { deadline, signal } = last.core.call
        left.push((deadline as number) - performance.now())
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        reasons.push((signal.reason as { code: string }).code)
      },
    })
    const middle = await cores.serve({
      wait: async (): Promise<unknown> => further.$call('wait', [], { timeoutMs: 20_000 }),
    })
    const further = await middle.core.client(last.endpoint)
    const { client } = await cores.client<{ wait(): Promise<void> }>(middle.endpoint, { timeoutMs: 3000 })
    const cancel = new AbortController()
    const cancelled = failure(client.$call('wait', [], { signal: cancel.signal }))
    await until(() => left.length === 1)
    cancel.abort(new Error('enough'))
    expect(await cancelled).include({ code: 'ZASK_CALL_CANCELLED' })
    await until(() => reasons.length === 1)
    expect(reasons).deep.equal(['ZASK_CALL_CANCELLED'])
    expect(left[0]).within(1, 3000)
    expect(await failure(client.$call('wait', [], { timeoutMs: 50 }))).include({ name: 'TimeoutExpired' })
    await until(() => reasons.length === 2)
    expect(left[1]).within(-50, 50)
    for (const { core } of [middle, last]) await until(() => core.stats.now.running === 0)
    expect(middle.core.stats.now).include({ calling: 0, channels: 0 })
  })
})

describe('an AbortSignal', () => {
  it('cancels a call before it is sent, while it runs, and in the middle of a stream', async () => {
    let aborted = 0
    const service = {
      async wait(): Promise<void> {
        await new Promise((resolve) => core.call.signal.addEventListener('abort', resolve))
        aborted++
      },
      async *ticks(): AsyncGenerator<number> {
        try {
          for (let item = 0; ; item++) {
            yield item
            await pause(1)
          }
        } finally {
          aborted++
        }
      },
    }
    const { core, endpoint } = await cores.serve(service)
    const { client } = await cores.client<typeof service>(endpoint)
    const reason = new Error('enough')
    const before = await failure(client.$call('wait', [], { signal: AbortSignal.abort(reason) }))
    expect(before).include({ code: 'ZASK_CALL_CANCELLED', sent: false, cause: reason })
    const running = new AbortController()
    const call = failure(client.$call('wait', [], { signal: running.signal }))
    await until(() => core.stats.now.running === 1)
    running.abort(reason)
    expect(await call).include({ code: 'ZASK_CALL_CANCELLED', sent: true, cause: reason })
    const reading = new AbortController()
    const items: unknown[] = []
    const stream = failure(
      (async () => {
        for await (const item of client.$with({ signal: reading.signal }).ticks()) {
          items.push(item)
          if (items.length === 5) reading.abort(reason)
        }
      })(),
    )
    expect(await stream).include({ code: 'ZASK_CALL_CANCELLED', cause: reason })
    expect(items.slice(0, 5)).deep.equal([0, 1, 2, 3, 4])
    await until(() => aborted === 2 && core.stats.now.running === 0)
    expect(core.stats.now.channels).equal(0)
  })
})

describe('a call whose server is killed', () => {
  it('fails as LostRemote at once, streams after what they had, and calls go on at the restarted one', async () => {
    const { child, endpoint } = await children.start()
    const { core, client } = await cores.client<Work>(endpoint)
    await client.echo(1)
    const calls = Array.from({ length: 50 }, () => failure(client.slow(60_000)))
    const items: number[] = []
    const stream = failure(
      (async () => {
        for await (const item of client.count(1_000_000, 1)) items.push(item)
      })(),
    )
    await until(() => items.length > 3)
    const killedAt = performance.now()
    child.kill('SIGKILL')
    for (const error of await Promise.all([...calls, stream])) {
      expect(error).include({ name: 'LostRemote', code: 'ZASK_PEER_LOST', sent: true })
    }
    // Heartbeats would have taken ten seconds.
    expect(performance.now() - killedAt).below(3000)
    expect(items).deep.equal(items.map((_, index) => index + 1))
    expect(core.stats.now).include({ calling: 0, channels: 0, timers: 0 })
    await children.start({ bind: endpoint })
    expect(await client.echo(2)).equal(2)
  })

  it('goes to another endpoint from then on, and to the old one when it is back', async () => {
    const [one, other] = [await children.start(), await children.start()]
    const { client } = await cores.client<Work>([one.endpoint, other.endpoint])
    await until(() => client.$endpoints.every(({ up }) => up))
    const pids = async (): Promise<Set<number>> =>
      new Set(await Promise.all(Array.from({ length: 60 }, () => client.pid())))
    expect([...(await pids())]).have.members([one.child.process.pid, other.child.process.pid])
    one.child.kill('SIGKILL')
    await until(() => client.$endpoints[0]?.up === false)
    expect([...(await pids())]).deep.equal([other.child.process.pid])
    const back = await children.start({ bind: one.endpoint })
    await until(() => client.$endpoints[0]?.up === true)
    expect([...(await pids())]).have.members([back.child.process.pid, other.child.process.pid])
  })
})

describe('error.sent', () => {
  it('is false for what cannot be encoded, and nothing is counted as open', async () => {
    const { core: server, endpoint } = await cores.serve(new Echo())
    const { core, client } = await cores.client<Echo>(endpoint)
    const error = await failure(client.echo(() => 1))
    expect(error).include({ code: 'ZASK_WIRE_NOT_ENCODABLE', sent: false })
    expect(client.$endpoints[0]?.calls).equal(0)
    expect(server.stats.wire.eventsIn).equal(0)
    expect(core.stats.now).deep.equal({ running: 0, queued: 0, calling: 0, channels: 0, timers: 0 })
  })

  it('is true for whatever the service has answered', async () => {
    const { endpoint } = await cores.serve(new Echo())
    const { client } = await cores.client(endpoint)
    expect(await failure(client.$call('nothing'))).include({ sent: true, code: 'ZASK_METHOD_UNKNOWN' })
  })
})

describe('taps of a client', () => {
  it('may add headers, and see endpoint, outcome and the call it was made in', async () => {
    const seen: {
      parent: Call | undefined
      current: Call | undefined
      peer: string | undefined
      outcome: Outcome
    }[] = []
    const last = await cores.serve({ headers: () => last.core.call.headers })
    const adding = plugin('adding', (core) => {
      core.hooks.beforeCall.tap('adding', (call) => {
        if (call.side === 'client') call.headers['added'] = core.currentCall?.method ?? 'outside'
      })
      core.hooks.afterCall.tap('adding', ({ side, parent, peer }, outcome) => {
        if (side === 'client') seen.push({ parent, peer, outcome, current: core.currentCall })
      })
    })
    const middle = await cores.serve({ outer: async () => further.$call('headers') }, { plugins: [adding] })
    const further = await middle.core.client(last.endpoint)
    const { client } = await cores.client<{ outer(): Promise<Record<string, unknown>> }>(middle.endpoint)
    expect(await client.outer()).include({ added: 'outer' })
    expect(await further.$call('headers', [], { headers: { mine: 1 } })).include({
      added: 'outside',
      mine: 1,
    })
    expect(seen.map(({ parent, current }) => [parent?.method, current?.method])).deep.equal([
      ['outer', 'outer'],
      [undefined, undefined],
    ])
    expect(seen[0]).include({ peer: last.endpoint })
    expect(seen[0]?.outcome).include({ ok: true })
  })

  it('know no current call in a client that was made within a call', async () => {
    const seen: unknown[] = []
    const last = await cores.serve(new Echo())
    const watching = plugin('watching', (core) => {
      core.hooks.afterCall.tap('watching', ({ side }) => {
        if (side === 'client') seen.push(core.currentCall)
      })
    })
    let made: { echo(value: unknown): unknown } | undefined
    const maker = await cores.serve(
      {
        async make(): Promise<void> {
          made = await maker.core.client<Echo>(last.endpoint)
          await made.echo(0)
        },
      },
      { plugins: [watching] },
    )
    const { client } = await cores.client<{ make(): Promise<void> }>(maker.endpoint)
    await client.make()
    await made?.echo(1)
    expect(seen.map((call) => (call as Call | undefined)?.method)).deep.equal(['make', undefined])
  })
})
