import { expect } from 'chai'
import { type Core, type ServerStats, ZaskError } from '../../core/index.ts'
import { Cores, failure, pause, plugin, until } from '../support/cores.ts'

const cores = new Cores()
afterEach(() => cores.close())

class Work {
  static readonly service = 'work'
  static readonly version = '1.2'
  #release: (() => void)[] = []

  quick(): number {
    return 1
  }

  fail(): never {
    throw new RangeError('no')
  }

  hold(): Promise<void> {
    return new Promise((resolve) => this.#release.push(resolve))
  }

  *count(): Generator<number> {
    for (let i = 0; ; i++) yield i
  }

  static releaseAll(work: Work): void {
    for (const release of work.#release.splice(0)) release()
  }
}

interface Looker {
  $call(method: string, args?: readonly unknown[]): PromiseLike<unknown>
}

async function look(client: Looker): Promise<ServerStats> {
  return (await client.$call('_zask_stats')) as ServerStats
}

const open = (core: Core): number => core.stats.services[0]?.now.sessions ?? -1

describe('_zask_stats', () => {
  it('says what a service has done, and is none of the calls it tells of', async () => {
    const { core, endpoint } = await cores.serve(new Work())
    const { client } = await cores.client<Work>(endpoint)
    const before = await look(client)
    expect(before).to.deep.include({
      service: 'work',
      version: '1.2',
      endpoints: [endpoint],
      served: { ok: 0, failed: 0, overloaded: 0 },
      methods: {},
      now: { running: 0, queued: 0, sessions: 0, streams: 0 },
      latency: { p50Ms: null, p99Ms: null, buckets: [] },
      channels: 0,
    })
    expect(before.uptimeMs).to.be.at.least(0)
    for (let made = 0; made < 3; made++) await client.quick()
    await failure(client.fail())
    await failure(client.$call('nothing'))
    await until(() => open(core) === 0)
    const after = await look(client)
    expect(after.served).to.deep.equal({ ok: 3, failed: 2, overloaded: 0 })
    expect(after.methods).to.deep.equal({ quick: 3, fail: 1 })
    expect(after.latency.buckets.reduce((sum, [, count]) => sum + count, 0)).to.equal(5)
    expect(after.latency.p50Ms).to.be.greaterThan(0)
    expect(after.latency.p99Ms).to.be.at.least(after.latency.p50Ms as number)
    expect(after.process.rssBytes).to.be.greaterThan(1e6)
    expect(core.stats.services).to.have.length(1)
    expect(core.stats.services[0]?.served).to.deep.equal(after.served)
  })

  it('says what is going on', async () => {
    const work = new Work()
    const { core, endpoint } = await cores.serve(work, { poolSize: 2, queueSize: 1 })
    const { client } = await cores.client<Work>(endpoint)
    const stream = await client.count()
    await stream.next()
    const held = [client.hold(), client.hold()]
    await until(() => core.stats.now.queued === 1)
    const { now, channels } = await look(client)
    expect(now).to.deep.equal({ running: 2, queued: 1, sessions: 3, streams: 1 })
    expect(channels).to.equal(3)
    await stream.return()
    await until(() => core.stats.services[0]?.now.streams === 0)
    await until(() => core.stats.now.running === 2)
    Work.releaseAll(work)
    await Promise.all(held)
    // A stream is as long as its reader likes: it has no part in the latency.
    const { latency, served } = await look(client)
    expect(latency.buckets.reduce((sum, [, count]) => sum + count, 0)).to.equal(2)
    expect(served.ok + served.failed).to.equal(3)
  })

  it('is answered by a service that refuses all other calls', async () => {
    const work = new Work()
    const { endpoint } = await cores.serve(work, { poolSize: 1, queueSize: 0 })
    const { client } = await cores.client<Work>(endpoint)
    const held = client.hold()
    expect(await failure(client.quick())).to.include({ code: 'ZASK_SERVER_OVERLOADED' })
    const { served, now } = await look(client)
    expect(served).to.include({ failed: 1, overloaded: 1 })
    expect(now).to.include({ running: 1, sessions: 1 })
    Work.releaseAll(work)
    await held
  })

  it('stands behind the gates, and in no list of methods', async () => {
    const guard = plugin('guard', (core) => {
      core.hooks.beforeCall.tap('guard', (call) => {
        if (call.headers['key'] !== 'secret') throw new ZaskError('ZASK_HEADERS_KEY_UNKNOWN', 'no')
      })
    })
    const { endpoint } = await cores.serve(new Work(), { plugins: [guard] })
    const { client } = await cores.client<Work>(endpoint)
    expect(await failure(look(client))).to.include({ code: 'ZASK_HEADERS_KEY_UNKNOWN' })
    const known = client.$with({ headers: { key: 'secret' } })
    expect((await look(known)).service).to.equal('work')
    expect(await known.$call('_zerorpc_list')).to.have.members(['quick', 'fail', 'hold', 'count'])
  })

  it('tells of the event loop from the second look on', async () => {
    const { endpoint } = await cores.serve(new Work())
    const { client } = await cores.client<Work>(endpoint)
    expect((await look(client)).process.loop).to.equal(null)
    await pause(30)
    const { loop } = (await look(client)).process
    expect(loop?.lagMs).to.be.at.least(0)
    expect(loop?.busy).to.be.within(0, 1)
  })

  it('asks which is meant where services share an endpoint, naming them, and tells of that one', async () => {
    class Other {
      static readonly service = 'other'
      only(): string {
        return 'other'
      }
    }
    const { core, endpoint } = await cores.serve([new Work(), new Other()])
    const { client } = await cores.client<Other>(endpoint)
    expect(await client.only()).to.equal('other')
    const { code, details } = await failure(look(client))
    expect(code).to.equal('ZASK_SERVICE_AMBIGUOUS')
    expect(details).to.deep.equal({
      services: [
        ['work', '1.2'],
        ['other', null],
      ],
    })
    const { client: named } = await cores.client<Other>(endpoint, { service: 'other' })
    expect(await look(named)).to.deep.include({ service: 'other', methods: { only: 1 } })
    expect(core.stats.services.map(({ service }) => service)).to.deep.equal(['work', 'other'])
  })
})
