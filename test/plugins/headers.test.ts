import { expect } from 'chai'
import { type Client, type ClientOptions, createCore, createLogger, type Plugin, RemoteError } from 'zask'
import { headers } from 'zask/plugins/headers'
import { pluginContract, testCore, type TestCore } from 'zask/testing'

class Some {
  static readonly service = 'some_service'
  static readonly version = '2.0'
  ran = 0
  hello(): string {
    this.ran++
    return 'world'
  }
}

async function failureOf(call: PromiseLike<unknown>): Promise<RemoteError> {
  try {
    await call
  } catch (error) {
    expect(error).to.be.instanceOf(RemoteError)
    return error as RemoteError
  }
  throw new Error('the call was not refused')
}

/** Calls with the headers given and none that a plugin adds. */
async function stranger(
  endpoint: string,
  act: (client: Client) => Promise<void>,
  options: ClientOptions = {},
): Promise<void> {
  await using core = createCore()
  await act(await core.client(endpoint, options))
}

describe('headers', () => {
  type Tested = TestCore<readonly Plugin[], readonly [Some]>
  let some: Some
  let tested: Tested
  /** What the server saw of each call: its headers and key. */
  let seen: { headers: Record<string, unknown>; accessKey: unknown }[]
  let later: number

  async function serve(settings: Record<string, unknown> | undefined, more: object = {}): Promise<Tested> {
    some = new Some()
    seen = []
    later = 0
    const witness: Plugin = {
      name: 'witness',
      apply(core) {
        core.hooks.beforeCall.tap('witness', (call) => {
          if (call.side === 'server') later++
        })
        core.hooks.afterCall.tap('witness', (call) => {
          if (call.side !== 'server') return
          seen.push({ headers: { ...call.headers }, accessKey: (call as { accessKey?: unknown }).accessKey })
        })
      },
    }
    const plugins: readonly Plugin[] = [headers(), witness]
    tested = await testCore({ services: [some], plugins })
    const config = { ...(settings && { ZERORPC_SOME_SERVICE: settings }), ...more }
    tested.core.config.fromObject(config)
    return tested
  }

  afterEach(() => tested.stop())

  it('adds service_name, service_version and access_key to what a client sends', async () => {
    const { client } = await serve({ access_key: 'key', client_keys: ['key'] })
    expect(await client.hello()).to.equal('world')
    expect(seen[0]?.headers).to.include({
      service_name: 'some_service',
      service_version: '2.0',
      access_key: 'key',
    })
    expect(seen[0]?.accessKey).to.equal('key')
  })

  it('leaves headers alone that the caller has given', async () => {
    const { client } = await serve({ access_key: 'key', client_keys: ['key', 'other'] })
    await client.$with({ headers: { access_key: 'other' } }).hello()
    expect(seen[0]?.accessKey).to.equal('other')
  })

  it('asks for the default version of the config where a client names none', async () => {
    const { core, endpoint } = await serve({ access_key: null, default: '1.0' })
    const client = await core.client<Some>(endpoint, { service: 'some_service' })
    expect((await failureOf(client.hello())).remoteName).to.equal('VersionNotMatchException')
  })

  it('sends no key where access_key is null, and adds nothing for a service that has no config', async () => {
    const { client } = await serve({ access_key: null })
    await client.hello()
    expect(seen[0]?.headers).to.not.have.property('access_key')
    await tested.stop()
    const { client: other } = await serve(undefined)
    expect(await other.hello()).to.equal('world')
  })

  it('refuses a client whose config has no access_key: MissingAccessKeyException', async () => {
    const { client } = await serve({ client_keys: ['key'] })
    const error = await client.hello().then(
      () => expect.fail('the call was made'),
      (thrown: unknown) => thrown,
    )
    expect(error).to.include({
      code: 'ZASK_HEADERS_KEY_MISSING',
      name: 'MissingAccessKeyException',
      message: "Missing 'access_key' in the 'ZERORPC_SOME_SERVICE'.",
      sent: false,
    })
    expect(some.ran).to.equal(0)
  })

  it('refuses an unknown key: NoSuchAccessKeyException, with the text of the original on the wire', async () => {
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] })
    await stranger(endpoint, async (client) => {
      const error = await failureOf(client.$call('hello', [], { headers: { access_key: 'bad_key' } }))
      expect(error.remoteName).to.equal('NoSuchAccessKeyException')
      expect(error.message).to.equal("No such key 'bad_key'.")
      expect(error.code).to.equal('ZASK_HEADERS_KEY_UNKNOWN')
    })
    expect(some.ran).to.equal(0)
    expect(later, 'later plugins ran').to.equal(0)
    expect(seen[0]?.accessKey, 'the key for the access log').to.equal('bad_key')
  })

  it('refuses another version: VersionNotMatchException, with the text of the original on the wire', async () => {
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] })
    await stranger(endpoint, async (client) => {
      const sent = { access_key: 'key', service_version: '1.0' }
      const error = await failureOf(client.$call('hello', [], { headers: sent }))
      expect(error.remoteName).to.equal('VersionNotMatchException')
      expect(error.message).to.equal('The request version 1.0 from client key is not match 2.0.')
      for (const version of ['', 2, ['2.0'], Buffer.from('2.0')]) {
        const odd = { access_key: 'key', service_version: version }
        expect((await failureOf(client.$call('hello', [], { headers: odd }))).code).to.equal(
          'ZASK_HEADERS_VERSION',
        )
      }
    })
    expect(some.ran).to.equal(0)
  })

  it('lets callers in that send no version', async () => {
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] })
    await stranger(endpoint, async (client) => {
      for (const sent of [{ access_key: 'key' }, { access_key: 'key', service_version: null }]) {
        expect(await client.$call('hello', [], { headers: sent })).to.equal('world')
      }
    })
  })

  const keyless: [title: string, sent: Record<string, unknown>, text: string][] = [
    ['no key', {}, 'None'],
    ['nil', { access_key: null }, 'None'],
    ['empty text', { access_key: '' }, ''],
    ['the number 0', { access_key: 0 }, '0'],
    ['a list', { access_key: [] }, 'a list'],
    ['a list with the key', { access_key: ['key'] }, 'a list'],
    ['a map', { access_key: {} }, 'a map'],
    ['bytes', { access_key: Buffer.from('key') }, 'bytes'],
    ['true', { access_key: true }, 'true'],
    ['a megabyte', { access_key: 'k'.repeat(2 ** 20) }, 'k'.repeat(64)],
    ['the key and a NUL', { access_key: 'key\0' }, 'key\\u0000'],
    ['the beginning of the key', { access_key: 'ke' }, 'ke'],
    ['line breaks', { access_key: 'a\r\nb\u2028\u001b[31m' }, 'a\\u000d\\u000ab\\u2028\\u001b[31m'],
  ]
  for (const [title, sent, text] of keyless) {
    it(`refuses ${title} in place of the key, with one line of text`, async () => {
      const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] })
      await stranger(endpoint, async (client) => {
        const error = await failureOf(client.$call('hello', [], { headers: sent }))
        expect(error.remoteName).to.equal('NoSuchAccessKeyException')
        expect(error.message).to.equal(`No such key '${text}'.`)
      })
      expect(some.ran).to.equal(0)
    })
  }

  it('lets a missing key in where allow_missing_key says so, and no wrong one', async () => {
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'], allow_missing_key: true })
    await stranger(endpoint, async (client) => {
      expect(await client.$call('hello')).to.equal('world')
      for (const key of ['', 'bad_key', 0])
        await failureOf(client.$call('hello', [], { headers: { access_key: key } }))
    })
  })

  it('lets every caller in where client_keys is absent or null', async () => {
    for (const settings of [{ access_key: 'x' }, { access_key: 'x', client_keys: null }]) {
      const { endpoint } = await serve(settings)
      await stranger(endpoint, async (client) => {
        expect(await client.$call('hello')).to.equal('world')
        expect(await client.$call('hello', [], { headers: { access_key: 'any' } })).to.equal('world')
      })
      await tested.stop()
    }
  })

  it('lets nobody in where client_keys is an empty list', async () => {
    const { client } = await serve({ access_key: 'key', client_keys: [] })
    expect((await failureOf(client.hello())).message).to.equal("No such key 'key'.")
  })

  it('checks the list of its own service, whatever name a request claims', async () => {
    const open = {
      ZERORPC_OPEN: { access_key: 'x' },
      ZERORPC_OTHER: { access_key: 'x', client_keys: ['other'] },
    }
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] }, open)
    for (const name of ['open', 'other', 'nobody', '__proto__', '', null, 5]) {
      await stranger(endpoint, async (client) => {
        const sent = { service_name: name, access_key: 'other' }
        expect((await failureOf(client.$call('hello', [], { headers: sent }))).code).to.equal(
          'ZASK_HEADERS_KEY_UNKNOWN',
        )
        await failureOf(client.$call('hello', [], { headers: { service_name: name } }))
      })
    }
    expect(some.ran).to.equal(0)
  })

  it('refuses introspection and unknown methods as well', async () => {
    const { endpoint } = await serve({ access_key: 'key', client_keys: ['key'] })
    await stranger(endpoint, async (client) => {
      for (const method of ['_zerorpc_inspect', '_zerorpc_list', 'nothing', 'constructor']) {
        expect((await failureOf(client.$call(method))).remoteName).to.equal('NoSuchAccessKeyException')
      }
    })
  })

  it('follows a change of client_keys and of access_key on the next call', async () => {
    const { client, core } = await serve({ access_key: 'one', client_keys: ['one'] })
    expect(await client.hello()).to.equal('world')
    core.config.set('ZERORPC_SOME_SERVICE', { access_key: 'one', client_keys: ['two'] })
    expect((await failureOf(client.hello())).message).to.equal("No such key 'one'.")
    core.config.set('ZERORPC_SOME_SERVICE', { access_key: 'two', client_keys: ['two'] })
    expect(await client.hello()).to.equal('world')
    core.config.set('ZERORPC_SOME_SERVICE', { access_key: 'three', client_keys: null })
    expect(await client.hello()).to.equal('world')
  })

  it('takes one of many keys', async () => {
    const keys = Array.from({ length: 1000 }, (_, i) => `key ${i}`)
    const { client } = await serve({ access_key: 'key 999', client_keys: keys })
    expect(await client.hello()).to.equal('world')
  })

  it('checks each of several services by its own version and keys', async () => {
    class Other extends Some {
      static override readonly service = 'other' as never
      static override readonly version = '3.0' as never
    }
    const services = [new Some(), new Other()] as const
    await serve(undefined)
    await tested.stop()
    const both = await testCore({
      services,
      plugins: [headers()],
      config: {
        ZERORPC_SOME_SERVICE: { access_key: 'some', client_keys: ['some'] },
        ZERORPC_OTHER: { access_key: 'other', client_keys: ['other'] },
      },
    })
    await using stack = new AsyncDisposableStack()
    stack.use(both)
    expect(await both.client.hello()).to.equal('world')
    const other = await both.clientOf(services[1])
    expect(await other.hello()).to.equal('world')
    await failureOf(other.$with({ headers: { access_key: 'some' } }).hello())
    await failureOf(other.$with({ headers: { service_version: '2.0' } }).hello())
  })

  it('warns at the start that a list of keys lets in who sends none', async () => {
    await serve(undefined)
    const warnings: string[] = []
    await using core = createCore({
      plugins: [headers()],
      config: {
        ZERORPC_A: { client_keys: ['k'], allow_missing_key: true },
        ZERORPC_B: { client_keys: ['k'] },
      },
    })
    core.setLogger(createLogger({ write: (line) => void warnings.push(line) }))
    await core.client('inproc://headers-any')
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.include('ZERORPC_A').and.include('allow_missing_key')
  })

  for (const [what, value] of Object.entries({
    'client_keys that is text': { client_keys: 'key' },
    'client_keys with a number': { client_keys: [1] },
    'client_keys with empty text': { client_keys: [''] },
    'access_key that is a number': { access_key: 5 },
    'allow_missing_key that is text': { allow_missing_key: 'no' },
  })) {
    it(`says at the start which key is wrong, and shows no secret: ${what}`, async () => {
      await serve(undefined)
      const core = createCore({ plugins: [headers()] })
      core.config.fromObject({ ZERORPC_USERS: { client_keys: ['s3cret'], ...value } }, 'the test')
      const error = await core.client('inproc://headers-any').then(
        () => expect.fail('it was taken'),
        (thrown: unknown) => thrown as Error,
      )
      expect(error).to.include({ code: 'ZASK_CONFIG_VALUE_INVALID' })
      expect(error.message).to.include('ZERORPC_USERS').and.include('the test').and.not.include('s3cret')
      await core.stop()
    })
  }
})

pluginContract({
  name: 'headers',
  create: headers,
  config: { ZERORPC_CONTRACT: { access_key: 'key', client_keys: ['key'] } },
  headers: { access_key: 'key' },
})
