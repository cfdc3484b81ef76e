import crypto from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isUtf8 } from 'node:buffer'
import { encode } from '@msgpack/msgpack'
import { expect } from 'chai'
import {
  type Client,
  type ClientOptions,
  createLogger,
  curveKeyPair,
  type Plugin,
  RemoteError,
  ZaskError,
} from 'zask'
import { Dealer, type SocketOptions } from 'zeromq'
import { accessLog } from 'zask/plugins/access-log'
import { debugLog } from 'zask/plugins/debug-log'
import { headers } from 'zask/plugins/headers'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { requestChain } from 'zask/plugins/request-chain'
import { corpus } from './fuzz/corpus.ts'
import type { Target } from './fuzz/target.ts'
import { greeting, soundConversation } from './fuzz/zmtp.ts'
import { mkfifo, scratchFolder } from './plugins/log-file/support.ts'
import { figures, User } from './plugins/mikro-orm/users.ts'
import { failure, until } from './support/cores.ts'
import { ListeningProxy } from './support/listening-proxy.ts'
import { callWith, Guarded, otherKey, rightKey, serveGuarded } from './support/guarded.ts'
import { repository, sourceCondition, Spawned } from './support/processes.ts'
import { pack, pause, type RawDealer, type RawEvent } from './support/raw-peer.ts'
import { World } from './support/world.ts'

const MiB = 2 ** 20

/** Rows of docs/security.md, one test each. What is said there is shown here. */
describe('threats', function () {
  this.timeout(60_000)

  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())

  /** A fuzz target in a process of its own, under what the shell sets before it. */
  async function startTarget(
    before = '',
    env: Record<string, string> = {},
    options: ClientOptions = {},
  ): Promise<{ endpoint: string; port: number; good: Client<Target> }> {
    const command = `${before} exec "$0" ${sourceCondition} --expose-gc --max-old-space-size=128 test/fuzz/target.ts`
    const child = new Spawned('bash', ['-c', command, process.execPath], { cwd: repository, env })
    world.add(child, async (one) => {
      one.signal('SIGKILL')
      await one.ended
    })
    await child.until((output) => output.includes('\n'))
    const endpoint = child.output.trim()
    const { client } = await world.client<Target>(endpoint, { timeoutMs: 20_000, ...options })
    return { endpoint, port: Number(endpoint.split(':').at(-1)), good: client }
  }

  it('T1: who leaves the key out, or sends what is no key, is refused', async () => {
    const { dealer, service } = await serveGuarded(world)
    const forms = [null, '', 0, 1, [], [rightKey], {}, { a: rightKey }, true, Buffer.from(rightKey)]
    const texts = [
      'x'.repeat(1_000_000),
      `${rightKey}\0`,
      `\0${rightKey}`,
      ` ${rightKey}`,
      rightKey.toUpperCase(),
    ]
    const tried = [{}, ...[...forms, ...texts].map((access_key) => ({ access_key }))]
    for (const header of tried) {
      const [name] = errorOf(await callWith(dealer, 'hello', [], header))
      expect(name, JSON.stringify(header).slice(0, 60)).to.equal('NoSuchAccessKeyException')
    }
    expect(service.runs).to.equal(0)
    expect((await callWith(dealer, 'hello', [], { access_key: rightKey })).args).to.deep.equal(['world'])
  })

  it('T2: the keys are those of the service that is called, whatever name the caller gives', async () => {
    const { dealer, service } = await serveGuarded(world)
    for (const service_name of [
      'other',
      'OTHER',
      'open',
      'nowhere',
      '__proto__',
      'constructor',
      '',
      null,
      5,
    ]) {
      const [name] = errorOf(await callWith(dealer, 'hello', [], { service_name, access_key: otherKey }))
      expect(name, String(service_name)).to.equal('NoSuchAccessKeyException')
    }
    expect(service.runs).to.equal(0)
  })

  it('T3: keys are looked up by salted hashes, so that time tells nothing of them', async () => {
    const { dealer } = await serveGuarded(world)
    await callWith(dealer, 'hello', [], { access_key: rightKey })
    const hashed: string[] = []
    const original = crypto.hash
    Object.assign(crypto, {
      hash: (...args: Parameters<typeof original>) => {
        hashed.push(args[1] as string)
        return original(...args)
      },
    })
    syncBuiltinESMExports()
    try {
      for (const access_key of [rightKey, rightKey.slice(0, -1), 'z', 'right-key-5d41402b'])
        await callWith(dealer, 'hello', [], { access_key })
    } finally {
      Object.assign(crypto, { hash: original })
      syncBuiltinESMExports()
    }
    // One hash for each look, of the key with what no caller knows before it.
    expect(hashed).to.have.length(4)
    const salts = hashed.map((text, index) =>
      text.slice(0, -[rightKey, rightKey.slice(0, -1), 'z', rightKey][index]!.length),
    )
    expect(new Set(salts).size).to.equal(1)
    expect(salts[0]?.length).to.be.at.least(32)
  })

  it('T4: no key of the config comes into an error, a log or a view of the config', async () => {
    const folder = world.add(scratchFolder(), (one) => one.remove())
    const config = {
      ERROR_LOG: join(folder.path, 'error.log'),
      ZERORPC_ACCESS_LOG: join(folder.path, 'access.log'),
      PRODUCTION_LOGGING_LEVEL: 'TRACE',
    }
    const plugins = [
      debugLog(),
      headers(),
      requestChain(),
      accessLog({ format: 'json' }),
    ] as readonly Plugin[]
    const { core, dealer } = await serveGuarded(world, plugins, { config })
    for (const header of [
      {},
      { access_key: 'guess' },
      { access_key: 5 },
      { service_version: '9.9', access_key: 'guess' },
    ]) {
      for (const method of ['hello', 'nope', '_zerorpc_inspect']) await callWith(dealer, method, [], header)
    }
    await callWith(dealer, 'echo', [Symbol.iterator.toString()], { access_key: 'guess' })
    core.log.error({ config: core.config }, 'the config, as somebody might log it')
    await core.stop()
    const said = dealer.seen.map(({ payload }) => payload.toString('latin1')).join('')
    const logged = readdirSync(folder.path).map((file) => readFileSync(join(folder.path, file), 'utf8'))
    expect(logged.join('')).to.include('guess')
    for (const text of [said, ...logged, inspect(core.config)]) {
      expect(text).not.to.include(rightKey)
      expect(text).not.to.include(otherKey)
    }
  })

  it('T5: a refused call has run nothing: no later gate, no method, and its channel is closed', async () => {
    const ran: string[] = []
    const db = mikroOrm({ entities: [User] })
    const later: Plugin = {
      name: 'later',
      apply({ hooks }) {
        hooks.beforeCall.tap('later', async ({ method }) => {
          ran.push(method)
          await db.query(User).count()
        })
      },
    }
    const { core, dealer, service } = await serveGuarded(world, [headers(), db, later])
    await db.createAll()
    const before = figures(core)
    for (const method of ['hello', 'echo', '_zerorpc_list']) await callWith(dealer, method, [[1]], {})
    await pause(20)
    expect([ran, service.runs, dealer.events.length]).to.deep.equal([[], 0, 3])
    expect(core.stats.now).to.include({ channels: 0, running: 0 })
    // Nor was the database asked for anything; of a call that is let in, the same figures tell of its session.
    expect(figures(core)).to.deep.equal(before)
    await callWith(dealer, 'hello', [], { access_key: rightKey })
    await until(() => figures(core).now.sessions === 0)
    expect(ran).to.deep.equal(['hello'])
    expect(figures(core)).to.include({ sessions: before.sessions + 1, queries: before.queries + 1 })
  })

  it('T6: only declared methods can be called, and no name changes anything', async () => {
    class Inherited extends Guarded {
      readonly field: string = 'field'
      get accessor(): string {
        this.runs = -1000
        return 'accessor'
      }
      _hidden(): string {
        return 'hidden'
      }
      // A name that only looks like hello: its first letter is Cyrillic.
      ['һello'](): string {
        return 'look-alike'
      }
    }
    const service = new Inherited()
    const { endpoint } = await world.serve(service)
    const dealer = world.dealer(endpoint)
    const inherited = [Object.prototype, Function.prototype, Array.prototype, Promise.prototype].flatMap(
      (one) => Object.getOwnPropertyNames(one),
    )
    const odd = [
      '',
      'then',
      'prototype',
      'field',
      'runs',
      'accessor',
      '_hidden',
      'һello',
      'HELLO',
      ' hello',
      'hello ',
    ]
    const far = [
      'hello.call',
      'Symbol(Symbol.iterator)',
      '[object Object]',
      'x'.repeat(1_000_000),
      '\0',
      'hello\0',
    ]
    for (const name of new Set([...inherited, ...odd, ...far])) {
      const [error] = errorOf(await callWith(dealer, name, ['hello'], {}))
      expect(error, name.slice(0, 40)).to.equal('NameError')
    }
    expect((await callWith(dealer, 'hello', [], {})).args).to.deep.equal(['world'])
    expect(Object.keys(service)).to.deep.equal(['runs', 'field'])
    expect(service.runs).to.equal(1)
  })

  it('T7: no key of a payload or a header reaches a prototype, or confuses a plugin', async () => {
    const plugins = [headers(), requestChain()] as readonly Plugin[]
    const { dealer, core } = await serveGuarded(world, plugins)
    const head = Buffer.from([0x81])
    const keys = [Buffer.from([0xa9]), Buffer.from([0xc4, 9])]
    const poisons = keys.map((key) =>
      Buffer.concat([head, key, Buffer.from('__proto__'), encode({ polluted: 1 })]),
    )
    poisons.push(
      Buffer.concat([Buffer.from([0xc1, 0x81, 0xa9]), Buffer.from('__proto__'), encode({ polluted: 1 })]),
    )
    for (const poison of poisons) {
      for (const wrapped of [poison, Buffer.concat([Buffer.from([0x91]), poison])]) {
        const whole = pack({ message_id: 1, v: 3, access_key: rightKey }, 'echo', ['@'])
        await dealer.sendFrames(['', Buffer.concat([whole.subarray(0, -2), wrapped])])
      }
    }
    const odd = ['toString', 'constructor', 'hasOwnProperty', 'valueOf', 'then', 'uuid']
    const names = Object.fromEntries(odd.map((name) => [name, { toString: 1 }]))
    const answer = await callWith(dealer, 'echo', [{ constructor: { prototype: { polluted: 1 } } }], {
      ...names,
      access_key: rightKey,
    })
    expect(answer.args).to.deep.equal([{ constructor: { prototype: { polluted: 1 } } }])
    // Keys that come often become part of code: quoted.
    const records = Array.from({ length: 300 }, () => ({
      '"+(Object.polluted=1)+"': 1,
      "'},polluted=1,{'": 2,
    }))
    for (let time = 0; time < 4; time++) {
      const { args } = await callWith(dealer, 'echo', [records], { access_key: rightKey })
      expect(args).to.deep.equal([records])
    }
    expect(globalThis).not.to.have.property('polluted')
    expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined)
    expect((Object as unknown as Record<string, unknown>)['polluted']).to.equal(undefined)
    expect(core.stats.now.channels).to.equal(0)
  })

  it('T8: what claims more than it brings costs nothing, in a process with 128 MiB', async () => {
    const { endpoint, good } = await startTarget()
    const bad = world.dealer(endpoint)
    for (let call = 0; call < 100; call++) await good.echo(call)
    const before = await good.state()
    const bombs = corpus.filter(({ name }) =>
      /^(an array|\d+ of those|[\d,]+ arrays|64 arrays|a map|a text of|bytes of|an ext of|[\d,]+ levels|4 M empty)/.test(
        name,
      ),
    )
    expect(bombs.length).to.be.above(20)
    for (const { bytes } of bombs) await bad.sendFrames(['', bytes()])
    expect(await good.echo('well')).to.equal('well')
    const after = await good.state()
    expect((after.liveBytes - before.liveBytes) / MiB).to.be.below(8)
    expect((after.rssBytes - before.rssBytes) / MiB).to.be.below(100)
  })

  it('T9: with CURVE, messages of very many frames come from nobody but callers with a key', async () => {
    const [server, caller] = [curveKeyPair(), curveKeyPair()]
    const env = {
      TARGET_CURVE_SECRET_KEY: server.secretKey,
      TARGET_CURVE_ALLOW: JSON.stringify([caller.publicKey]),
    }
    const { port, good } = await startTarget('', env, { curve: { serverKey: server.publicKey, ...caller } })
    for (let call = 0; call < 100; call++) await good.echo(call)
    const before = await good.state()
    // A DEALER without CURVE, one that claims to have it, and one that begins right away; then frames of no bytes.
    const openings = [
      soundConversation[0],
      Buffer.concat([greeting('CURVE', 0), Buffer.alloc(300, 0x5a)]),
      Buffer.from('01000100', 'hex'),
    ]
    const frames = Buffer.from('0100'.repeat(32_768), 'hex')
    const end = performance.now() + 1000
    let connections = 0
    const attack = async (opening: Buffer): Promise<void> => {
      while (performance.now() < end) {
        connections++
        const socket = connect(port, '127.0.0.1')
        const gone = new Promise((resolve) => socket.once('close', resolve))
        socket.on('error', () => undefined).resume()
        socket.write(opening)
        const pump = (): void => {
          if (!socket.destroyed && performance.now() < end && socket.write(frames)) setImmediate(pump)
        }
        socket.on('drain', pump)
        pump()
        await Promise.race([gone, pause(500)])
        socket.destroy()
        await pause(5)
      }
    }
    let slowestMs = 0
    const call = async (): Promise<void> => {
      while (performance.now() < end) {
        const since = performance.now()
        expect(await good.echo('well')).to.equal('well')
        slowestMs = Math.max(slowestMs, performance.now() - since)
        await pause(10)
      }
    }
    await Promise.all([...openings.map(attack), call()])
    const after = await good.state()
    const grownMiB = (after.rssBytes - before.rssBytes) / MiB
    console.log(
      `      T9: ${connections} connections, ${grownMiB.toFixed(1)} MiB, slowest call ${slowestMs.toFixed(0)} ms`,
    )
    expect(connections).to.be.above(20)
    expect(after.dropped).to.deep.equal(before.dropped)
    expect(Object.values(after.refused).reduce((sum, count) => sum + count, 0)).to.be.above(10)
    expect(grownMiB).to.be.below(60)
    expect(slowestMs).to.be.below(10_000)
  })

  it('T10: 400 connections that say nothing, at a limit of 256 files, keep nobody out for long', async () => {
    const { port, good, endpoint } = await startTarget('ulimit -n 256;')
    expect(await good.echo('before')).to.equal('before')
    const silent = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
    world.add(silent, (all) => all.forEach((one) => one.destroy()))
    const started = performance.now()
    // One who is connected already, and one who comes now: the silent ones are cut after 2 s without a handshake.
    expect(await good.echo('connected')).to.equal('connected')
    const { client: late } = await world.client<Target>(endpoint, { timeoutMs: 20_000 })
    expect(await late.echo('late')).to.equal('late')
    const ms = performance.now() - started
    console.log(`      T10: a newcomer was served ${ms.toFixed(0)} ms after 400 silent ones`)
    expect(ms).to.be.below(15_000)
    // Both are counted: that there was no room for them, and that those who had it were thrown out.
    for (const reason of ['not accepted', 'handshake timeout']) {
      while (((await good.state()).refused[reason] ?? 0) === 0) await pause(20)
    }
  })

  it('T11: a flood of calls that never end holds a bounded number of channels, and keeps nobody else out', async () => {
    const service = { hang: () => new Promise(() => undefined), echo: (value: unknown) => value }
    const limits = { poolSize: 3000, queueSize: 0, maxChannelsPerPeer: 500 }
    const { core, endpoint } = await world.serve(service, limits)
    const good = world.dealer(endpoint)
    // It reads nothing: the refusals pile up until it is given up.
    const flood = new Dealer({ linger: 0, receiveHighWaterMark: 1, sendHighWaterMark: 100_000 })
    world.add(flood, (socket) => socket.close())
    flood.connect(endpoint)
    let most = 0
    for (let call = 0; call < 20_000; call++) {
      await flood.send(['', pack({ message_id: call, v: 3 }, 'hang', [])])
      if (call % 500 !== 0) continue
      expect((await good.call('echo', [call])).args).to.deep.equal([call])
      most = Math.max(most, core.stats.now.channels)
    }
    expect(most).to.be.within(500, 501)
    expect(core.stats.limits.maxChannelsPerPeer).to.be.above(1000)
    expect(core.stats.now.running).to.be.at.most(500)
  })

  it('T12: streams whose readers are gone, or never read, end by themselves, and their generators with them', async () => {
    let [started, stopped] = [0, 0]
    const service = {
      async *endless() {
        started++
        try {
          for (let item = 0; ; item++) yield item
        } finally {
          stopped++
        }
      },
    }
    const gone = await world.serve(service, { heartbeat: { intervalMs: 100 } })
    const readers = Array.from({ length: 30 }, () => world.dealer(gone.endpoint))
    for (const reader of readers) for (let stream = 0; stream < 10; stream++) reader.request('endless', [])
    await until(() => readers.every((reader) => itemsOf(reader) === 10))
    for (const reader of readers) reader.close()
    await until(() => gone.core.stats.now.channels === 0)
    // The last of them may still be on its way out of its generator.
    await until(() => stopped >= 300)

    const idle = await world.serve(service, { heartbeat: null, streamIdleTimeoutMs: 200 })
    const dealer = world.dealer(idle.endpoint)
    for (let stream = 0; stream < 50; stream++) dealer.request('endless', [])
    await until(() => idle.core.stats.limits.streamIdleTimeoutMs >= 50)
    await until(() => stopped >= 350)
    expect([started, stopped]).to.deep.equal([350, 350])
    expect(idle.core.stats.now).to.include({ channels: 0, running: 0, timers: 0 })
  })

  it('T13: a credit that is no number of 1 to 10,000 ends its own stream, and nothing is made without credit', async () => {
    let made = 0
    const service = {
      *endless() {
        for (;;) yield made++
      },
      *steady() {
        for (let item = 0; ; item++) yield item
      },
    }
    const { core, endpoint } = await world.serve(service)
    const dealer = world.dealer(endpoint)
    const steady = dealer.request('steady', [])
    const bad = [
      0,
      -1,
      -500,
      1.5,
      Number.NaN,
      Infinity,
      10_001,
      2 ** 53,
      2n ** 64n - 1n,
      '1',
      null,
      [5],
      {},
      true,
    ]
    for (const [index, credit] of bad.entries()) {
      const id = dealer.request('endless', [])
      await until(() => made >= (index + 1) * 2)
      const payload = encode([{ message_id: 1, v: 3, response_to: id }, '_zpc_more', [credit]], {
        useBigInt64: true,
      })
      await dealer.sendFrames(['', Buffer.from(payload)])
      await until(() => core.stats.limits.credit >= index + 1)
    }
    // One item was sent of each and the next one made, which waited in vain.
    expect(made).to.equal(bad.length * 2)
    const items = (): number =>
      dealer.events.filter(({ name, header }) => name === 'STREAM' && header['response_to'] === steady).length
    await dealer.say(steady, '_zpc_more', [10])
    await until(() => items() >= 11)
    await pause(20)
    expect(items()).to.equal(11)
    expect(core.stats.now.channels).to.equal(1)
  })

  it('T14: a connection that knows an id of another cannot touch its call', async () => {
    const { core, endpoint } = await world.serve({
      async *items() {
        for (let item = 1; item <= 5; item++) yield item
      },
    })
    const [owner, thief] = [world.dealer(endpoint), world.dealer(endpoint)]
    const id = owner.request('items', [])
    const items = (): unknown[] =>
      owner.events.filter(({ name }) => name === 'STREAM').map(({ args }) => args)
    await until(() => items().length >= 1)
    const words: [string, unknown][] = [
      ['_zpc_more', [500]],
      ['_zpc_more', [-1]],
      ['_zpc_hb', [0]],
      ['_zask_cancel', null],
      ['STREAM_DONE', null],
    ]
    for (const [name, args] of words) await thief.say(id, name, args, { zask: 1 })
    await until(() => core.stats.wire.dropped['unknown channel'] === words.length)
    expect([items(), thief.seen]).to.deep.equal([[1], []])
    await owner.say(id, '_zpc_more', [10])
    await until(() => items().length >= 5)
    expect(items()).to.deep.equal([1, 2, 3, 4, 5])
  })

  it('T15: an identity gives no right: who takes that of another takes nothing', async () => {
    const { endpoint } = await serveGuarded(world)
    const victim = world.dealer(endpoint, { routingId: 'somebody' })
    expect((await callWith(victim, 'hello', [], { access_key: rightKey })).args).to.deep.equal(['world'])
    const thief = world.dealer(endpoint, { routingId: 'somebody' })
    const id = victim.request('echo', ['mine'], { access_key: rightKey })
    void thief.send({ message_id: id, v: 3 }, 'echo', ['stolen'])
    await pause(100)
    expect((await callWith(victim, 'hello', [], { access_key: rightKey })).args).to.deep.equal(['world'])
    expect(thief.seen).to.deep.equal([])
    for (const routingId of ['x'.repeat(255), '5:abcde', '\u0100']) {
      const odd = world.dealer(endpoint, { routingId })
      expect(errorOf(await callWith(odd, 'hello', [], {}))[0]).to.equal('NoSuchAccessKeyException')
    }
  })

  it('T16: bytes that are no ZeroMQ are dropped and counted', async () => {
    const { core, endpoint } = await world.serve(new Guarded(), { handshakeTimeoutMs: 100 })
    const port = Number(endpoint.split(':').at(-1))
    const junk = ['01000100', 'ff00000000000000017f0105', ''].map((start) =>
      Buffer.concat([Buffer.from(start, 'hex'), Buffer.alloc(300, 0x5a)]),
    )
    const open = junk.map((bytes) => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined)
      socket.write(bytes)
      return world.add(socket, (one) => one.destroy())
    })
    expect(open).to.have.length(3)
    // Two are taken for ZeroMQ of the first version, and their messages are read; the other begins like a newer one.
    await until(() => Object.keys(core.stats.wire.dropped).length > 0)
    await until(() => (core.stats.wire.refused['malformed handshake'] ?? 0) > 0)
    expect((await world.dealer(endpoint).call('hello', [])).args).to.deep.equal(['world'])
    // With CURVE they are not even let in.
    const keys = curveKeyPair()
    const sealed = await world.serve(new Guarded(), {
      handshakeTimeoutMs: 100,
      curve: { secretKey: keys.secretKey, allow: 'any' },
    })
    await Promise.all(
      junk.slice(0, 2).map(async (bytes) => {
        const socket = connect(Number(sealed.endpoint.split(':').at(-1)), '127.0.0.1').on(
          'error',
          () => undefined,
        )
        world.add(socket, (one) => one.destroy())
        const closed = new Promise((resolve) => socket.on('close', resolve))
        socket.resume().write(bytes)
        await closed
      }),
    )
    expect(sealed.core.stats.wire).to.include({ eventsIn: 0 })
    expect(sealed.core.stats.wire.dropped).to.deep.equal({})
    await until(() => sealed.core.stats.wire.refused['malformed handshake'] === 2)
  })

  it('T17: errors tell what happened, and nothing of the machine they happened on', async () => {
    const kinds: (() => unknown)[] = [
      () => null!['x' as never],
      () => JSON.parse('{'),
      () => readFileSync(join(repository, 'package.json')).toString('nonsense' as never),
      () => decodeURIComponent('%'),
      () => Reflect.construct(Array, [-1]),
      () => Promise.reject(new RangeError('out of range')),
    ]
    for (const thrown of ['text', 5, null, undefined, Symbol('s'), {}, [], new Proxy({}, {}), new Error('')])
      kinds.push(() => {
        throw thrown
      })
    const { endpoint } = await world.serve({
      fail: (kind: number) => kinds[kind]?.(),
      odd: () => Symbol('s'),
    })
    const dealer = world.dealer(endpoint)
    const answers = []
    for (const kind of kinds.keys()) answers.push(await callWith(dealer, 'fail', [kind], {}))
    const bad: [string, unknown][] = [
      ['nope', []],
      ['odd', []],
      ['fail', null],
      ['fail', 'x'],
      ['_zerorpc_help', []],
    ]
    for (const [method, args] of bad) answers.push(await callWith(dealer, method, args, {}))
    expect(answers.length).to.be.above(18)
    for (const answer of answers) {
      if (answer.name === 'OK') continue
      const [, message, traceback] = errorOf(answer)
      expect(traceback).to.equal('')
      expect(message + JSON.stringify(answer.header)).not.to.match(
        /file:|node:internal|\.ts\b|\n\s+at |0x[0-9a-f]{6}/,
      )
    }
  })

  it('T18: what a service can do is told to those alone who may call it', async () => {
    const { dealer } = await serveGuarded(world)
    const builtIns = ['_zerorpc_inspect', '_zerorpc_list', '_zerorpc_help', '_zerorpc_args', '_zerorpc_name']
    for (const method of [...builtIns, '_zerorpc_ping', '_zask_stats']) {
      expect(errorOf(await callWith(dealer, method, [], {}))[0], method).to.equal('NoSuchAccessKeyException')
    }
    expect((await callWith(dealer, '_zerorpc_list', [], { access_key: rightKey })).name).to.equal('OK')
    // Where that is too much, it is told to nobody; who has the key may still ask whether the service lives.
    const { dealer: closed } = await serveGuarded(world, [headers()], { introspection: false })
    for (const method of [...builtIns, '_zask_stats']) {
      expect(errorOf(await callWith(closed, method, [], {}))[0], method).to.equal('NoSuchAccessKeyException')
      const answer = errorOf(await callWith(closed, method, [], { access_key: rightKey }))
      expect(answer).to.deep.equal(['NameError', method, ''])
    }
    const alive = await callWith(closed, '_zerorpc_ping', [], { access_key: rightKey })
    expect(alive.args).to.deep.equal([['pong', 'guarded']])
  })

  it('T19: no value from the wire breaks a line of the access log', async () => {
    const folder = world.add(scratchFolder(), (one) => one.remove())
    const evil = [
      '\n',
      '\r\nOK',
      '\0',
      '\u001b[31m',
      '"',
      '\\',
      ' - ',
      '\u2028',
      '\u0085',
      'é',
      '\u202e',
      '" - OK - 1ms\n',
    ]
    const values = [...evil, 'x'.repeat(1_000_000), '🦄'.repeat(200)]
    let calls = 0
    for (const format of ['classic', 'combined', 'json'] as const) {
      const own = new World()
      const config = {
        ZERORPC_ACCESS_LOG: join(folder.path, format),
        ZERORPC_GUARDED: { '1.0': 'tcp://127.0.0.1:*' },
      }
      const plugins = [headers(), requestChain(), accessLog({ format })] as readonly Plugin[]
      const { dealer } = await serveGuarded(own, plugins, { config })
      for (const value of values) {
        const header = { access_key: value, uuid: value, started_at: value, service_name: value }
        await callWith(dealer, value, [], header)
        await callWith(dealer, 'hello', [], header)
      }
      calls = values.length * 2
      await own.close()
      const lines = readFileSync(join(folder.path, format), 'utf8').split('\n').slice(0, -1)
      expect(lines, format).to.have.length(calls)
      for (const line of lines) {
        expect(line).to.match(/^[ -~]{10,6000}$/)
        if (format === 'json') expect(JSON.parse(line)).to.include({ class: 'Guarded' })
        if (format === 'classic')
          expect(line).to.match(/^\S+ - \[[^\]]+\] - "Guarded" - "[^"]*" - (OK|ERROR) - \d+ms$/)
      }
    }
  })

  it('T20: text that is not UTF-8 is refused, and none is sent', async () => {
    const { endpoint } = await world.serve(new Guarded())
    const dealer = world.dealer(endpoint)
    const broken = ['fffe', 'c0af', 'e282', 'eda080', 'f4908080'].map((hex) => Buffer.from(hex, 'hex'))
    for (const [index, bytes] of broken.entries()) {
      const head = pack({ message_id: `broken-${index}`, v: 3 }, 'echo', ['']).subarray(0, -1)
      await dealer.sendFrames(['', Buffer.concat([head, Buffer.from([0xa0 | bytes.length]), bytes])])
      await until(() => dealer.seen.length > index)
      expect(errorOf(dealer.events[index] as RawEvent)[0]).to.equal('TypeError')
    }
    const { router, endpoint: away } = await world.router()
    const { client } = await world.client(away)
    const call = client.$call('echo', ['\ud800', { '\udfff': 'x'.repeat(300) + '\ud800' }])
    const request = await router.next()
    expect(request.events[0]?.args).to.deep.equal(['\ufffd', { '\ufffd': `${'x'.repeat(300)}\ufffd` }])
    expect(isUtf8(Buffer.from(JSON.stringify(request.events[0]?.args)))).to.equal(true)
    await router.reply(request, 'OK', [1])
    await call
  })

  it('T21: a number is kept as it is, or refused', async () => {
    const { endpoint } = await world.serve(new Guarded())
    const { client } = await world.client<Guarded>(endpoint)
    const kept = [
      0,
      1.5,
      2 ** 53 - 1,
      -(2 ** 53) + 1,
      2n ** 53n,
      2n ** 64n - 1n,
      -(2n ** 63n),
      5e-324,
      Infinity,
    ]
    for (const value of kept) expect(Object.is(await client.echo(value), value), String(value)).to.equal(true)
    expect(Object.is(await client.echo(Number.NaN), Number.NaN)).to.equal(true)
    for (const value of [2n ** 64n, -(2n ** 63n) - 1n, 10n ** 40n]) {
      const error = await client.echo(value).catch((thrown: ZaskError) => thrown)
      expect(error, String(value)).to.include({ code: 'ZASK_WIRE_NOT_ENCODABLE', sent: false })
    }
  })

  it('T22: with CURVE nobody on the way reads or replays a call, where plain ones show all there is', async () => {
    const [server, caller] = [curveKeyPair(), curveKeyPair()]
    const service = new Guarded()
    const plain = await world.serve(service)
    const sealed = await world.serve(service, {
      curve: { secretKey: server.secretKey, allow: [caller.publicKey] },
    })
    await using open = await ListeningProxy.open(plain.endpoint)
    await using closed = await ListeningProxy.open(sealed.endpoint)
    const access = { headers: { access_key: 'key-of-a-caller' } }
    const { client } = await world.client<Guarded>(open.endpoint, access)
    const curve = { serverKey: server.publicKey, ...caller }
    const { client: safe } = await world.client<Guarded>(closed.endpoint, { ...access, curve })
    expect([await client.hello(), await safe.hello()]).to.deep.equal(['world', 'world'])
    for (const word of ['hello', 'world', 'access_key', 'key-of-a-caller']) {
      expect(open.bytes.includes(word), `${word} in plain`).to.equal(true)
      expect(closed.bytes.includes(word), `${word} encrypted`).to.equal(false)
    }
    expect(closed.bytes.length).to.be.above(500)
    const runs = service.runs
    const again = connect(Number(sealed.endpoint.split(':').at(-1)), '127.0.0.1')
    const gone = new Promise((resolve) => again.on('close', resolve))
    again.on('error', () => undefined).resume()
    for (const bytes of closed.sent.slice()) {
      again.write(bytes)
      await pause(20)
    }
    await gone
    await until(() => Object.keys(sealed.core.stats.wire.refused).length > 0)
    expect(service.runs).to.equal(runs)
  })

  it('T23: a CURVE server lets no message through but of the callers it was told to let in', async () => {
    const [server, known, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()]
    const service = new Guarded()
    const silent = await failure(world.serve(service, { curve: { secretKey: server.secretKey } }))
    expect(silent).to.include({ code: 'ZASK_CURVE_INCOMPLETE' })
    const { core, endpoint } = await world.serve(service, {
      curve: { secretKey: server.secretKey, allow: [known.publicKey] },
    })
    const logged: string[] = []
    core.setLogger(createLogger({ write: (line) => void logged.push(line) }))
    const curved = (serverKey: string, pair: typeof known): SocketOptions<Dealer> => ({
      curveServerKey: serverKey,
      curvePublicKey: pair.publicKey,
      curveSecretKey: pair.secretKey,
    })
    const peers = [
      {},
      { plainUsername: 'somebody', plainPassword: 'something' },
      curved(stranger.publicKey, known),
      curved(server.publicKey, stranger),
    ].map((options) => world.dealer(endpoint, { sendTimeout: 0, ...options }))
    for (const peer of peers)
      await peer.sendFrames(['', pack({ message_id: 'x', v: 3 }, 'hello', [])]).catch(() => undefined)
    await until(() => {
      const { refused } = core.stats.wire
      // Of two that do not want the same, the one that notices first hangs up.
      const others = (refused['other mechanism'] ?? 0) + (refused['unfinished handshake'] ?? 0)
      return 'unknown key' in refused && 'wrong server key' in refused && others >= 2
    })
    expect(core.stats.wire.eventsIn).to.equal(0)
    expect(logged.join()).to.contain(stranger.publicKey)
    const good = world.dealer(endpoint, curved(server.publicKey, known))
    expect((await good.call('hello', [])).args).to.deep.equal(['world'])
    expect(service.runs).to.equal(1)
    expect(peers.flatMap((peer) => peer.seen)).to.deep.equal([])
  })

  it('T24: a server can give its client a value or an error, and no more than that', async () => {
    const { router, endpoint } = await world.router()
    const { client, core } = await world.client(endpoint)
    const lies: unknown[][] = [
      ['TypeError', 'x'.repeat(1_000_000), 'y'.repeat(1_000_000)],
      [{ a: 1 }, ['b'], 5],
      ['ZaskError', '__proto__', ''],
    ]
    for (const lie of lies) {
      const call = client.$call('method', []).catch((thrown: unknown) => thrown)
      const request = await router.next()
      await router.reply(
        { ...request, events: [{ header: { message_id: 'nobody' }, name: '', args: [] }] },
        'OK',
        [1],
      )
      await router.reply(request, 'ERR', lie, {
        code: '__proto__',
        details: { toString: 1 },
        retryable: 'yes',
      })
      const error = (await call) as RemoteError
      expect(error).to.be.instanceOf(RemoteError)
      expect(error).to.include({ name: 'RemoteError', code: 'ZASK_REMOTE', retryable: false })
      expect(error.message.length).to.be.at.most(16_384)
      expect(error.remoteTraceback.length).to.be.at.most(65_536)
    }
    for (const { bytes } of corpus.filter(({ name }) => name.endsWith(', as args')).slice(0, 12)) {
      const call = client.$call('method', [], { timeoutMs: 20_000 }).catch((thrown: unknown) => thrown)
      const request = await router.next()
      await router.replyRaw(request, bytes())
      const body = bytes().subarray(bytes().indexOf('echo') + 4)
      const head = pack(
        { message_id: 1, v: 3, response_to: request.events[0]?.header['message_id'] },
        'OK',
        [],
      )
      await router.replyRaw(request, Buffer.concat([head.subarray(0, -1), body]))
      expect(await call).to.include({ code: 'ZASK_WIRE_MALFORMED' })
    }
    expect(core.stats.now).to.include({ channels: 0, calling: 0 })
    expect(core.stats.wire.dropped['unknown channel']).to.equal(lies.length)
  })

  it('T25: a log is written to a regular file that was meant, for the eyes of its group', async () => {
    const folder = world.add(scratchFolder(), (one) => one.remove())
    const at = (name: string): string => join(folder.path, name)
    writeFileSync(at('victim'), 'as it was')
    symlinkSync(at('victim'), at('link'))
    symlinkSync(at('nowhere'), at('dangling'))
    mkfifo(at('fifo'))
    for (const path of ['link', 'dangling', 'fifo', '.']) {
      const own = new World()
      const config = { ZERORPC_ACCESS_LOG: at(path) }
      const error = await serveGuarded(own, [accessLog()], { config }).catch((thrown: ZaskError) => thrown)
      await own.close()
      expect((error as ZaskError).cause, path).to.include({ code: 'ZASK_LOG_FILE_REFUSED' })
    }
    expect([readFileSync(at('victim'), 'utf8'), existsSync(at('nowhere'))]).to.deep.equal([
      'as it was',
      false,
    ])
    const full = accessLog({ device: true })
    const { dealer } = await serveGuarded(world, [full], { config: { ZERORPC_ACCESS_LOG: '/dev/full' } })
    expect((await callWith(dealer, 'hello', [], {})).name).to.equal('OK')
    await until(() => full.lost > 0)
    await serveGuarded(world, [accessLog()], { config: { ZERORPC_ACCESS_LOG: at('log') } })
    expect(statSync(at('log')).mode & 0o777).to.equal(0o640)
  })

  it('are in docs/security.md, each by the name of its test', function () {
    const page = readFileSync(join(repository, 'docs/security.md'), 'utf8')
    const named = [...page.matchAll(/\| (T\d+: [^|]+) \|$/gm)].map((match) => match[1])
    const titles = (this.test?.parent?.tests ?? [])
      .map(({ title }) => title)
      .filter((title) => /^T\d/.test(title))
    expect(named).to.have.members(titles)
    expect(titles.length).to.be.above(20)
  })
})

function errorOf({ name, args }: RawEvent): [name: string, message: string, traceback: string] {
  expect(name).to.equal('ERR')
  return args as [string, string, string]
}

function itemsOf({ events }: RawDealer): number {
  return events.filter(({ name }) => name === 'STREAM').length
}
