import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createCore } from '../../core/index.ts'
import {
  hashOf,
  requirePython,
  runScript,
  startScript,
  type PythonOptions,
  type Step,
} from './python-peer.ts'

class Facing {
  static readonly service = 'facing'
  static readonly version = '1.0'

  /** Resolves when a stream of `ticks` was ended, however that came about. */
  readonly ticksEnded: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  readonly ticksBegun: PromiseWithResolvers<void> = Promise.withResolvers<void>()

  /** Add two numbers. */
  add(a: number, b = 1): number {
    return a + b
  }

  echo(value: unknown): unknown {
    return value
  }

  /** The JavaScript type a value arrived with, and its text. */
  kind(value: unknown): string[] {
    return value instanceof Uint8Array ? ['bytes', value.join()] : [typeof value, String(value)]
  }

  fail(message: string): never {
    throw new RangeError(message)
  }

  nothing(): void {}

  function(): () => void {
    return () => {}
  }

  async slow(ms: number): Promise<number> {
    await sleep(ms)
    return ms
  }

  *count(n: number): Generator<number> {
    for (let i = 0; i < n; i++) yield i
  }

  async *values(): AsyncGenerator {
    yield* [null, [], [1, 2], { k: 'v' }, 'str', Buffer.from('bin'), 0, false]
  }

  *none(): Generator<never> {}

  async *breaking(n: number): AsyncGenerator<number> {
    yield* this.count(n)
    throw new RangeError(`broke after ${n}`)
  }

  async *ticks(): AsyncGenerator<number> {
    try {
      this.ticksBegun.resolve()
      for (let i = 0; ; i++) {
        yield i
        await sleep(5)
      }
    } finally {
      this.ticksEnded.resolve()
    }
  }
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

describe('interop: a Python client calls a zask service', () => {
  const cores: { stop(): Promise<unknown> }[] = []
  let endpoint = ''

  before(async function () {
    requirePython(this)
    endpoint = (await serve(new Facing())).endpoint
  })

  after(async () => {
    await Promise.all(cores.map((core) => core.stop()))
  })

  afterEach(async () => {
    const core = createCore()
    const second = await core.client(endpoint)
    expect(await second.$call('add', [1, 2])).to.equal(3)
    await second.$close()
    await core.stop()
  })

  interface Heartbeat {
    heartbeat?: { intervalMs: number } | null
  }

  async function serve(service: Facing, options: Heartbeat = {}): Promise<{ endpoint: string }> {
    const core = createCore()
    cores.push(core)
    const started = await core.start(service, { bind: 'tcp://127.0.0.1:*', signals: false, ...options })
    return { endpoint: started.endpoints[0]! }
  }

  /** Runs the steps and gives what they came to, once it is sure that the Python side saw no fault in ours. */
  async function run(steps: Step[], options: PythonOptions = {}, at: string = endpoint) {
    const report = await runScript(at, steps, options)
    expect(report.violations, 'violations of the protocol').to.deep.equal([])
    expect(report.open, 'channels left open').to.equal(0)
    return report.steps
  }

  it('gets a value', async () => {
    const [sum, nested, nothing] = await run([
      { call: 'add', args: [1, 4] },
      { call: 'echo', args: [{ a: [1, 2, true], b: null }] },
      { call: 'nothing' },
    ])
    expect(sum?.value).to.equal(5)
    expect(nested?.value).to.deep.equal({ a: [1, 2, true], b: null })
    expect(nothing).to.have.property('value', null)
  })

  it('gets the name and the message of an error', async () => {
    const [failed] = await run([{ call: 'fail', args: ['so it is'] }])
    expect(failed?.error?.slice(0, 2)).to.deep.equal(['RangeError', 'so it is'])
  })

  it('gets a NameError for a method there is not, and for what is no method of the service', async () => {
    const names = [
      'nope',
      '_private',
      'constructor',
      'toString',
      '__proto__',
      '__defineGetter__',
      'ticksEnded',
    ]
    const steps = await run(names.map((call) => ({ call })))
    expect(steps.map((step) => step.error?.[0])).to.deep.equal(names.map(() => 'NameError'))
  })

  it('gets an error for a result that has no form on the wire, not silence', async () => {
    const [unencodable] = await run([{ call: 'function', timeout: 5 }])
    expect(unencodable?.error?.[0]).to.equal('TypeError')
  })

  it('gets a stream of 1,000 items in order, however slowly it reads', async () => {
    const steps = await run([
      { call: 'count', args: [1000] },
      { call: 'count', args: [1000], delay: 0.001 },
      { call: 'count', args: [200], delay: 0.001, slots: 10 },
      { call: 'count', args: [100], slots: 2 },
    ])
    const expected = [1000, 1000, 200, 100]
    expect(steps.map(({ count, hash, terminal }) => ({ count, hash, terminal }))).to.deep.equal(
      expected.map((count) => ({ count, hash: hashOf(numbers(count)), terminal: 'STREAM_DONE' })),
    )
  })

  it('gets a stream of values of every kind, bare', async () => {
    const [values] = await run([{ call: 'values' }])
    const bytes = { $bytes: '62696e' }
    expect(values?.head).to.deep.equal([null, [], [1, 2], { k: 'v' }, 'str', bytes, 0, false])
  })

  it('gets an empty stream as a stream', async () => {
    const [none] = await run([{ call: 'none' }])
    expect(none).to.include({ count: 0, terminal: 'STREAM_DONE' })
  })

  it('gets the error of a stream after the items before it, and alone where there are none', async () => {
    const [late, early] = await run([
      { call: 'breaking', args: [150] },
      { call: 'breaking', args: [0] },
    ])
    expect(late).to.include({ count: 150, hash: hashOf(numbers(150)), terminal: 'ERR' })
    expect(late?.error?.slice(0, 2)).to.deep.equal(['RangeError', 'broke after 150'])
    expect(early?.error?.slice(0, 2)).to.deep.equal(['RangeError', 'broke after 0'])
  })

  it('gets the six built-ins in the shapes its command line reads', async () => {
    const [ping, name, list, help, args, inspect, unknown] = await run([
      { call: '_zerorpc_ping' },
      { call: '_zerorpc_name' },
      { call: '_zerorpc_list' },
      { call: '_zerorpc_help', args: ['add'] },
      { call: '_zerorpc_args', args: ['add'] },
      { call: '_zerorpc_inspect' },
      { call: '_zerorpc_help', args: ['nope'] },
    ])
    expect(ping?.value).to.deep.equal(['pong', 'facing'])
    expect(name?.value).to.equal('facing')
    expect(list?.value).to.include.members(['add', 'echo', 'count'])
    expect(list?.value).to.not.include.members(['constructor', 'ticksEnded'])
    expect(help?.value).to.equal('Add two numbers.')
    expect(args?.value).to.deep.equal([['a', 'b'], null, null, [1]])
    expect(inspect?.value).to.have.property('name', 'facing')
    expect(inspect?.value).to.have.deep.nested.property('methods.add', {
      args: [{ name: 'a' }, { name: 'b', default: 1 }],
      doc: 'Add two numbers.',
    })
    expect(unknown?.error?.[0]).to.equal('KeyError')
  })

  it('has integers of 64 bits carried both ways without loss', async () => {
    const integers = [2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n]
    const echoes = await run(integers.map((integer) => ({ call: 'echo', args: [integer] })))
    expect(echoes.map((step) => step.value)).to.deep.equal(integers.map((i) => ({ $int: String(i) })))
    const kinds = await run(integers.map((integer) => ({ call: 'kind', args: [integer] })))
    expect(kinds.map((step) => step.value)).to.deep.equal(integers.map((i) => ['bigint', String(i)]))
  })

  it('gets integers as int, never as float, on either side of 32 bits', async () => {
    const integers = [0, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 40, -(2 ** 53) + 1, 2 ** 53 - 1]
    const steps = await run(integers.map((integer) => ({ call: 'echo', args: [integer] })))
    // The Python peer tags a float, so a plain number is an int over there.
    expect(steps.map((step) => step.value)).to.deep.equal(integers)
  })

  it('has bytes and text kept apart, text of any script whole', async () => {
    const text = 'héllo ☃ 日本語 \u{1f40d} \0 end'
    const bytes = Uint8Array.of(0, 255, 128)
    const steps = await run([
      { call: 'echo', args: [text] },
      { call: 'echo', args: [bytes] },
      { call: 'kind', args: [bytes] },
      { call: 'echo', args: ['x'.repeat(100_000)] },
    ])
    expect(steps.map((step) => step.value)).to.deep.equal([
      text,
      { $bytes: '00ff80' },
      ['bytes', '0,255,128'],
      'x'.repeat(100_000),
    ])
  })

  for (const ids of ['str', 'int'] as const) {
    it(`gets its ids back as they were when they are of the type ${ids}`, async () => {
      const session: Step[] = [
        { call: 'add', args: [1, 4] },
        { call: 'count', args: [300] },
        { call: 'fail', args: ['no'] },
      ]
      const [sum, stream, failed] = await run(session, { ids })
      expect(sum?.value).to.equal(5)
      expect(stream).to.include({ count: 300, terminal: 'STREAM_DONE' })
      expect(failed?.error?.[0]).to.equal('RangeError')
    })
  }

  it('may open a channel with a heartbeat and send the request on it', async () => {
    const [sum] = await run([{ call: 'add', args: [1, 4], beat_first: true, timeout: 5 }])
    expect(sum?.value).to.equal(5)
  })

  it('may send header keys of its own', async () => {
    const headers = { service_name: 'facing', access_key: 'a key', uuid: 'a uuid', unheard_of: '' }
    const [sum] = await run([{ call: 'add', args: [1, 4], headers }])
    expect(sum?.value).to.equal(5)
  })

  it('gets 100 answers to 100 calls made at once', async () => {
    const [burst] = await run([{ call: 'add', args: [1000], burst: 100 }])
    expect(burst?.results?.map((one) => one.value)).to.deep.equal(numbers(100).map((i) => i + 1000))
  })

  it('may stop waiting for an answer, whose coming then harms nobody', async () => {
    const [impatient, , after] = await run([
      { call: 'slow', args: [300], timeout: 0.1 },
      { wait: 0.4 },
      { call: 'add', args: [1, 4] },
    ])
    expect(impatient?.failed?.[0]).to.equal('TimeoutExpired')
    expect(after?.value).to.equal(5)
  })

  describe('with heartbeats every 0.5 s', () => {
    const call: Step = { call: 'slow', args: [2500] }

    it('waits for a call that takes five of them, when the service beats as often', async () => {
      const { endpoint: at } = await serve(new Facing(), { heartbeat: { intervalMs: 500 } })
      const [slow] = await run([call], { heartbeat: 0.5 }, at)
      expect(slow?.value).to.equal(2500)
    })

    it('waits for a call that takes five of them, when the service has its default heartbeat', async () => {
      const [slow] = await run([call], { heartbeat: 0.5 })
      expect(slow?.value).to.equal(2500)
    })

    it('waits as well when it beats only in answer, as the zerorpc command line does', async () => {
      const { endpoint: at } = await serve(new Facing(), { heartbeat: { intervalMs: 500 } })
      const [slow] = await run([call], { heartbeat: 0.5, passive: true }, at)
      expect(slow?.value).to.equal(2500)
    })

    it('reads a stream to its end for longer than three of them', async () => {
      const { endpoint: at } = await serve(new Facing(), { heartbeat: { intervalMs: 500 } })
      const [stream] = await run([{ call: 'count', args: [150], delay: 0.015 }], { heartbeat: 0.5 }, at)
      expect(stream).to.include({ count: 150, hash: hashOf(numbers(150)), terminal: 'STREAM_DONE' })
    })

    it('drops a stream early, and the generator is ended', async () => {
      const service = new Facing()
      const { endpoint: at } = await serve(service, { heartbeat: { intervalMs: 500 } })
      // The reader must have beaten once before it goes: zask judges a plain peer by the beats that stay away.
      const session: Step[] = [
        { call: 'ticks', take: 60, delay: 0.02 },
        { call: 'add', args: [1, 4] },
      ]
      const [stream, sum] = await run(session, { heartbeat: 0.5 }, at)
      expect(stream).to.include({ count: 60, hash: hashOf(numbers(60)), terminal: 'STREAM' })
      expect(sum?.value).to.equal(5)
      await service.ticksEnded.promise
    })

    it('is killed in the middle of a stream, and the generator is ended', async () => {
      const service = new Facing()
      const { endpoint: at } = await serve(service, { heartbeat: { intervalMs: 500 } })
      const script = startScript(at, [{ call: 'ticks', delay: 0.01 }], { heartbeat: 0.5 })
      await service.ticksBegun.promise
      await sleep(1200) // the peer must have beaten once to be judged
      await script.kill()
      await service.ticksEnded.promise
      expect(await run([{ call: 'add', args: [1, 4] }], {}, at)).to.have.nested.property('[0].value', 5)
    })
  })

  describe('without heartbeats', () => {
    const session: Step[] = [
      { call: 'slow', args: [2000] },
      { call: 'count', args: [300] },
    ]

    it('is served by a service that has none either', async () => {
      const { endpoint: at } = await serve(new Facing(), { heartbeat: null })
      const [slow, stream] = await run(session, { heartbeat: null }, at)
      expect(slow?.value).to.equal(2000)
      expect(stream).to.include({ count: 300, terminal: 'STREAM_DONE' })
    })

    it('is not given up by a service that beats: Python zask never does', async () => {
      const { endpoint: at } = await serve(new Facing(), { heartbeat: { intervalMs: 500 } })
      const [slow, stream] = await run(session, { heartbeat: null }, at)
      expect(slow?.value).to.equal(2000)
      expect(stream).to.include({ count: 300, terminal: 'STREAM_DONE' })
    })
  })
})
