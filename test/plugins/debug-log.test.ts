import { expect } from 'chai'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Core, createCore, type Plugin, type StatsReport } from 'zask'
import { debugLog, type DebugLogOptions, hookTable } from 'zask/plugins/debug-log'
import { requestChain } from 'zask/plugins/request-chain'
import { pluginContract, testCore } from 'zask/testing'
import { outputOf, scratchFolder, startModule, until } from './log-file/support.ts'

type LogLine = Record<string, unknown> & { call?: Record<string, unknown>; err?: Record<string, unknown> }

/** Standard output of the application of these tests. */
function outputOfApp(options: object, config: object): Promise<string> {
  const module = new URL('debug-log/app.ts', import.meta.url)
  return outputOf(startModule(module, JSON.stringify(options), JSON.stringify(config)))
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** As JavaScript calls it, without types. */
const making = (options: unknown) => () => debugLog(options as object)

describe('debug-log', () => {
  let folder: ReturnType<typeof scratchFolder>
  let path: string
  const cores: AsyncDisposable[] = []

  beforeEach(() => {
    folder = scratchFolder()
    path = join(folder.path, 'error.log')
  })
  afterEach(async () => {
    for (const core of cores.splice(0)) await core[Symbol.asyncDispose]()
    folder.remove()
  })

  const records = (from: string = path): LogLine[] =>
    readFileSync(from, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine)

  /** A core in production that has read its config. */
  async function production(options: DebugLogOptions = {}, config: object = {}): Promise<Core> {
    const core = createCore({
      plugins: [debugLog(options)],
      config: { DEBUG: false, ERROR_LOG: path, ...config },
    })
    cores.push(core)
    await core.client('tcp://127.0.0.1:9')
    return core
  }

  pluginContract({
    name: 'debug-log',
    create: () => debugLog({ device: true }),
    config: { DEBUG: false, ERROR_LOG: '/dev/null' },
  })

  describe('in production', () => {
    it('writes JSON of bunyan from the configured level on, INFO where none is', async () => {
      const core = await production({ name: 'shop' })
      core.log.debug('not this')
      core.log.info({ user: 7 }, 'hello %s', 'you')
      core.log.error(new TypeError('broken'))
      await turn()
      const [info, error, ...others] = records()
      expect(others).to.deep.equal([])
      expect(info).to.include({ name: 'shop', level: 30, msg: 'hello you', user: 7, v: 0, pid: process.pid })
      expect(error).to.include({ level: 50, msg: 'broken' })
      expect(error!.err).to.include({ name: 'TypeError', message: 'broken' })
      expect(error!.err!['stack']).to.include('debug-log.test.ts')
    })

    for (const [level, lowest] of Object.entries({
      WARNING: 'warn',
      error: 'error',
      CRITICAL: 'fatal',
      DEBUG: 'debug',
    })) {
      it(`takes ${level} for the level ${lowest}`, async () => {
        const core = await production({}, { PRODUCTION_LOGGING_LEVEL: level })
        const names = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
        for (const name of names) core.log[name](name)
        await turn()
        expect(records().map(({ msg }) => msg)).to.deep.equal(names.slice(names.indexOf(lowest as 'warn')))
      })
    }

    it('refuses a level it does not know, naming key and value', async () => {
      const error: unknown = await production({}, { PRODUCTION_LOGGING_LEVEL: 'LOUD' }).catch(
        (thrown: unknown) => thrown,
      )
      expect((error as Error).message)
        .to.include('PRODUCTION_LOGGING_LEVEL')
        .and.to.include('LOUD')
    })

    it('has an error on disk at once', async () => {
      const core = await production()
      core.log.error('now')
      expect(records()).to.have.length(1)
    })

    it('begins a new file when the old one was moved', async () => {
      const core = await production()
      core.log.error('old')
      renameSync(path, `${path}.1`)
      await until('there is a new file', () => {
        core.log.error('new')
        return existsSync(path)
      })
      expect(records(`${path}.1`)[0]).to.include({ msg: 'old' })
      expect(records()[0]).to.include({ msg: 'new' })
    })

    it('never fails because the file cannot be written, and says so once', async () => {
      const told: string[] = []
      const inner = join(folder.path, 'missing', 'error.log')
      const core = await production({ onTrouble: (message) => told.push(message) }, { ERROR_LOG: inner })
      for (let i = 0; i < 5; i++) core.log.error('lost')
      expect(told).to.have.length(1)
      expect(told[0]).to.include('does not exist. Create it.')
      mkdirSync(join(folder.path, 'missing'))
      await until('it is written again', () => {
        core.log.error('kept')
        return told.length === 2
      })
      expect((core.stats as StatsReport).plugins['debug-log'])
        .to.have.property('linesLost')
        .that.is.within(5, 99_999)
    })

    it('says nothing of the life of calls', async () => {
      const output = await outputOfApp({}, { DEBUG: false, ERROR_LOG: path })
      expect(output).to.equal('')
      expect(records().map(({ msg }) => msg)).to.deep.equal(['found it'])
    })
  })

  describe('a record', () => {
    it('within a call carries service, method, call and request id without being passed anything', async () => {
      await outputOfApp({}, { DEBUG: false, ERROR_LOG: path })
      const [record] = records()
      expect(record).to.include({ msg: 'found it', user: 7 })
      expect(record!.call).to.include({ service: 'my_srv', method: 'foo' })
      expect(record!.call!['id']).to.be.a('string')
      expect(record!.call!['requestId']).to.match(/^[0-9a-f-]{36}$/)
    })

    it('carries the request id also where the log of the call was used before it had one', async () => {
      const early: Plugin = {
        name: 'early',
        apply(core) {
          core.hooks.beforeCall.tap('early', (call) => call.log.info('early'))
        },
      }
      const service = { foo: () => tested.core.call.log.info('late') as unknown }
      const tested = await testCore({
        services: [service],
        plugins: [debugLog(), early, requestChain()],
        config: { DEBUG: false, ERROR_LOG: path },
      })
      await tested.client.foo()
      await tested.stop()
      const late = records().find(({ msg }) => msg === 'late')!
      expect(late.call!['requestId']).to.be.a('string')
    })

    it('of core.log within a call says which call, too, and children keep their fields', async () => {
      const service = { foo: () => tested.core.log.child({ component: 'mail' }).info('sent') as unknown }
      const tested = await testCore({
        services: [service],
        plugins: [debugLog()],
        config: { DEBUG: false, ERROR_LOG: path },
      })
      await tested.client.foo()
      await tested.stop()
      const sent = records().find(({ msg }) => msg === 'sent')!
      expect(sent).to.include({ component: 'mail' })
      expect(sent.call).to.include({ method: 'foo' })
    })

    it('is not lost for a BigInt, a circle or a hostile object', async () => {
      const core = await production()
      const circle: Record<string, unknown> = { name: 'circle' }
      circle['self'] = circle
      const hostile = new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no')
          },
          get: () => {
            throw new Error('no')
          },
        },
      )
      const thrower = {
        get bad(): never {
          throw new Error('no')
        },
        good: 1,
      }
      const error = Object.defineProperty(new Error('visible'), 'stack', {
        get: () => {
          throw new Error('no')
        },
      })
      core.log.info(
        { big: 2n ** 64n, circle, hostile, thrower, fn: () => 1, when: new Date(NaN) },
        'odd %o',
        hostile,
      )
      core.log.info(hostile, 'only')
      core.log.error(error)
      core.log.info(
        {
          toJSON: () => {
            throw new Error('no')
          },
        },
        'toJSON',
      )
      core.log.info({ bytes: Buffer.from('abc'), map: new Map([[1, { a: 1n }]]), set: new Set([1]) })
      await turn()
      const all = records()
      expect(all).to.have.length(5)
      expect(all[0]).to.include({ big: '18446744073709551616', fn: '[function]', when: '[invalid date]' })
      expect(all[0]!['circle']).to.deep.equal({ name: 'circle', self: '[circular]' })
      expect(all[0]!['thrower']).to.deep.include({ good: 1 })
      expect(all[1]).to.include({ msg: 'only' })
      expect(all[2]!.err).to.include({ message: 'visible', stack: '[cannot be read]' })
      expect(all[4]).to.deep.include({ bytes: '[3 bytes]', map: { 1: { a: '1' } }, set: [1] })
    })

    it('keeps its own time, level and process whatever fields are called', async () => {
      const core = await production()
      core.log.info(
        { level: 99, time: 'never', v: 'x', pid: -1, msg: 'other', name: 'n', hostname: 'h', call: 'c' },
        'mine',
      )
      await turn()
      const [record] = records()
      expect(record).to.include({ level: 30, v: 0, pid: process.pid, msg: 'mine', name: 'zask' })
      expect(record).to.include({ level_: 99, time_: 'never', v_: 'x', pid_: -1, msg_: 'other', call_: 'c' })
    })

    it('of an error holds its causes', async () => {
      const core = await production()
      core.log.error({ err: new Error('outer', { cause: new TypeError('inner') }) }, 'failed')
      expect(records()[0]!.err!['cause']).to.include({ name: 'TypeError', message: 'inner' })
    })

    it('of megabytes is cut', async () => {
      const core = await production()
      core.log.info(
        { text: 'x'.repeat(5_000_000), list: Array.from({ length: 100_000 }, (_, i) => i) },
        'y'.repeat(1e6),
      )
      await turn()
      expect(readFileSync(path).length).to.be.below(50_000)
    })

    it('goes to further streams of bunyan as well, each with its own level', async () => {
      const seen: LogLine[] = []
      const stream = { write: (record: unknown) => void seen.push(record as LogLine) }
      const core = await production({ streams: [{ type: 'raw', level: 'warn', stream }] })
      core.log.info('a')
      core.log.warn('b')
      expect(seen.map(({ msg }) => msg)).to.deep.equal(['b'])
    })
  })

  describe('in debug mode', () => {
    it('tells the life of each call: its beginning, taps with times, events in and out, its outcome', async () => {
      const output = await outputOfApp({ format: 'json' }, { DEBUG: true })
      const all = output.split('\n').map((line) => JSON.parse(line) as LogLine)
      const served = all.filter(({ call }) => call?.['service'] === 'my_srv')
      const foo = served.filter(({ call }) => call!['method'] === 'foo')
      expect(foo[0]).to.include({ msg: 'call came in', side: 'server' })
      expect(foo[0]!['args']).to.deep.equal([])
      const taps = foo.filter(({ msg }) => msg === 'tap ran')
      expect(taps.map(({ hook, plugin }) => `${String(hook)} ${String(plugin)}`)).to.deep.equal([
        'beforeCall debug-log',
        'beforeCall request-chain',
        'afterCall debug-log',
      ])
      for (const { ms } of taps) expect(ms).to.be.a('number')
      expect(foo.find(({ msg }) => msg === 'call ended: OK')).to.include({ side: 'server' })
      const failed = served.find(({ msg }) => msg === 'call ended: ERROR')
      expect(failed!.err).to.include({ name: 'TypeError', message: 'on purpose' })
      const events = all.filter(({ msg }) => msg === 'event in' || msg === 'event out')
      expect(events.map(({ msg, event }) => `${String(msg)} ${String(event)}`)).to.include.members([
        'event out foo',
        'event in foo',
        'event out OK',
        'event in OK',
        'event out ERR',
      ])
      for (const { peer } of events) expect(peer).to.match(/^(inproc:\/\/debug-log-app|[0-9a-f]+)$/)
    })

    it('hides keys and passwords in the headers it shows', async () => {
      const output = await outputOfApp({ format: 'json' }, { DEBUG: true })
      expect(output).to.not.include('hush')
      const came = output.split('\n').map((line) => JSON.parse(line) as LogLine)
      const { headers } = came.find(({ msg }) => msg === 'call came in')!
      expect(headers).to.deep.include({ access_key: '***', user: 'ann', nested: { db_password: '***' } })
    })

    it('is readable and plain when piped', async () => {
      const output = await outputOfApp({}, { DEBUG: true })
      expect(output).to.match(
        /^\d\d:\d\d:\d\d\.\d{3} INFO  my_srv\.foo: found it user=7 requestId=\S+ call=\S+$/m,
      )
      expect(output).to.match(
        / DEBUG my_srv\.fail: call ended: ERROR .*\n    TypeError: on purpose\n        at MySrv\.fail/,
      )
      expect(output).to.not.include('\u001b')
    })

    it('is coloured where colours are asked for', async () => {
      expect(await outputOfApp({ colors: true }, { DEBUG: true })).to.include('\u001b[32mINFO \u001b[0m')
    })

    it('leaves taps and events out at the level debug, and calls at the level info', async () => {
      const debug = await outputOfApp({ level: 'debug' }, { DEBUG: true })
      expect(debug).to.include('call came in').and.to.not.include('tap ran').and.to.not.include('event out')
      const info = await outputOfApp({ level: 'info' }, { DEBUG: true })
      expect(info.split('\n')).to.have.length(1)
    })

    it('writes no file', async () => {
      await outputOfApp({}, { DEBUG: true, ERROR_LOG: path })
      expect(existsSync(path)).to.equal(false)
    })
  })

  it('refuses a format it does not know', () => {
    expect(() => debugLog({ format: 'xml' as 'json' })).to.throw("no format 'xml'. Use readable or json.")
  })

  it('refuses an option it does not have, and values that options cannot have', () => {
    expect(making({ colours: true })).to.throw("debugLog has no option 'colours'. Did you mean 'colors'?")
    expect(making({ level: 'loud' })).to.throw('level of debugLog is one of trace, debug, info, warn, error')
    expect(making({ streams: 5 })).to.throw('streams of debugLog is a list of streams of bunyan, got 5.')
    expect(making({ keep: -1 })).to.throw('keep of debugLog is a whole number of files')
    expect(making(null)).to.throw('debugLog takes an object of options, got null.')
  })

  describe('the x-ray of a core', () => {
    it('is a table of plugins by hooks, with the order of taps', () => {
      const core = createCore({ plugins: [debugLog(), requestChain()] })
      const rows = hookTable(core.hooks.inspect())
        .split('\n')
        .map((row) => row.split(/ {2,}/))
      expect(rows).to.deep.equal([
        ['plugin', 'configLoaded', 'beforeCall', 'afterCall', 'started', 'stopped'],
        ['debug-log', '1.', '1.', '1.', '1.', '1.'],
        ['request-chain', '-', '2.', '-', '-', '-'],
      ])
    })

    it('shows the mean time of what was traced', () => {
      const table = hookTable([
        { hook: 'beforeCall', kind: 'gate', taps: [{ plugin: 'a', calls: 2, meanMs: 1.5 }, { plugin: 'b' }] },
        { hook: 'afterCall', kind: 'observer', taps: [] },
      ])
      expect(table).to.equal('plugin  beforeCall\na       1. 1.500 ms\nb       2.')
    })

    it('of a core without plugins says that there is nothing to show', () => {
      expect(hookTable(createCore().hooks.inspect())).to.equal('no plugin has tapped a hook')
    })
  })
})
