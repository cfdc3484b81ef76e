import { pbkdf2Sync } from 'node:crypto'
import { expect } from 'chai'
import { type Client, type Core, createCore, createLogger } from '../../core/index.ts'
import { Child } from '../support/children.ts'
import { Cores, failure, pause, until } from '../support/cores.ts'

function spin(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end) Math.sqrt(end)
}

class Renderer {
  static readonly service: string = 'renderer'

  async page(ms: number): Promise<string> {
    await pause(1)
    spin(ms)
    return 'page'
  }

  hash(rounds: number): number {
    return pbkdf2Sync('password', 'salt', rounds, 64, 'sha512').length
  }
}

const threads = (): string[] => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort')

describe('a core whose event loop is held up', function () {
  this.timeout(30_000)
  const cores = new Cores()
  const own: Core[] = []
  const lines: string[] = []
  let warned = 0
  afterEach(async () => {
    await Promise.all(own.splice(0).map((core) => core.stop()))
    await cores.close()
    lines.splice(0)
  })

  function write(line: string): void {
    lines.push(line)
    warned++
  }

  /** A service that has been up long enough for its loop to be watched. */
  async function watched(blockedLoopMs: number): Promise<{ core: Core; client: Client<Renderer> }> {
    const core = createCore({ blockedLoopMs }) as Core
    own.push(core)
    core.setLogger(createLogger({ write }))
    const { endpoints } = await core.start(new Renderer(), { bind: 'tcp://127.0.0.1:*', signals: false })
    const { client } = await cores.client<Renderer>(endpoints)
    await pause(2 * blockedLoopMs + 200)
    return { core, client }
  }

  /**
   * The one line that the log has of it. On a busy machine it may have to be held up for longer, until the thread that
   * watches gets to look in time: before that there is no line, or one that says so, or one of a moment in which the
   * process itself got no time.
   */
  async function lineOf(hold: (ms: number) => Promise<unknown>): Promise<string> {
    for (let ms = 400; ; ms *= 2) {
      lines.splice(0)
      await hold(ms)
      await pause(20)
      const found = lines.filter((line) => line.includes(' by renderer.') && line.includes(', at '))
      if (found.length > 0 || ms > 5000) {
        expect(found, lines.join('\n')).to.have.length(1)
        return found[0]!
      }
    }
  }

  it('names the method and the line it is at, in JavaScript and in native code', async () => {
    warned = 0
    const { core, client } = await watched(100)
    const spinning = await lineOf((ms) => client.page(ms))
    expect(spinning).to.match(/WARN the event loop was held up for \d{3,} ms by renderer\.page, at /)
    expect(spinning).to.match(/ at \S+loop-watch\.test\.ts:9:\d+ \(spin\)/)
    expect(spinning).to.match(/method=page call=\S+/)
    // Native code is found at the line that called it.
    const started = performance.now()
    await client.hash(20_000)
    const roundsPerMs = 20_000 / (performance.now() - started)
    const hashing = await lineOf((ms) => client.hash(Math.ceil(roundsPerMs * ms)))
    expect(hashing).to.match(/by renderer\.hash, at \S+loop-watch\.test\.ts:22:\d+ \(hash\)/)
    expect(core.stats.limits.blockedLoopMs).to.equal(warned)
  })

  it('leaves no thread and no timer behind, and starts none where it is not to look', async () => {
    const before = threads().length
    const { core } = await watched(20)
    await core.stop()
    expect(threads()).to.have.length(before)
    const off = createCore({ blockedLoopMs: Infinity })
    own.push(off)
    await off.start(new Renderer(), { bind: 'inproc://not-watched', signals: false })
    await pause(50)
    expect(threads()).to.have.length(before)
  })

  it('says on standard error what never comes back, for the log cannot', async () => {
    const child = new Child('looping-child.ts', {})
    try {
      const [endpoint] = (await child.says('endpoints')) as string[]
      const { client } = await cores.client<{ forever(): never }>(endpoint as string, { timeoutMs: 60_000 })
      await pause(500)
      void failure(client.$call('forever', []))
      await until(() => child.errors.includes('has not come back'))
      expect(child.errors).to.match(
        /the event loop is held up by forever and has not come back: forever \(file:\S+looping-child\.ts:6:\d+\)/,
      )
    } finally {
      child.kill('SIGKILL')
    }
  })
})
