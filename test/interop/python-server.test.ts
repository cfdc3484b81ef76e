import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createCore } from '../../core/index.ts'
import { PythonServer, requirePython, type PythonOptions } from './python-peer.ts'

interface Stats {
  open: number
  violations: number
  header_keys: string[]
  calls: number
  /** Methods cut short because their caller was lost. */
  cut: number
}

/** What `Service` of zerorpc_peer.py looks like from here. */
interface PythonService {
  add(a: number, b: number): Promise<number>
  echo(x: unknown): Promise<unknown>
  kind(x: unknown): Promise<[type: string, repr: string]>
  fail(message: string): Promise<void>
  unserializable(): Promise<void>
  slow(seconds: number): Promise<number>
  stream(n: number): AsyncIterable<number>
  slow_stream(n: number, seconds: number): AsyncIterable<number>
  empty_stream(): AsyncIterable<never>
  stream_values(): AsyncIterable<unknown>
  stream_error(n: number): AsyncIterable<number>
  stats(): Promise<Stats>
}

interface ClientOptions {
  timeoutMs?: number
  heartbeat?: { intervalMs: number } | null
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

async function take<T>(stream: AsyncIterable<T>, limit = Infinity, restMs?: number): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) {
    items.push(item)
    if (items.length >= limit) break
    if (restMs !== undefined) await sleep(restMs)
  }
  return items
}

async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection, got an answer')
}

describe('interop: a zask client calls a Python server', () => {
  const core = createCore()
  const servers: PythonServer[] = []
  let server: PythonServer
  let client: Awaited<ReturnType<typeof connect>>

  async function connect(endpoint: string, options: ClientOptions = {}) {
    return core.client<PythonService>(endpoint, { timeoutMs: 5000, ...options })
  }

  async function startPython(options: PythonOptions = {}): Promise<PythonServer> {
    const started = await PythonServer.start(options)
    servers.push(started)
    return started
  }

  before(async function () {
    requirePython(this)
    server = await startPython()
    client = await connect(server.endpoint)
  })

  // Whatever a test did, every Python server is as good as new for somebody else and saw nothing amiss.
  afterEach(async () => {
    for (const one of servers) {
      const second = await connect(one.endpoint)
      expect(await second.add(1, 2)).to.equal(3)
      expect((await second.stats()).violations, 'violations of the protocol').to.equal(0)
      await second.$close()
    }
  })

  after(async () => {
    await core.stop()
    for (const one of servers) expect((await one.stop()).violations).to.deep.equal([])
  })

  it('gets a value', async () => {
    expect(await client.add(1, 4)).to.equal(5)
    expect(await client.$call('add', [1])).to.equal(2)
    expect(await client.echo({ a: [1, 2, true], b: null })).to.deep.equal({ a: [1, 2, true], b: null })
    expect(await client.echo(null)).to.equal(null)
  })

  it('gets the class, the message and the traceback of an error', async () => {
    const error = await thrownBy(client.fail('so it is'))
    expect(error).to.include({ name: 'RemoteError', remoteName: 'ValueError', message: 'so it is' })
    expect(error)
      .to.have.property('remoteTraceback')
      .that.matches(/^Traceback \(most recent call last\)/)
  })

  it('gets the error of a result that Python cannot send', async () => {
    expect(await thrownBy(client.unserializable())).to.include({ remoteName: 'TypeError' })
  })

  it('gets a NameError for a method there is not', async () => {
    const error = await thrownBy(client.$call('nope', []))
    expect(error).to.include({ remoteName: 'NameError', message: 'nope' })
  })

  it('gets a TypeError for a wrong number of arguments', async () => {
    expect(await thrownBy(client.$call('add', [1, 2, 3]))).to.include({ remoteName: 'TypeError' })
  })

  it('gets a stream of 1,000 items in order', async () => {
    expect(await take(client.stream(1000))).to.deep.equal(numbers(1000))
  })

  it('gets a stream of 1,000 items in order when it reads slowly', async () => {
    expect(await take(client.stream(1000), Infinity, 1)).to.deep.equal(numbers(1000))
  })

  it('gets 20 streams at once, none mixed up with another', async () => {
    const streams = await Promise.all(numbers(20).map((i) => take(client.stream(200 + i))))
    expect(streams).to.deep.equal(numbers(20).map((i) => numbers(200 + i)))
  })

  it('gets a stream of values of every kind', async () => {
    const values = await take(client.stream_values())
    expect(
      values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value)),
    ).to.deep.equal([null, [], [1, 2], { k: 'v' }, 'str', 'bin', 0, false])
    expect(values[5]).to.be.instanceOf(Uint8Array)
  })

  it('gets an empty stream', async () => {
    expect(await take(client.empty_stream())).to.deep.equal([])
  })

  it('gets the error of a stream after the items before it', async () => {
    const items: number[] = []
    const reading = (async () => {
      for await (const item of client.stream_error(150)) items.push(item)
    })()
    expect(await thrownBy(reading)).to.include({
      remoteName: 'ValueError',
      message: 'stream broke after 150',
    })
    expect(items).to.deep.equal(numbers(150))
    expect(await thrownBy(take(client.stream_error(0)))).to.include({ remoteName: 'ValueError' })
  })

  it('gets the six built-ins', async () => {
    expect(await client.$call('_zerorpc_ping', [])).to.deep.equal(['pong', 'Service'])
    expect(await client.$call('_zerorpc_name', [])).to.equal('Service')
    expect(await client.$call('_zerorpc_list', [])).to.include.members(['add', 'stream'])
    expect(await client.$call('_zerorpc_help', ['add'])).to.match(/^Add two numbers\./)
    expect(await client.$call('_zerorpc_args', ['add'])).to.deep.equal([['self', 'a', 'b'], null, null, [1]])
    expect(await client.$call('_zerorpc_inspect', [])).to.have.deep.nested.property('methods.echo', {
      args: [{ name: 'self' }, { name: 'x' }],
      doc: null,
    })
  })

  it('has integers of 64 bits carried both ways without loss, and Python sees each as int', async () => {
    for (const integer of [2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n]) {
      expect(await client.echo(integer)).to.equal(integer)
      expect(await client.kind(integer)).to.deep.equal(['int', String(integer)])
    }
    for (const integer of [0, -1, 2 ** 31, 2 ** 32, 2 ** 40, -(2 ** 53) + 1, 2 ** 53 - 1]) {
      expect(await client.echo(integer)).to.equal(integer)
      expect(await client.kind(integer)).to.deep.equal(['int', String(integer)])
    }
    expect(await client.kind(1.5)).to.deep.equal(['float', '1.5'])
  })

  it('has bytes and text kept apart, text of any script whole', async () => {
    const text = 'héllo ☃ 日本語 \u{1f40d} \0 end'
    expect(await client.echo(text)).to.equal(text)
    expect(await client.kind(Buffer.of(0, 255))).to.deep.equal(['bytes', String.raw`b'\x00\xff'`])
    const bytes = await client.echo(Uint8Array.of(0, 255, 128))
    expect(bytes)
      .to.be.instanceOf(Uint8Array)
      .and.to.deep.equal(Buffer.of(0, 255, 128))
  })

  it('refuses a map with a key that is no text, which Python would drop without an answer', async () => {
    const error = await thrownBy(client.echo(new Map([[1, 2]])))
    expect(error).to.have.property('code', 'ZASK_WIRE_NOT_ENCODABLE')
  })

  it('gets 100 answers to 100 calls made at once', async () => {
    const answers = await Promise.all(numbers(100).map((i) => client.add(i, 1000)))
    expect(answers).to.deep.equal(numbers(100).map((i) => i + 1000))
  })

  it('stops waiting when its time is over, and the late answer harms nobody', async () => {
    const impatient = await connect(server.endpoint, { timeoutMs: 100 })
    expect(await thrownBy(impatient.slow(0.3))).to.have.property('code', 'ZASK_CALL_TIMEOUT')
    await sleep(400)
    expect(await impatient.add(1, 4)).to.equal(5)
    await impatient.$close()
  })

  it('drops a stream early and is answered as before', async () => {
    expect(await take(client.stream(1000), 5)).to.deep.equal([0, 1, 2, 3, 4])
    expect(await client.add(1, 4)).to.equal(5)
  })

  it('loses the calls in flight when the server is killed, with LostRemote and not by timeout', async () => {
    const doomed = await PythonServer.start()
    const caller = await connect(doomed.endpoint, { timeoutMs: 60_000 })
    expect(await caller.add(1, 4)).to.equal(5)
    const lost = Promise.all([caller.slow(60), take(caller.slow_stream(1000, 0.1))].map(thrownBy))
    await sleep(200)
    await doomed.kill()
    for (const error of await lost) expect(error).to.include({ name: 'LostRemote', code: 'ZASK_PEER_LOST' })
    await caller.$close()
  })

  describe('with heartbeats every 0.5 s', () => {
    const beating = { heartbeat: { intervalMs: 500 } }
    let python: PythonServer

    before(async () => {
      python = await startPython({ heartbeat: 0.5 })
    })

    async function stats(): Promise<Stats> {
      const asker = await connect(python.endpoint)
      const seen = await asker.stats()
      await asker.$close()
      return seen
    }

    it('waits for a call that takes five of them, and the server does not lose it', async () => {
      const caller = await connect(python.endpoint, beating)
      expect(await caller.slow(2.5)).to.equal(2.5)
      await caller.$close()
      expect((await stats()).cut).to.equal(0)
    })

    it('waits for a call that takes five of them with its default heartbeat', async () => {
      const caller = await connect(python.endpoint)
      expect(await caller.slow(2.5)).to.equal(2.5)
      await caller.$close()
      expect((await stats()).cut).to.equal(0)
    })

    it('reads a stream of 1,000 items for longer than three of them', async () => {
      const caller = await connect(python.endpoint, beating)
      expect(await take(caller.stream(1000), Infinity, 1)).to.deep.equal(numbers(1000))
      expect(await take(caller.slow_stream(20, 0.1))).to.deep.equal(numbers(20))
      await caller.$close()
      expect((await stats()).cut).to.equal(0)
    })

    it('drops a stream early, and the server finds out and ends it', async () => {
      const caller = await connect(python.endpoint, beating)
      expect(await take(caller.slow_stream(100_000, 0.01), 5)).to.deep.equal([0, 1, 2, 3, 4])
      // Silence is all a plain server is told; two to three heartbeats later it cuts the method short.
      while ((await stats()).cut === 0) await sleep(100)
      expect((await stats()).open).to.equal(0)
      expect(await caller.add(1, 4)).to.equal(5)
      await caller.$close()
    })
  })

  describe('without heartbeats', () => {
    let python: PythonServer

    before(async () => {
      python = await startPython({ heartbeat: null })
    })

    it('waits for a server that never beats, having none itself', async () => {
      const caller = await connect(python.endpoint, { heartbeat: null })
      expect(await caller.slow(2)).to.equal(2)
      expect(await take(caller.stream(300))).to.deep.equal(numbers(300))
      await caller.$close()
    })

    it('does not give up a server that never beats, as Python zask does not, though it would beat itself', async () => {
      const caller = await connect(python.endpoint, { heartbeat: { intervalMs: 500 } })
      expect(await caller.slow(2)).to.equal(2)
      await caller.$close()
    })
  })
})
