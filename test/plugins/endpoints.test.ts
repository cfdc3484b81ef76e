import { expect } from 'chai'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Core, createCore, type Plugin } from 'zask'
import { endpoints } from 'zask/plugins/endpoints'
import { pluginContract } from 'zask/testing'
import { rejection } from '../support/refusals.ts'

class Users {
  static readonly service = 'users'
  static readonly version = '1.0'
  name(id: number): string {
    return `user ${id}`
  }
}

describe('endpoints', () => {
  const cores: AsyncDisposable[] = []

  function coreWith(config: Record<string, unknown>): Core<readonly [ReturnType<typeof endpoints>]> {
    const core = createCore({ plugins: [endpoints()] })
    core.config.fromObject(config, 'the test')
    cores.push(core)
    return core
  }

  afterEach(async () => {
    for (const core of cores.splice(0)) await core[Symbol.asyncDispose]()
  })

  it('binds a service by its name and version, and leads a client there by the name alone', async () => {
    const core = coreWith({ ZERORPC_USERS: { '1.0': 'inproc://endpoints-1', default: '1.0' } })
    const started = await core.start(new Users(), { signals: false })
    expect(started.endpoints).to.deep.equal(['inproc://endpoints-1'])
    const users = await core.client<Users>('users')
    expect(await users.name(1)).to.equal('user 1')
  })

  it('takes the version a client asks for, not the default', async () => {
    const core = coreWith({
      ZERORPC_USERS: { '1.0': 'inproc://endpoints-v1', '2.0': 'inproc://endpoints-v2', default: '1.0' },
    })
    const users = await core.client<Users>('users', { version: '2.0' })
    expect(users.$endpoints.map(({ endpoint }) => endpoint)).to.deep.equal(['inproc://endpoints-v2'])
  })

  it('binds an endpoint once that a version names twice', async () => {
    const place = 'inproc://endpoints-twice'
    const core = coreWith({ ZERORPC_USERS: { '1.0': [place, place], default: '1.0' } })
    const started = await core.start(new Users(), { signals: false })
    expect(started.endpoints).to.deep.equal([place])
  })

  it('binds and connects all endpoints of a version', async () => {
    const places = ['inproc://endpoints-a', 'inproc://endpoints-b']
    const core = coreWith({ ZERORPC_USERS: { '1.0': places, default: '1.0' } })
    const started = await core.start(new Users(), { signals: false })
    expect(started.endpoints).to.deep.equal(places)
    const users = await core.client<Users>('users')
    expect(users.$endpoints.map(({ endpoint }) => endpoint)).to.deep.equal(places)
    expect(await Promise.all([1, 2, 3, 4].map((id) => users.name(id)))).to.have.length(4)
  })

  it('binds ipc and tcp endpoints as it does inproc ones', async () => {
    const path = `ipc://${join(tmpdir(), `zask-endpoints-${process.pid}`)}`
    const core = coreWith({ ZERORPC_USERS: { '1.0': [path, 'tcp://127.0.0.1:*'], default: '1.0' } })
    const started = await core.start(new Users(), { signals: false })
    for (const endpoint of started.endpoints) {
      const users = await core.client<Users>(endpoint)
      expect(await users.name(7)).to.equal('user 7')
    }
  })

  it('lets endpoints that are given outright pass by', async () => {
    const core = coreWith({})
    await core.start(new Users(), { bind: 'inproc://endpoints-plain', signals: false })
    const users = await core.client<Users>('inproc://endpoints-plain')
    expect(await users.name(2)).to.equal('user 2')
  })

  it('looks names up in upper case, and reads the config when it is asked', async () => {
    const core = coreWith({})
    core.config.set('ZERORPC_SOME_SERVICE', { '1.0': 'inproc://endpoints-late', default: '1.0' })
    const client = await core.client('some_Service')
    expect(client.$endpoints).to.have.length(1)
  })

  describe('refuses with the class names and texts of the original:', () => {
    it('a service without config', async () => {
      const error = await rejection(() => coreWith({}).client('some_service'))
      expect(error).to.include({ code: 'ZASK_ENDPOINTS_CONFIG_MISSING', name: 'MissingConfigException' })
      expect(error.message).to.equal("Missing config 'ZERORPC_SOME_SERVICE' in your application.")
    })

    it('a version without config', async () => {
      const config = { ZERORPC_SOME_SERVICE: { '1.0': 'inproc://endpoints-x', default: '1.0' } }
      const error = await rejection(() => coreWith(config).client('some_service', { version: '9.9' }))
      expect(error).to.include({ code: 'ZASK_ENDPOINTS_CONFIG_MISSING', name: 'MissingConfigException' })
      expect(error.message).to.equal(`Missing config 'ZERORPC_SOME_SERVICE["9.9"]' in your application.`)
    })

    it('a client that names no version where there is no default', async () => {
      const config = { ZERORPC_SOME_SERVICE: { '1.0': 'inproc://endpoints-x' } }
      const error = await rejection(() => coreWith(config).client('some_service'))
      expect(error).to.include({
        code: 'ZASK_ENDPOINTS_CLIENT_VERSION',
        name: 'ClientMissingVersionException',
        message: 'Client missing version. You can set a default one or specify one when request.',
      })
    })

    it('a service without a version', async () => {
      class Nameless {
        static readonly service = 'users'
        ping(): void {}
      }
      const config = { ZERORPC_USERS: { '1.0': 'inproc://endpoints-x', default: '1.0' } }
      const error = await rejection(() => coreWith(config).start(new Nameless(), { signals: false }))
      expect(error).to.include({ code: 'ZASK_ENDPOINTS_SERVER_VERSION', name: 'NoVersionException' })
      expect(error.message).to.match(/^__version__ is needed for ZeroRPC server\b/)
    })

    it('a service without a name', async () => {
      const error = await rejection(() => coreWith({}).start({ ping: () => 'pong' }, { signals: false }))
      expect(error).to.include({ code: 'ZASK_ENDPOINTS_SERVER_NAME', name: 'NoNameException' })
      expect(error.message).to.match(/^__service_name__ is needed for ZeroRPC server\b/)
    })
  })

  for (const version of ['default', 'toString', '__proto__', 'constructor', 'access_key', 'client_keys']) {
    it(`takes ${version} for no version`, async () => {
      const settings = { '1.0': 'inproc://endpoints-x', default: '1.0', access_key: 'k', client_keys: ['k'] }
      const core = coreWith({ ZERORPC_USERS: settings })
      const error = await rejection(() => core.client('users', { version }))
      expect(error.code).to.equal('ZASK_ENDPOINTS_CONFIG_MISSING')
    })
  }

  for (const [what, value] of Object.entries({
    'text in place of an object': 'tcp://127.0.0.1:4242',
    'a version that is a number': { '1.0': 4242 },
    'a version that is no endpoint': { '1.0': '127.0.0.1:4242' },
    'an empty list of endpoints': { '1.0': [] },
    'a default that is a number': { '1.0': 'tcp://127.0.0.1:4242', default: 1 },
  })) {
    it(`says at the start which key is wrong and where it is from: ${what}`, async () => {
      const error = await rejection(() => coreWith({ ZERORPC_USERS: value }).client('inproc://endpoints-any'))
      expect(error.code).to.equal('ZASK_CONFIG_VALUE_INVALID')
      expect(error.message).to.include('ZERORPC_USERS must be an object').and.include('the test')
    })
  }

  it("leaves the access log's file alone, so that those who only call can read the settings of those who serve", async () => {
    const core = coreWith({
      ZERORPC_ACCESS_LOG: 'access.log',
      ZERORPC_USERS: { '1.0': 'inproc://endpoints-shared', default: '1.0' },
    })
    const users = await core.client<Users>('users')
    expect(users.$endpoints.map(({ endpoint }) => endpoint)).to.deep.equal(['inproc://endpoints-shared'])
  })

  it('leaves keys alone that another plugin owns', async () => {
    const log: Plugin<{ config: { ZERORPC_SOME_LOG: string } }> = {
      name: 'log',
      defaults: { ZERORPC_SOME_LOG: '/tmp/some.log' },
      apply() {},
    }
    const core = createCore({ plugins: [log, endpoints()], config: { ZERORPC_SOME_LOG: '/tmp/other.log' } })
    cores.push(core)
    await core.client('inproc://endpoints-any')
    const error = await rejection(() => core.client('some_log'))
    expect(error.code).to.equal('ZASK_ENDPOINTS_CONFIG_MISSING')
  })
})

pluginContract({ name: 'endpoints', create: endpoints })
