import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { defineEntity, p } from '@mikro-orm/core'
import { expect } from 'chai'
import { createCore, createLogger } from 'zask'
import { mikroOrm } from 'zask/plugins/mikro-orm'
import { Child } from '../../support/children.ts'
import { failure, pause } from '../../support/cores.ts'

const Entry = defineEntity({ name: 'Entry', properties: { id: p.integer().primary(), text: p.string() } })

describe('a SQLite file that another process has locked', function () {
  this.timeout(120_000)

  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-lock-'))
  })
  after(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  async function serve(name: string) {
    const file = join(folder, name)
    const db = mikroOrm({ entities: [Entry] })
    const core = createCore({ plugins: [db], config: { DATABASE_URI: `sqlite:///${file}` } })
    core.setLogger(createLogger({ write: () => undefined }))
    const service = {
      async write(text: string) {
        await db.em.insert(Entry, { text })
      },
      count: () => db.query(Entry).count(),
      echo: (value: number) => value,
    }
    await db.createAll()
    const heartbeat = { intervalMs: 500 }
    const bind = 'tcp://127.0.0.1:*'
    const { endpoints } = await core.start(service, { bind, heartbeat, signals: false })
    const caller = createCore()
    const client = await caller.client<typeof service>(endpoints, { heartbeat })
    const stop = async (): Promise<void> => {
      await caller.stop()
      await core.stop()
    }
    const hold = async (holdMs: number): Promise<Child> => {
      const child = new Child('../plugins/mikro-orm/lock-holder.ts', { file, holdMs })
      await child.says('locked')
      return child
    }
    return { client, hold, [Symbol.asyncDispose]: stop }
  }

  it('keeps writers waiting until it is free, while other calls and heartbeats go on', async () => {
    await using test = await serve('waited.db')
    const { client } = test
    await client.write('first')
    const holder = await test.hold(3_000)
    const lag = monitorEventLoopDelay({ resolution: 5 })
    lag.enable()
    const lock = { free: false }
    void holder.exited.then(() => (lock.free = true))
    const writes: Promise<unknown>[] = []
    const longest = { echo: 0 }
    while (!lock.free) {
      if (writes.length < 30) writes.push(Promise.resolve(client.write('waited')))
      const startedAt = performance.now()
      await client.echo(1)
      longest.echo = Math.max(longest.echo, performance.now() - startedAt)
      await pause(50)
    }
    lag.disable()
    await Promise.all(writes)
    expect(writes.length).to.be.greaterThan(5)
    expect(await client.count()).to.equal(writes.length + 1)
    // SQLite's own way to wait would stop the loop for three seconds. A busy machine stops it for a while, too.
    expect(lag.percentile(90) / 1e6).to.be.lessThan(500)
    expect(lag.max / 1e6).to.be.lessThan(2_000)
    expect(longest.echo).to.be.lessThan(2_500)
  })

  it('fails a write that has waited for 5 s, and no other call', async () => {
    await using test = await serve('failed.db')
    const { client } = test
    await client.write('first')
    const holder = await test.hold(30_000)
    try {
      const startedAt = performance.now()
      const error = await failure(client.write('refused'))
      expect(error).to.include({ remoteName: 'LockWaitTimeoutException', retryable: true })
      expect(performance.now() - startedAt).to.be.within(4_500, 20_000)
      expect(await client.count()).to.equal(1)
    } finally {
      holder.kill('SIGKILL')
      await holder.exited
    }
    await client.write('second')
    expect(await client.count()).to.equal(2)
  })
})
