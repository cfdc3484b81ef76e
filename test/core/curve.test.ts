import { expect } from 'chai'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  type Core,
  type CurveClientOptions,
  type CurveKeyPair,
  curveKeyPair,
  type StartOptions,
} from '../../core/index.ts'
import { endpoints } from '../../plugins/endpoints.ts'
import { Cores, failure, until } from '../support/cores.ts'

interface Echo {
  echo(value: string): string
  count(to: number): Generator<number>
  fail(): never
}

class Service {
  static readonly service: string = 'curved'
  static readonly version = '1.0'
  calls = 0

  echo(value: string): string {
    this.calls++
    return value
  }

  *count(to: number): Generator<number> {
    for (let n = 1; n <= to; n++) yield n
  }

  fail(): never {
    throw new RangeError('on purpose')
  }
}

describe('encryption', () => {
  const cores = new Cores()
  const [server, known, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()]
  let service: Service
  beforeEach(() => (service = new Service()))
  afterEach(() => cores.close())

  function serve(options: StartOptions = {}): Promise<{ core: Core; endpoint: string }> {
    const curve = { secretKey: server.secretKey, allow: [known.publicKey] }
    return cores.serve(service, { curve, ...options })
  }

  const call = async (endpoint: string, pair?: Partial<CurveKeyPair>, serverKey = server.publicKey) => {
    const { client } = await cores.client<Echo>(endpoint, { curve: { serverKey, ...pair } })
    return client
  }

  it('carries calls, streams and errors of a caller whose key is listed', async () => {
    const { core, endpoint } = await serve()
    const client = await call(endpoint, { secretKey: known.secretKey })
    expect(await client.echo('hello')).to.equal('hello')
    const items: number[] = []
    for await (const item of client.count(500)) items.push(item)
    expect(items).to.deep.equal(Array.from({ length: 500 }, (_, index) => index + 1))
    expect(await failure(client.fail())).to.include({ remoteName: 'RangeError', message: 'on purpose' })
    expect(core.stats.wire.refused).to.deep.equal({})
  })

  it("lets in everybody who knows the server's public key where 'any' is written", async () => {
    const { endpoint } = await serve({ curve: { secretKey: server.secretKey, allow: 'any' } })
    for (const pair of [{}, stranger]) expect(await (await call(endpoint, pair)).echo('x')).to.equal('x')
  })

  it('tells a caller whose key is not listed, and the log whose it was', async () => {
    const { core, endpoint } = await serve()
    const client = await call(endpoint, stranger)
    const error = await failure(client.echo('x'))
    expect(error).to.include({ code: 'ZASK_PEER_REFUSED', sent: false, retryable: false })
    expect(error.message).to.contain(endpoint).and.contain(stranger.publicKey)
    expect(core.stats.wire.refused['unknown key']).to.be.at.least(1)
    expect(cores.logged.join()).to.contain(stranger.publicKey).and.contain('127.0.0.1')
    expect(service.calls).to.equal(0)
  })

  it('tells a caller without a key pair of its own to make one', async () => {
    const { endpoint } = await serve()
    const error = await failure((await call(endpoint)).echo('x'))
    expect(error).to.include({ code: 'ZASK_PEER_REFUSED', sent: false })
    expect(error.message).to.contain('zask keygen')
  })

  it('tells a caller that has the wrong key of the server', async () => {
    const { core, endpoint } = await serve()
    const error = await failure((await call(endpoint, known, stranger.publicKey)).echo('x'))
    expect(error).to.include({ code: 'ZASK_PEER_REFUSED', sent: false })
    expect(error.message).to.contain('the server key given here is not that of the server')
    await until(() => (core.stats.wire.refused['wrong server key'] ?? 0) >= 2)
    expect(core.stats.wire.eventsIn).to.equal(0)
  })

  it('tells a caller without keys what it needs', async () => {
    const { core, endpoint } = await serve()
    const { client } = await cores.client<Echo>(endpoint)
    const error = await failure(client.echo('x'))
    expect(error).to.include({ code: 'ZASK_PEER_REFUSED', sent: false })
    expect(error.message).to.contain('encrypted connections only').and.contain('serverKey')
    // The end that notices first hangs up; then the other one has but a handshake that was cut.
    const reasons = ['other mechanism', 'unfinished handshake']
    await until(() => reasons.some((reason) => reason in core.stats.wire.refused))
    expect(core.stats.wire.eventsIn).to.equal(0)
  })

  it('tells a caller with keys that the server does not encrypt', async () => {
    const { endpoint } = await cores.serve(service)
    const error = await failure((await call(endpoint, known)).echo('x'))
    expect(error).to.include({ code: 'ZASK_PEER_REFUSED', sent: false })
    expect(error.message).to.contain('does not encrypt')
  })

  it('ends calls at once while the server goes on refusing, and carries them once it does not', async () => {
    const allow = new Set<string>()
    const { endpoint } = await serve({ curve: { secretKey: server.secretKey, allow } })
    const client = await call(endpoint, known)
    expect((await failure(client.echo('1'))).code).to.equal('ZASK_PEER_REFUSED')
    const since = performance.now()
    expect((await failure(client.echo('2'))).code).to.equal('ZASK_PEER_REFUSED')
    expect(performance.now() - since).to.be.below(400)
    allow.add(known.publicKey)
    await until(() => client.$endpoints[0]?.up === true)
    expect(await client.echo('3')).to.equal('3')
  })

  it('goes to another endpoint where one refuses', async () => {
    const { endpoint } = await serve()
    const { endpoint: refusing } = await serve({ curve: { secretKey: server.secretKey, allow: [] } })
    const { client } = await cores.client<Echo>([refusing, endpoint], {
      curve: { serverKey: server.publicKey, ...known },
    })
    await Promise.all(Array.from({ length: 20 }, async () => expect(await client.echo('x')).to.equal('x')))
  })

  it('keeps the lists of several servers apart, whichever stops first', async () => {
    const first = await serve()
    const second = await serve({ curve: { secretKey: server.secretKey, allow: [stranger.publicKey] } })
    expect(await (await call(first.endpoint, known)).echo('1')).to.equal('1')
    expect(await (await call(second.endpoint, stranger)).echo('2')).to.equal('2')
    expect((await failure((await call(first.endpoint, stranger)).echo('x'))).code).to.equal(
      'ZASK_PEER_REFUSED',
    )
    expect((await failure((await call(second.endpoint, known)).echo('x'))).code).to.equal('ZASK_PEER_REFUSED')
    await first.core.stop()
    expect(await (await call(second.endpoint, stranger)).echo('3')).to.equal('3')
    await second.core.stop()
    const third = await serve()
    expect(await (await call(third.endpoint, known)).echo('4')).to.equal('4')
  })

  it('is refused where it would be the end of the process: for servers that connect out, and bound clients', async () => {
    const keys = { serverKey: server.publicKey, ...known }
    const bound = await failure(cores.client('tcp://127.0.0.1:*', { bind: true, curve: keys }))
    expect(bound).to.include({ code: 'ZASK_OPTION_INVALID' })
    const curve = { secretKey: server.secretKey, allow: [known.publicKey] }
    const out = await failure(
      cores.make().start(service, { connect: 'tcp://127.0.0.1:9', curve, signals: false }),
    )
    expect(out).to.include({ code: 'ZASK_OPTION_INVALID' })
    expect(out.message).to.contain('tcp://127.0.0.1:9').and.contain("allow: 'plaintext'")
  })

  it('leaves inproc as it is: nobody else is in the process', async () => {
    const { endpoint } = await serve({ bind: 'inproc://curve-inside' })
    expect(await (await call(endpoint)).echo('x')).to.equal('x')
  })

  async function start(config: object, curve?: StartOptions['curve']): Promise<string> {
    const core = cores.make([endpoints()])
    core.config.fromObject(config)
    const { endpoints: bound } = await core.start(service, {
      ...(Object.keys(config).some((key) => key.startsWith('ZERORPC')) ? {} : { bind: 'tcp://127.0.0.1:*' }),
      signals: false,
      ...(curve === undefined ? {} : { curve }),
    })
    return bound[0] as string
  }

  describe('by options and config', () => {
    const settings = { CURVE_SECRET_KEY: server.secretKey, CURVE_ALLOW: [known.publicKey] }

    it('takes both halves from the config', async () => {
      const endpoint = await start(settings)
      expect(await (await call(endpoint, known)).echo('x')).to.equal('x')
    })

    it('takes one half from the options', async () => {
      const endpoint = await start({ CURVE_SECRET_KEY: server.secretKey }, { allow: [known.publicKey] })
      expect(await (await call(endpoint, known)).echo('x')).to.equal('x')
    })

    it('follows the config at the next handshake', async () => {
      const core = cores.make()
      core.config.fromObject(settings)
      const { endpoints: bound } = await core.start(service, { bind: 'tcp://127.0.0.1:*', signals: false })
      const endpoint = bound[0] as string
      core.config.set('CURVE_ALLOW', [stranger.publicKey])
      expect(await (await call(endpoint, stranger)).echo('x')).to.equal('x')
      expect((await failure((await call(endpoint, known)).echo('x'))).code).to.equal('ZASK_PEER_REFUSED')
      core.config.set('CURVE_ALLOW', 'any')
      expect(await (await call(endpoint)).echo('x')).to.equal('x')
    })

    it('finds the keys of a service where its endpoints are', async () => {
      const place = `ipc://${join(tmpdir(), `zask-curve-${process.pid}.sock`)}`
      const directory = {
        '1.0': place,
        default: '1.0',
        curve_server_key: server.publicKey,
        curve_allow: [known.publicKey],
      }
      await start({ CURVE_SECRET_KEY: server.secretKey, ZERORPC_CURVED: directory })
      const caller = cores.make([endpoints()])
      caller.config.fromObject({ CURVE_SECRET_KEY: known.secretKey, ZERORPC_CURVED: directory })
      expect(await (await caller.client<Echo>('curved')).echo('x')).to.equal('x')
      const other = cores.make([endpoints()])
      other.config.fromObject({ CURVE_SECRET_KEY: stranger.secretKey, ZERORPC_CURVED: directory })
      const error = await failure((await other.client<Echo>('curved')).echo('x'))
      expect(error).to.include({ code: 'ZASK_PEER_REFUSED' })
    })

    it("serves without encryption where 'plaintext' is written, although there is a key", async () => {
      const endpoint = await start({ CURVE_SECRET_KEY: server.secretKey, CURVE_ALLOW: 'plaintext' })
      const { client } = await cores.client<Echo>(endpoint)
      expect(await client.echo('x')).to.equal('x')
    })

    const bad: [string, object, StartOptions['curve'], string, string][] = [
      ['a key and nobody to allow', { CURVE_SECRET_KEY: server.secretKey }, undefined, 'INCOMPLETE', "'any'"],
      ['an empty option', {}, {}, 'INCOMPLETE', "'any'"],
      ['callers and no key', { CURVE_ALLOW: 'any' }, undefined, 'INCOMPLETE', 'zask keygen'],
      ['callers without a key', {}, { allow: [known.publicKey] }, 'INCOMPLETE', 'CURVE_SECRET_KEY'],
      ['a short key', {}, { secretKey: 'abc', allow: 'any' }, 'KEY_INVALID', 'curve.secretKey'],
      [
        'a caller that is no key',
        {},
        { secretKey: server.secretKey, allow: [known.publicKey, 'abc'] },
        'KEY_INVALID',
        'curve.allow[1]',
      ],
      [
        'its secret key among the callers',
        {},
        { secretKey: server.secretKey, allow: new Set([server.secretKey]) },
        'KEY_INVALID',
        'secret key in it',
      ],
      [
        'a public key of another pair in the config',
        { ...settings, CURVE_PUBLIC_KEY: known.publicKey },
        undefined,
        'KEY_INVALID',
        'CURVE_PUBLIC_KEY does not belong',
      ],
      [
        'swapped keys in the config',
        { ...settings, CURVE_PUBLIC_KEY: server.secretKey, CURVE_SECRET_KEY: server.publicKey },
        undefined,
        'KEY_INVALID',
        'swapped',
      ],
    ]
    for (const [what, config, curve, code, says] of bad) {
      it(`does not start with ${what}`, async () => {
        const error = await failure(start(config, curve))
        expect(error.code).to.equal(`ZASK_CURVE_${code}`)
        expect(error.message).to.contain(says)
        for (const secret of [server.secretKey, known.secretKey]) expect(error.message).not.to.contain(secret)
      })
    }

    it('names a config key that holds no key, without showing it', async () => {
      const almost = server.secretKey.slice(1)
      const error = await failure(start({ CURVE_SECRET_KEY: almost, CURVE_ALLOW: 'everybody' }))
      expect(error.code).to.equal('ZASK_CONFIG_VALUE_INVALID')
      expect(error.message).to.contain('CURVE_SECRET_KEY').and.contain('CURVE_ALLOW').and.not.contain(almost)
    })

    it('refuses options that are misspelt, or of no kind', async () => {
      const misspelt = { secretkey: server.secretKey, allow: 'any' } as never
      expect((await failure(start({}, misspelt))).message).to.contain("Did you mean 'secretKey'?")
      const kind = { secretKey: server.secretKey, allow: 'everybody' } as never
      const error = await failure(start({}, kind))
      expect(error).to.include({ code: 'ZASK_CURVE_KEY_INVALID' })
      expect(error.message).to.contain("'any' or 'plaintext'")
    })

    const badClients: [string, CurveClientOptions, string, string][] = [
      ['without the key of the server', {}, 'INCOMPLETE', 'curve.serverKey'],
      ['with a server key that is none', { serverKey: 'abc' }, 'KEY_INVALID', 'curve.serverKey'],
      [
        'with its own secret key for that of the server',
        { serverKey: known.secretKey, secretKey: known.secretKey },
        'KEY_INVALID',
        'own secret key',
      ],
      [
        'with keys that are swapped',
        { serverKey: server.publicKey, publicKey: known.secretKey, secretKey: known.publicKey },
        'KEY_INVALID',
        'swapped',
      ],
      [
        'with keys of two pairs',
        { serverKey: server.publicKey, publicKey: stranger.publicKey, secretKey: known.secretKey },
        'KEY_INVALID',
        'does not belong',
      ],
      [
        'with half a pair',
        { serverKey: server.publicKey, publicKey: known.publicKey },
        'INCOMPLETE',
        'secretKey',
      ],
    ]
    for (const [what, curve, code, says] of badClients) {
      it(`makes no client ${what}`, async () => {
        const error = await failure(cores.client('tcp://127.0.0.1:9', { curve }))
        expect(error.code).to.equal(`ZASK_CURVE_${code}`)
        expect(error.message).to.contain(says).and.not.contain(known.secretKey)
      })
    }

    it('masks the secret key wherever the config is shown, and shows the public one', () => {
      const core = cores.make()
      core.config.fromObject({ ...settings, CURVE_PUBLIC_KEY: server.publicKey })
      const shown = inspect([core.config, core.config.explain()])
      expect(shown).not.to.contain(server.secretKey)
      expect(shown).to.contain(server.publicKey).and.contain(known.publicKey)
    })

    it('refuses two services that share an endpoint and not their callers', async () => {
      class Other {
        static readonly service = 'other'
        static readonly version = '1.0'
        ping(): void {}
      }
      const place = 'tcp://127.0.0.1:28461'
      const core = cores.make([endpoints()])
      core.config.fromObject({
        CURVE_SECRET_KEY: server.secretKey,
        ZERORPC_CURVED: { '1.0': place, curve_allow: [known.publicKey] },
        ZERORPC_OTHER: { '1.0': place, curve_allow: 'any' },
      })
      const error = await failure(core.start([service, new Other()], { signals: false }))
      expect(error).to.include({ code: 'ZASK_CURVE_INCOMPLETE' })
      expect(error.message).to.contain(place).and.contain('curved').and.contain('other')
    })

    it('takes lists of the same callers in another order for the same', async () => {
      class Other extends Service {
        static override readonly service = 'other'
      }
      const keys = [known.publicKey, stranger.publicKey]
      const place = 'inproc://curved-shared'
      const core = cores.make([endpoints()])
      core.config.fromObject({
        CURVE_SECRET_KEY: server.secretKey,
        ZERORPC_CURVED: { '1.0': place, curve_allow: keys },
        ZERORPC_OTHER: { '1.0': place, curve_allow: keys.toReversed() },
      })
      const started = await core.start([service, new Other()], { signals: false })
      expect(started.endpoints).to.deep.equal([place])
    })
  })
})
