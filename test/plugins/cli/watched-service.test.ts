import { expect } from 'chai'
import { type Client, RemoteError, ZaskError } from '../../../core/index.ts'
import { type Sample, WatchedService } from '../../../plugins/cli/watched-service.ts'

const stats = (more: object): unknown => ({
  service: 'users',
  version: '1.0',
  endpoints: [],
  uptimeMs: 1000,
  served: { ok: 10, failed: 2, overloaded: 0 },
  methods: {},
  now: { running: 1, queued: 2, sessions: 4, streams: 1 },
  latency: { p50Ms: 1, p99Ms: 1, buckets: [[1000, 12]] },
  channels: 3,
  process: { uptimeMs: 5000, rssBytes: 5, heapUsedBytes: 4, loop: null },
  ...more,
})

type Answers = Record<string, unknown>

/** A watched service, and a way to look at it that says what its server does. */
function watch(): {
  readonly look: (answers: Answers, up?: boolean) => Promise<Sample[]>
  readonly asked: readonly string[]
} {
  let answers: Answers = {}
  let connected = true
  const asked: string[] = []
  const client = {
    $call: async (method: string) => {
      asked.push(method)
      const answer = answers[method]
      if (answer instanceof Error) throw answer
      return answer
    },
    $with: () => client,
    get $endpoints() {
      return [{ endpoint: 'tcp://127.0.0.1:1', up: connected, calls: 0 }]
    },
  }
  const watched = new WatchedService(client as unknown as Client, 100)
  return {
    asked,
    async look(now, up = true) {
      answers = now
      await watched.look()
      connected = up
      return watched.samples()
    },
  }
}

const ask = '_zask_stats'
const ping = '_zerorpc_ping'

describe('a watched service', () => {
  it('has rates and quantiles of what was between two looks', async () => {
    const { look } = watch()
    const [first] = await look({ [ask]: stats({}) })
    expect(first).to.include({
      service: 'users',
      state: 'up',
      callsPerSecond: null,
      p50Ms: null,
      running: 1,
      queued: 2,
    })
    const buckets = [[1000, 13], [2000, 97], [9000, 3]] // prettier-ignore
    const later = stats({
      uptimeMs: 3000,
      served: { ok: 100, failed: 12, overloaded: 0 },
      latency: { p50Ms: 2, p99Ms: 2, buckets },
      process: { uptimeMs: 7000, rssBytes: 6, heapUsedBytes: 4, loop: { lagMs: 7, busy: 0.5 } },
    })
    const [second] = await look({ [ask]: later })
    expect(second).to.include({ callsPerSecond: 50, failedPerSecond: 5, p50Ms: 2, p99Ms: 9, lagMs: 7 })
  })

  it('does not count backwards when the server was started anew', async () => {
    const { look } = watch()
    await look({ [ask]: stats({}) })
    const [sample] = await look({ [ask]: stats({ uptimeMs: 10, served: { ok: 1, failed: 0 } }) })
    expect(sample).to.include({ state: 'up', callsPerSecond: null, p50Ms: null, running: 1 })
  })

  it('is down without an answer, and at once where the connection is gone', async () => {
    const { look } = watch()
    const silent = new ZaskError('ZASK_CALL_TIMEOUT', 'timeout')
    expect((await look({ [ask]: stats({}) }, false))[0]).to.include({
      state: 'down',
      running: null,
      service: 'users',
    })
    expect((await look({ [ask]: stats({}) }))[0]).to.include({ state: 'up' })
    expect((await look({ [ask]: silent, [ping]: silent }))[0]).to.include({ state: 'down', running: null })
    expect((await look({ [ask]: stats({}) }))[0]).to.include({ state: 'up', callsPerSecond: null })
  })

  it('is plain where its server knows pings only, and is asked for figures again after it was down', async () => {
    const { look, asked } = watch()
    const unknown = new RemoteError('NameError', ask)
    const plain = { [ask]: unknown, [ping]: ['pong', 'old'] }
    const [sample] = await look(plain)
    expect(sample).to.include({ state: 'plain', service: 'old', running: null })
    expect(sample?.pingMs).to.be.at.least(0)
    await look(plain)
    expect(asked).to.deep.equal([ask, ping, ping])
    const gone = new ZaskError('ZASK_PEER_UNREACHABLE', 'gone')
    expect((await look({ [ask]: gone, [ping]: gone }))[0]).to.include({ state: 'down', service: 'old' })
    expect((await look({ [ask]: stats({}) }))[0]).to.include({ state: 'up', service: 'users' })
  })

  it('says why a zask server is plain, for as long as it is', async () => {
    const { look } = watch()
    const kept = new RemoteError('NameError', ask, '', { code: 'ZASK_METHOD_UNKNOWN' })
    const plain = { [ask]: kept, [ping]: ['pong', 'users'] }
    const problem = 'tells no figures: start it without introspection: false to see them'
    expect((await look(plain))[0]).to.include({ state: 'plain', service: 'users', problem })
    expect((await look(plain))[0]).to.include({ state: 'plain', problem })
  })

  it('is refused where a gate says no', async () => {
    const { look } = watch()
    const no = new RemoteError('NoSuchAccessKeyException', "No such key 'None'.", '', {
      code: 'ZASK_HEADERS_KEY_UNKNOWN',
    })
    const [sample] = await look({ [ask]: no })
    expect(sample).to.include({ state: 'refused', problem: "NoSuchAccessKeyException: No such key 'None'." })
  })

  it('makes numbers of whatever a hostile server answers', async () => {
    for (const answer of [
      null,
      5,
      'text',
      [],
      stats({
        served: 'x',
        now: [],
        latency: { buckets: [5, ['a', {}]] },
        process: null,
        service: {},
        uptimeMs: NaN,
      }),
    ]) {
      const { look } = watch()
      await look({ [ask]: answer })
      const [sample] = await look({ [ask]: answer })
      expect(sample).to.include({ state: 'up', service: 'a service', callsPerSecond: null, sessions: 0 })
    }
  })

  it('is asked once at a time', async () => {
    let answer: ((stats: unknown) => void) | undefined
    let asked = 0
    const client = {
      $call: () => {
        asked++
        return new Promise((resolve) => (answer = resolve))
      },
      $endpoints: [{ endpoint: 'tcp://127.0.0.1:1', up: true, calls: 1 }],
    }
    const watched = new WatchedService(client as unknown as Client, 100)
    const looks = [watched.look(), watched.look()]
    expect([asked, watched.samples()[0]?.state]).to.deep.equal([1, 'starting'])
    answer?.(stats({}))
    await Promise.all(looks)
    expect(watched.samples()[0]?.state).to.equal('up')
    void watched.look()
    expect(asked).to.equal(2)
  })
})
