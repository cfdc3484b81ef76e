import { expect } from 'chai'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCore, type RemoteError } from 'zask'
import { defaults } from 'zask/plugins'
import { endpoints } from 'zask/plugins/endpoints'
import { headers } from 'zask/plugins/headers'
import { requestChain } from 'zask/plugins/request-chain'
import { outputOf, startModule } from './log-file/support.ts'

async function remoteFailure(
  call: PromiseLike<unknown>,
): Promise<Pick<RemoteError, 'remoteName' | 'message'>> {
  try {
    await call
  } catch (error) {
    const { remoteName, message } = error as RemoteError
    return { remoteName, message }
  }
  throw new Error('the call was not refused')
}

const setting = (key: string): string =>
  `ZERORPC_SOME_SERVICE = {'1.0': 'inproc://seed', 'access_key': '${key}'}\n`

/** The examples and promises of the original's documentation, one test each, under its headings. */
describe("the seed's pages", () => {
  class MySrv {
    static readonly service = 'some_service'
    static readonly version = '1.0'
    foo(): string {
      return 'bar'
    }
    hello(name = 'world'): string {
      return name
    }
  }

  class MySrv2 extends MySrv {
    static override readonly version = '2.0' as never
    override hello(): string {
      return 'world of 2.0'
    }
  }

  const signals = false
  const config = { DEBUG: false, ERROR_LOG: join(tmpdir(), `zask-seed-${process.pid}.error.log`) }

  after(() => rm(config.ERROR_LOG, { force: true }))

  it('quickstart: a class, a config, a server, a client that prints', async () => {
    await using core = createCore({
      plugins: [endpoints(), headers(), requestChain()],
      config: { ZERORPC_SOME_SERVICE: { '1.0': 'tcp://127.0.0.1:*', access_key: null } },
    })
    const { endpoints: bound } = await core.start(new MySrv(), { signals })
    const client = await core.client<MySrv>(bound)
    expect(await client.foo()).to.equal('bar')
  })

  for (const [mode, debug] of [
    ['debug mode: both loggers write to standard output, and no file is made', true],
    [
      'both loggers: in production errors and calls go each to a file of their own, and nothing to standard output',
      false,
    ],
  ] as const) {
    it(mode, async () => {
      const root = await mkdtemp(join(tmpdir(), 'zask-seed-'))
      try {
        const settings = { ZERORPC_ACCESS_LOG: 'access.log', ERROR_LOG: 'error.log' }
        // Debug is what nobody has to ask for.
        const loaded = debug ? settings : { ...settings, DEBUG: false }
        const module = new URL('seed/loggers.ts', import.meta.url)
        const printed = await outputOf(startModule(module, root, JSON.stringify(loaded)))
        const inFiles = async (name: string): Promise<string> =>
          debug ? printed : await readFile(join(root, name), 'utf8')
        expect((await readdir(root)).toSorted()).to.deep.equal(debug ? [] : ['access.log', 'error.log'])
        expect(await inFiles('access.log')).to.match(/^None - \[.+\] - "MySrv" - "foo" - OK - \d+ms$/m)
        expect(await inFiles('error.log')).to.include('said by the service')
        if (!debug) expect(printed).to.equal('')
      } finally {
        await rm(root, { recursive: true })
      }
    })
  }

  it('endpoint middleware: a client is made of the service name and a version', async () => {
    await using core = createCore({
      plugins: [endpoints()],
      config: { ZERORPC_SOME_SERVICE: { '1.0': 'inproc://seed-endpoint' } },
    })
    await core.start(new MySrv(), { signals })
    const client = await core.client<MySrv>('some_service', { version: '1.0' })
    expect(await client.hello()).to.equal('world')
  })

  it('default version: a client without one takes that of the config', async () => {
    await using core = createCore({
      plugins: [endpoints()],
      config: {
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-v1',
          '2.0': ['inproc://seed-v2-a', 'inproc://seed-v2-b'],
          default: '2.0',
        },
      },
    })
    await core.start([new MySrv(), new MySrv2()], { signals })
    const client = await core.client<MySrv>('some_service')
    expect(await client.hello()).to.equal('world of 2.0')
    expect(client.$endpoints).to.have.length(2)
    const old = await core.client<MySrv>('some_service', { version: '1.0' })
    expect(await old.hello()).to.equal('world')
  })

  it('custom headers: client keys and access key are read from the config, and the call is let in', async () => {
    await using core = createCore({
      plugins: [endpoints(), headers()],
      config: {
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-headers',
          client_keys: ['foo_client_key', 'bar_client_key'],
          access_key: 'foo_client_key',
          default: '1.0',
        },
      },
    })
    await core.start(new MySrv(), { signals })
    const client = await core.client<MySrv>('some_service')
    expect(await client.hello()).to.equal('world')
  })

  it('custom headers: a client of another version is refused', async () => {
    await using core = createCore({
      plugins: [endpoints(), headers()],
      config: {
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-version',
          '2.0': 'inproc://seed-version',
          access_key: 'key',
        },
      },
    })
    await core.start(new MySrv2(), { signals })
    const client = await core.client<MySrv>('some_service', { version: '1.0' })
    expect(await remoteFailure(client.hello())).to.deep.equal({
      remoteName: 'VersionNotMatchException',
      message: 'The request version 1.0 from client key is not match 2.0.',
    })
  })

  it('custom headers: a key that is not in the list is refused', async () => {
    await using core = createCore({
      plugins: [endpoints(), headers()],
      config: {
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-key',
          client_keys: ['foo_client_key'],
          access_key: 'bad_key',
          default: '1.0',
        },
      },
    })
    await core.start(new MySrv(), { signals })
    const client = await core.client<MySrv>('some_service')
    expect(await remoteFailure(client.hello())).to.deep.equal({
      remoteName: 'NoSuchAccessKeyException',
      message: "No such key 'bad_key'.",
    })
  })

  for (const [title, keys] of [
    ['is not set', {}],
    ['is None', { client_keys: null }],
  ] as const) {
    it(`custom headers: every key is let in where the list ${title}`, async () => {
      await using core = createCore({ plugins: [endpoints(), headers()] })
      core.config.set('ZERORPC_SOME_SERVICE', {
        '1.0': 'inproc://seed-unset',
        access_key: 'any_key',
        default: '1.0',
        ...keys,
      })
      await core.start(new MySrv(), { signals })
      const client = await core.client<MySrv>('some_service')
      expect(await client.hello()).to.equal('world')
    })
  }

  it('middlewares disabled: a core without plugins is plain zerorpc', async () => {
    await using core = createCore({ plugins: [] })
    await core.start(new MySrv(), { bind: 'inproc://seed-plain', signals })
    const client = await core.client<MySrv>('inproc://seed-plain')
    expect(await client.foo()).to.equal('bar')
    expect(core.hooks.inspect().flatMap(({ taps }) => taps)).to.deep.equal([])
  })

  it('other context: a second core runs one server, or one client, without the plugins of the first', async () => {
    await using core = createCore({
      plugins: [endpoints(), headers()],
      config: {
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-context',
          default: '1.0',
          client_keys: ['key'],
          access_key: 'key',
        },
      },
    })
    await using other = createCore()
    await core.start(new MySrv(), { signals })
    await other.start(new MySrv(), { bind: 'inproc://seed-context-other', signals })
    const plain = await other.client<MySrv>('inproc://seed-context')
    expect((await remoteFailure(plain.hello())).remoteName).to.equal('NoSuchAccessKeyException')
    const open = await other.client<MySrv>('inproc://seed-context-other')
    expect(await open.hello()).to.equal('world')
  })

  it('default configures: each key has the default of the original, and the list its order', async () => {
    const list = defaults()
    expect(list.map(({ name }) => name)).to.deep.equal([
      'endpoints',
      'headers',
      'request-chain',
      'access-log',
      'debug-log',
    ])
    await using core = createCore({ plugins: list })
    expect(core.config.get('DEBUG')).to.equal(true)
    expect(core.config.get('ERROR_LOG')).to.equal('/tmp/zask.error.log')
    expect(core.config.get('PRODUCTION_LOGGING_LEVEL')).to.equal('INFO')
    expect(core.config.get('ZERORPC_ACCESS_LOG')).to.equal('/tmp/zerorpc.access.log')
  })

  it('default middlewares: the whole list serves a call, and the log keys live beside the services', async () => {
    const accessLog = join(tmpdir(), `zask-seed-${process.pid}.access.log`)
    const core = createCore({
      plugins: defaults(),
      config: {
        ...config,
        ZERORPC_ACCESS_LOG: accessLog,
        ZERORPC_SOME_SERVICE: {
          '1.0': 'inproc://seed-all',
          default: '1.0',
          client_keys: ['key'],
          access_key: 'key',
        },
      },
    })
    class Chained extends MySrv {
      override foo(): string {
        return `${core.call.accessKey} ${core.call.requestId.length}`
      }
    }
    await core.start(new Chained(), { signals })
    const client = await core.client<Chained>('some_service')
    expect(await client.foo()).to.equal('key 36')
    await core.stop()
    await rm(accessLog, { force: true })
  })

  it('configure loader order: the file of the code base, then the local one, then that of the machine', async () => {
    const root = await mkdtemp(join(tmpdir(), 'zask-seed-'))
    try {
      await writeFile(join(root, 'setting.cfg'), `DEBUG = True\nKEPT = 'code'\n${setting('code')}`)
      await writeFile(join(root, 'dev.setting.cfg'), `DEBUG = False\n${setting('dev')}`)
      const core = createCore({ root, plugins: [endpoints(), headers()] })
      await core.config.fromFile('setting.cfg')
      await core.config.fromFile('dev.setting.cfg', { silent: true })
      await core.config.fromFile('machine.setting.cfg', { silent: true })
      expect(core.config.get('KEPT')).to.equal('code')
      expect(core.config.DEBUG).to.equal(false)
      expect(core.config.ZERORPC_SOME_SERVICE).to.include({ access_key: 'dev' })
    } finally {
      await rm(root, { recursive: true })
    }
  })
})
