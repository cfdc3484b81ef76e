import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, createCore, type Plugin, type StatsReport } from 'zask'
import { accessLog, type AccessLogOptions } from 'zask/plugins/access-log'
import { headers } from 'zask/plugins/headers'
import { requestChain } from 'zask/plugins/request-chain'
import { pluginContract, testCore, type TestCore } from 'zask/testing'
import {
  linesIn,
  outputOf,
  rotateFromOutside,
  scratchFolder,
  startModule,
  until,
} from './log-file/support.ts'

class MySrv {
  static readonly service = 'my_srv'
  static readonly version = '1.0'
  release: () => void = () => undefined
  foo(): string {
    return 'bar'
  }
  fail(): never {
    throw new TypeError('no secrets in logs')
  }
  *count(): Generator<number> {
    for (let i = 1; i <= 3; i++) yield i
  }
  signal: () => AbortSignal = () => new AbortController().signal
  /** Ends when it is released, or when its caller no longer waits for it. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.release = resolve
      this.signal().addEventListener('abort', () => resolve())
    })
  }
}

const classicTime = String.raw`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]`

/** Method and status of each line. */
const statuses = (all: readonly string[]): string[] =>
  all.map((line) => / - "MySrv" - "(.*)" - (OK|ERROR) - \d+ms$/.exec(line)!.slice(1).join(' '))

/** What a reader of the log makes of a field. */
const parsed = (shown: string): string => {
  const bytes = shown.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

async function failed(call: PromiseLike<unknown>): Promise<void> {
  const thrown: unknown = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(thrown).to.be.instanceOf(Error)
}

/** As JavaScript calls it, without types. */
const making = (options: unknown) => () => accessLog(options as object)

describe('access-log', () => {
  type Tested = TestCore<readonly Plugin[], readonly [MySrv]>
  let folder: ReturnType<typeof scratchFolder>
  let path: string
  let service: MySrv
  let tested: Tested
  let log: ReturnType<typeof accessLog>

  beforeEach(() => {
    folder = scratchFolder()
    path = join(folder.path, 'access.log')
  })
  afterEach(async () => {
    await tested?.stop()
    folder.remove()
  })

  async function serve(
    options: AccessLogOptions = {},
    before: readonly Plugin[] = [],
    config: object = {},
    start: object = {},
  ): Promise<Client<MySrv>> {
    service = new MySrv()
    log = accessLog(options)
    const plugins: readonly Plugin[] = [...before, log]
    const settings = { DEBUG: false, ZERORPC_ACCESS_LOG: path, ...config }
    tested = await testCore({ services: [service], plugins, config: settings, start })
    service.signal = () => tested.core.call.signal
    return tested.client
  }

  const read = (): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1)

  /** The lines of all calls so far. */
  async function lines(count: number): Promise<string[]> {
    await until(`there are ${count} lines`, () => existsSync(path) && read().length >= count)
    await tested.stop()
    expect(read()).to.have.length(count)
    return read()
  }

  /** One call with its key, as it was logged. */
  async function loggedAs(
    options: AccessLogOptions,
    method: string,
    key?: unknown,
    uuid?: unknown,
  ): Promise<string> {
    await serve(options)
    const client = await tested.core.client(tested.endpoint)
    const sent = { ...(key !== undefined && { access_key: key }), ...(uuid !== undefined && { uuid }) }
    const call = client.$with({ headers: sent })[method] as () => Promise<unknown>
    await call().catch(() => undefined)
    return (await lines(1))[0]!
  }

  pluginContract({
    name: 'access-log',
    create: () => accessLog({ device: true }),
    config: { DEBUG: false, ZERORPC_ACCESS_LOG: '/dev/null' },
  })

  describe('the format classic', () => {
    it('is that of the original', async () => {
      const line = await loggedAs({}, 'foo', 'some_key')
      expect(line).to.match(new RegExp(`^some_key - ${classicTime} - "MySrv" - "foo" - OK - \\d+ms$`))
    })

    it('shows the time in UTC, when the call ended', async () => {
      const before = Date.now()
      const line = await loggedAs({}, 'foo')
      const [, date, time, ms] = /\[(\S+) (\S+),(\d+)\]/.exec(line)!
      const logged = Date.parse(`${date}T${time}.${ms}Z`)
      expect(logged).to.be.within(before, Date.now())
    })

    it('shows the `None` key where none was sent', async () => {
      expect(await loggedAs({}, 'foo')).to.match(/^None - /)
    })
  })

  describe('the format combined', () => {
    const uuid = 'a979357c-e69c-11f1-9b0e-02fc00000001'
    const date = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`

    it('is that of the later original, with request time and uuid', async () => {
      const line = await loggedAs({ format: 'combined' }, 'foo', 'key', uuid)
      expect(line).to.match(new RegExp(`^- - key ${date} "MySrv foo" OK - - - - \\d+ ${uuid}$`))
    })

    it('has a dash for a key and a uuid that were not sent', async () => {
      const line = await loggedAs({ format: 'combined' }, 'fail')
      expect(line).to.match(new RegExp(`^- - - ${date} "MySrv fail" ERROR - - - - \\d+ -$`))
    })

    it('shows the id that request-chain gives', async () => {
      const client = await serve({ format: 'combined' }, [requestChain()])
      await client.foo()
      expect((await lines(1))[0]).to.match(/ [0-9a-f]{8}-[0-9a-f-]{27}$/)
    })
  })

  describe('the format json', () => {
    it('is one object a line, with all that is known', async () => {
      const line = await loggedAs({ format: 'json' }, 'fail', 'key', 'some-id')
      const record = JSON.parse(line) as Record<string, unknown>
      expect(record).to.include({
        key: 'key',
        service: 'my_srv',
        version: '1.0',
        class: 'MySrv',
        method: 'fail',
        status: 'ERROR',
        requestId: 'some-id',
      })
      expect(record['error']).to.deep.equal({ name: 'TypeError' })
      expect(record['ms']).to.be.a('number')
      expect(new Date(record['time'] as string).toISOString()).to.equal(record['time'])
      expect(line).to.not.include('secrets')
    })

    it('counts the items of a stream', async () => {
      const client = await serve({ format: 'json' })
      for await (const _ of client.count());
      expect(JSON.parse((await lines(1))[0]!)).to.include({ method: 'count', status: 'OK', items: 3 })
    })
  })

  it('refuses a format it does not know, naming those it does', () => {
    const format = 'xml' as 'json'
    expect(() => accessLog({ format })).to.throw("no format 'xml'. Use one of: classic, combined, json")
  })

  it('refuses an option it does not have, and values that would delete what is to be kept', () => {
    expect(making({ rotat: 'none' })).to.throw("accessLog has no option 'rotat'. Did you mean 'rotate'?")
    expect(making('json')).to.throw("accessLog takes an object of options, got 'json'.")
    expect(making(null)).to.throw('accessLog takes an object of options, got null.')
    expect(making({ rotate: 'nightly' })).to.throw("rotate of accessLog is 'daily' or 'none', got 'nightly'.")
    for (const keep of [-1, '15', Number.NaN, 1.5])
      expect(making({ keep })).to.throw('keep of accessLog is a whole')
    expect(making({ mode: '640' })).to.throw("mode of accessLog is permissions, such as 0o640, got '640'.")
    expect(making({ onTrouble: 5 })).to.throw('onTrouble of accessLog is a function, got 5.')
    expect(making({ keep: 0, mode: 0o600, rotate: 'none', device: true, format: 'json' })).not.to.throw()
  })

  describe('has one line', () => {
    it('for a call that failed, and for a method that is unknown', async () => {
      const client = (await serve()) as unknown as Client
      await failed(client['fail']!())
      await failed(client['nobody']!())
      expect(statuses(await lines(2))).to.deep.equal(['fail ERROR', 'nobody ERROR'])
    })

    it('for a call refused for its key, and for its version', async () => {
      const settings = { access_key: 'wrong', client_keys: ['right'] }
      const client = await serve({}, [headers()], { ZERORPC_MY_SRV: settings })
      await failed(client.foo())
      await failed(client.$with({ headers: { access_key: 'right', service_version: '9.9' } }).foo())
      await client.$with({ headers: { access_key: 'right' } }).foo()
      const all = await lines(3)
      expect(statuses(all)).to.deep.equal(['foo ERROR', 'foo ERROR', 'foo OK'])
      expect(all.map((line) => line.split(' ', 1)[0])).to.deep.equal(['wrong', 'right', 'right'])
    })

    it('for a call refused because the service is full, with the key as it was sent', async () => {
      const client = await serve({}, [], {}, { poolSize: 1, queueSize: 0 })
      const first = client.wait()
      await until('the call runs', () => tested.core.stats.now.running === 1)
      await failed(client.$with({ headers: { access_key: 'late' } }).foo())
      service.release()
      await first
      const all = await lines(2)
      expect(statuses(all)).to.deep.equal(['foo ERROR', 'wait OK'])
      expect(all[0]).to.match(/^late - /)
    })

    it('for a call that its caller cancelled', async () => {
      const client = await serve()
      const caller = new AbortController()
      const call = client.$with({ signal: caller.signal }).wait()
      call.catch(() => undefined)
      await until('the call runs', () => tested.core.stats.now.running === 1)
      caller.abort()
      await failed(call)
      expect(statuses(await lines(1))).to.deep.equal(['wait ERROR'])
    })

    it('for a call whose caller is lost', async () => {
      await serve()
      const heartbeat = { intervalMs: 20 }
      const endpoint = `${tested.endpoint}-lost`
      await tested.core.start(service, { bind: endpoint, heartbeat, signals: false })
      const other = createCore()
      const client = await other.client<MySrv>(endpoint, { heartbeat })
      client.wait().catch(() => undefined)
      await until('the call runs', () => tested.core.stats.now.running === 1)
      await other.stop()
      expect(statuses(await lines(1))).to.deep.equal(['wait ERROR'])
    })

    it('for a stream, at its end', async () => {
      const client = await serve()
      const items: number[] = []
      for await (const item of client.count()) {
        if (items.length === 0) expect(readFileSync(path, 'utf8')).to.equal('')
        items.push(item)
      }
      expect(items).to.deep.equal([1, 2, 3])
      expect(statuses(await lines(1))).to.deep.equal(['count OK'])
    })

    it('and none for calls this process makes', async () => {
      await using core = createCore({
        plugins: [accessLog()],
        config: { DEBUG: false, ZERORPC_ACCESS_LOG: path },
      })
      await serve({}, [], { ZERORPC_ACCESS_LOG: join(folder.path, 'other.log') })
      const client = await core.client<MySrv>(tested.endpoint)
      await client.foo()
      await core.stop()
      expect(existsSync(path)).to.equal(false)
    })
  })

  describe('cannot be deceived by what a caller sends:', () => {
    const hostile = {
      'a newline': 'x" - OK - 1ms\nNone - [2026-01-01 00:00:00,000] - "MySrv" - "forged',
      'a carriage return and a null': 'a\r\0b',
      'terminal escapes': '\u001b[2J\u009b31m',
      quotes: '"\\"',
      'separators of lines': '\u2028\u2029\u0085',
      'marks that turn text around': '\u202eevil',
      'half a character': '\ud800',
      spaces: 'a - [b] c',
      'nothing at all': '',
    }

    for (const [what, value] of Object.entries(hostile)) {
      it(`${what} in a method or key stays within its field, and can be read back`, async () => {
        const line = await loggedAs({}, value === '' ? 'foo' : value, value)
        const pattern = new RegExp(`^(\\S+) - ${classicTime} - "MySrv" - "([ !#-~]*)" - (OK|ERROR) - \\d+ms$`)
        const [, key = '', method = ''] = pattern.exec(line) ?? []
        expect(line).to.match(/^[ -~]+$/)
        expect(key === '""' ? '' : parsed(key)).to.equal(value.toWellFormed())
        if (value !== '') expect(parsed(method)).to.equal(value.toWellFormed())
      })

      it(`${what} in a key and a uuid breaks neither of the other formats`, async () => {
        const combined = await loggedAs({ format: 'combined' }, 'foo', value, value)
        expect(combined).to.match(/^- - \S+ \[[^\]]+\] "MySrv foo" OK - - - - \d+ \S+$/)
        await tested.stop()
        folder.remove()
        mkdirSync(folder.path)
        const json = await loggedAs({ format: 'json' }, 'foo', value, value)
        expect(json).to.match(/^[ -~]+$/)
        expect(JSON.parse(json)).to.include({ key: value.toWellFormed(), method: 'foo' })
      })
    }

    it('a field has 256 bytes at most, whatever is sent', async () => {
      const line = await loggedAs({}, 'foo', '\u00e9'.repeat(1_000_000))
      const [key = ''] = line.split(' ', 1)
      expect(key.length).to.be.within(240, 256)
      expect(key).to.match(/^(\\xc3\\xa9)+(\\xc3)?\.\.\.$/)
    })

    it('keys that are no text are named by their kind', async () => {
      const key = { 'a\nb': 1 }
      expect(await loggedAs({}, 'foo', key)).to.match(/^\[map\] - /)
    })
  })

  describe('goes', () => {
    it('to standard output in debug mode', async () => {
      const script = `
        import { testCore } from 'zask/testing'
        import { accessLog } from 'zask/plugins/access-log'
        class MySrv { foo() {} }
        const config = { DEBUG: true, ZERORPC_ACCESS_LOG: process.argv[1] }
        const tested = await testCore({ services: [new MySrv()], plugins: [accessLog()], config })
        await tested.client.foo()
        await tested.stop()`
      const args = ['--conditions=zask-source', '--input-type=module', '-e', script, path]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      expect(await outputOf(child)).to.match(
        new RegExp(`^None - ${classicTime} - "MySrv" - "foo" - OK - \\d+ms$`),
      )
      expect(existsSync(path)).to.equal(false)
    })

    it('to a path that starts at the root of the core', async () => {
      await using core = createCore({
        root: folder.path,
        plugins: [accessLog()],
        config: { DEBUG: false, ZERORPC_ACCESS_LOG: 'access.log' },
      })
      await core.start(new MySrv(), { bind: 'inproc://access-log-root', signals: false })
      expect(existsSync(path)).to.equal(true)
    })
  })

  describe('where the file cannot be written', () => {
    it('calls go on, the lines are counted, and it is written again by itself', async () => {
      const inner = join(folder.path, 'missing', 'access.log')
      const complaints: string[] = []
      const client = await serve({ onTrouble: (message) => complaints.push(message) }, [], {
        ZERORPC_ACCESS_LOG: inner,
      })
      expect(complaints).to.have.length(1)
      for (let i = 0; i < 10; i++) expect(await client.foo()).to.equal('bar')
      expect(log.lost).to.be.within(9, 10)
      mkdirSync(join(folder.path, 'missing'))
      while (!existsSync(inner)) expect(await client.foo()).to.equal('bar')
      await tested.stop()
      expect(complaints).to.have.length(2)
      expect(complaints[1]).to.include(`${log.lost} lines are lost meanwhile`)
    })

    it('a full disk costs no call: /dev/full', async () => {
      const complaints: string[] = []
      const options = { device: true, onTrouble: (message: string) => void complaints.push(message) }
      const client = await serve(options, [], { ZERORPC_ACCESS_LOG: '/dev/full' })
      for (let i = 0; i < 10; i++) expect(await client.foo()).to.equal('bar')
      await tested.stop()
      expect(log.lost).to.equal(10)
      expect((tested.core.stats as StatsReport).plugins['access-log']).to.deep.equal({ linesLost: 10 })
      expect(complaints[0]).to.include('no space (ENOSPC)')
      expect(complaints[1]).to.include('10 lines are lost')
    })

    it('because it is a directory the start fails, and says so', async () => {
      mkdirSync(path)
      const error: unknown = await serve().catch((thrown: unknown) => thrown)
      expect((error as Error).message)
        .to.include('access-log')
        .and.to.include('is a directory')
    })
  })

  it('of 100,000 calls in four processes loses and tears no line, while the file is moved every 200 ms', async () => {
    const served = new URL('access-log/served.ts', import.meta.url)
    const mover = rotateFromOutside(path)
    const children = ['a', 'b', 'c', 'd'].map((name) => startModule(served, path, name, '25000'))
    const lost = await Promise.all(children.map(outputOf))
    expect(await mover.stop()).to.be.greaterThan(2)
    expect(lost).to.deep.equal(['0', '0', '0', '0'])
    const { lines: all } = linesIn(folder.path)
    const whole = new RegExp(`^([a-d]-\\d+) - ${classicTime} - "Counter" - "count" - OK - \\d+ms$`)
    const keys = new Set(all.map((line) => whole.exec(line)?.[1] ?? `odd: ${line}`))
    expect(all).to.have.length(100_000)
    expect([...keys].filter((key) => key.startsWith('odd'))).to.deep.equal([])
    expect(keys.size).to.equal(100_000)
  }).timeout(120_000)
})
