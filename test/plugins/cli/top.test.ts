import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { RemoteError } from '../../../core/index.ts'
import type { Sample } from '../../../plugins/cli/watched-service.ts'
import { Cores, plugin } from '../../support/cores.ts'
import { type Said, zaskHere } from '../../support/command-line.ts'
import { freePort } from '../../support/ports.ts'
import { repository, sourceCondition, Spawned } from '../../support/processes.ts'
import { keys, PseudoTerminal } from '../../support/pseudo-terminal.ts'
import { RawRouter } from '../../support/raw-peer.ts'

class Sums {
  static readonly service = 'sums'
  static readonly version = '1.0'

  add(a: number, b: number): number {
    return a + b
  }

  fail(): never {
    throw new RangeError('no')
  }
}

class Names {
  static readonly service = 'names'

  first(): string {
    return 'a'
  }
}

const script = [sourceCondition, 'plugins/cli/main.ts', 'top']
const from = (path: string): string => JSON.stringify(`${repository}/${path}`)
const nobody = 'ipc:///tmp/nobody-is-here.sock'

const samplesIn = (text: string): Sample[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Sample)

const cores = new Cores()
const closing: (() => void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) close()
  await cores.close()
})

const guard = plugin('guard', (core) => {
  core.hooks.beforeCall.tap('guard', () => {
    throw new RangeError('nobody comes in')
  })
})

/** A server that answers as zerorpc-python does, and knows no figures. */
async function servePlain(): Promise<string> {
  const router = new RawRouter()
  const endpoint = await router.bind()
  const closed = new AbortController()
  closing.push(() => {
    closed.abort()
    router.close()
  })
  void (async () => {
    while (!closed.signal.aborted) {
      const message = await router.next().catch(() => undefined)
      const name = message?.events[0]?.name
      if (message === undefined || name === undefined || name.startsWith('_zpc')) continue
      if (name === '_zerorpc_ping') void router.reply(message, 'OK', [['pong', 'old']])
      else void router.reply(message, 'ERR', ['NameError', name, ''])
    }
  })()
  return endpoint
}

/** Runs `zask top` in a terminal until it shows a service, then ends it somehow. */
async function leave(
  end: (terminal: PseudoTerminal, pid: number) => void,
): Promise<{ code: number; sane: boolean; terminal: PseudoTerminal }> {
  const { endpoint } = await cores.serve(new Sums())
  const folder = await mkdtemp(join(tmpdir(), 'zask-top-'))
  const words = [process.execPath, ...script, endpoint, nobody, '--interval', '0.1', '--timeout', '0.5']
  // The shell becomes the program: its process is known.
  const command = ['sh', '-c', `echo $$ > ${folder}/pid; exec "$@"`, 'sh', ...words]
  const terminal = PseudoTerminal.start(command, { columns: 100, rows: 10 })
  try {
    await terminal.until(({ text }) => /^sums .* up /m.test(text) && /^\? .* down/m.test(text))
    expect(terminal.screen).to.include({ alternate: true, cursorVisible: false })
    expect(terminal.screen.text).to.match(/^zask top .* 1 of 2 answer +q quits\n\nservice/)
    expect(terminal.output).to.include('\u001b[31m?')
    end(terminal, Number(await readFile(join(folder, 'pid'), 'utf8')))
    const { code, sane } = await terminal.left
    return { code, sane, terminal }
  } finally {
    await terminal.end()
    await rm(folder, { recursive: true, force: true })
  }
}

describe('zask top', () => {
  it('--once tells of each endpoint what it says, shared ones of each service, and ends with 3 where one is down', async () => {
    const { endpoint } = await cores.serve(new Sums())
    const shared = await cores.serve([new Sums(), new Names()])
    const closed = await cores.serve(new Sums(), { plugins: [guard] })
    const plain = await servePlain()
    const { client } = await cores.client<Sums>(endpoint)
    const calling = setInterval(() => {
      void client.add(1, 2)
      client.$call('fail').catch((error: unknown) => expect(error).to.be.instanceOf(RemoteError))
    }, 10)
    closing.push(() => clearInterval(calling))
    const endpoints = [endpoint, shared.endpoint, closed.endpoint, plain, nobody]
    const { stdout, code } = await zaskHere(
      'top',
      ...endpoints,
      '--once',
      '--json',
      '--interval',
      '0.4',
      '--timeout',
      '1',
    )
    const samples = samplesIn(stdout)
    expect(
      samples.map((sample) => [sample.service, sample.version, sample.endpoint, sample.state]),
    ).to.deep.equal([
      ['sums', '1.0', endpoint, 'up'],
      ['sums', '1.0', shared.endpoint, 'up'],
      ['names', null, shared.endpoint, 'up'],
      [null, null, closed.endpoint, 'refused'],
      ['old', null, plain, 'plain'],
      [null, null, nobody, 'down'],
    ])
    const [busy, , , refused, old] = samples as [Sample, Sample, Sample, Sample, Sample]
    expect(busy.callsPerSecond).to.be.greaterThan(10)
    expect(busy.failedPerSecond)
      .to.be.greaterThan(5)
      .and.below(busy.callsPerSecond as number)
    expect(busy.p99Ms).to.be.at.least(busy.p50Ms as number)
    expect(busy.lagMs).to.be.at.least(0)
    expect(refused.problem).to.equal('RangeError: nobody comes in')
    expect(old.pingMs).to.be.greaterThan(0)
    expect(code).to.equal(3)
  })

  describe('with an application', () => {
    let folder: string

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'zask-top-'))
    })

    after(() => rm(folder, { recursive: true, force: true }))

    it('watches every endpoint of its config, with its headers, or those of the services that are named', async () => {
      const key = plugin('key', (core) => {
        core.hooks.beforeCall.tap('key', (call) => {
          if (call.headers['access_key'] !== 'secret') throw new RangeError('no key')
        })
      })
      const served = await Promise.all([1, 2, 3].map(() => cores.serve(new Sums(), { plugins: [key] })))
      const [one, two, three] = served.map(({ endpoint }) => endpoint)
      const names = { '1.0': [one, two], default: '1.0', access_key: 'secret' }
      const config = JSON.stringify({ ZERORPC_SUMS: names, ZERORPC_MORE: { ...names, '1.0': three } })
      const text = `import { createCore } from ${from('core/index.ts')}
import { endpoints } from ${from('plugins/endpoints.ts')}
import { headers } from ${from('plugins/headers.ts')}
export const core = createCore({ plugins: [endpoints(), headers()], config: ${config} })
`
      // A module is loaded once in a process, and each command stops the core that it has loaded.
      const once = async (file: string, ...words: string[]): Promise<Said> => {
        await writeFile(join(folder, file), text)
        return zaskHere('top', ...words, '--app', join(folder, file), '--once', '--interval', '0.1')
      }
      const [all, named, nothing] = await Promise.all([
        once('all.ts'),
        once('named.ts', 'sums', '--json'),
        once('nothing.ts', '--version', '9'),
      ])
      const lines = all.stdout.split('\n')
      expect(lines[0]).to.match(/^service +version +endpoint +state +calls\/s +p50 ms/)
      expect(lines.slice(1, -1).map((line) => line.split(/ +/).slice(0, 4))).to.deep.equal([
        ['sums', '1.0', three, 'up'],
        ['sums', '1.0', one, 'up'],
        ['sums', '1.0', two, 'up'],
      ])
      expect([all.code, all.stderr]).to.deep.equal([0, ''])
      expect(samplesIn(named.stdout).map(({ endpoint, state }) => [endpoint, state])).to.deep.equal([
        [one, 'up'],
        [two, 'up'],
      ])
      expect(nothing.stderr).to.match(/names no endpoint/)
      expect(nothing.code).to.equal(2)
    })
  })

  it('says that a server is down, and that it is back, until Ctrl-C', async () => {
    const bind = `tcp://127.0.0.1:${await freePort()}`
    const first = await cores.serve(new Sums(), { bind })
    const spawned = new Spawned(process.execPath, [
      ...script,
      bind,
      '--json',
      '--interval',
      '0.1',
      '--timeout',
      '0.5',
    ])
    try {
      const states = (): string[] =>
        [...spawned.output.matchAll(/"state":"(\w+)"/g)].map(([, state]) => state as string)
      await spawned.until(() => states().at(-1) === 'up')
      await first.core.stop()
      await spawned.until(() => states().at(-1) === 'down')
      await cores.serve(new Sums(), { bind })
      await spawned.until(() => states().at(-1) === 'up')
      spawned.signal('SIGINT')
      expect((await spawned.ended).code).to.equal(130)
    } finally {
      spawned.signal('SIGKILL')
    }
  })

  it('needs a service, and an interval that can be kept', async () => {
    const [none, fast] = await Promise.all([zaskHere('top'), zaskHere('top', nobody, '--interval', '0')])
    expect(none.stderr).to.match(/No application is found here/)
    expect(fast.stderr).to.match(/--interval takes seconds, 0\.1 or more/)
    expect([none.code, fast.code]).to.deep.equal([2, 2])
  })

  describe('in a terminal', () => {
    const ends: [name: string, code: number, end: (terminal: PseudoTerminal, pid: number) => void][] = [
      ['q', 0, (terminal) => terminal.write('q')],
      ['Ctrl-C', 130, (terminal) => terminal.write(keys.interrupt)],
      ['SIGTERM', 143, (_terminal, pid) => void process.kill(pid, 'SIGTERM')],
    ]
    let leaving: ReturnType<typeof leave>[]

    before(async () => {
      leaving = ends.map(([, , end]) => leave(end))
      await Promise.allSettled(leaving)
    })

    for (const [index, [name, expected]] of ends.entries()) {
      it(`draws a live table, and leaves everything as it was at ${name}`, async () => {
        const { code, sane, terminal } = await (leaving[index] as ReturnType<typeof leave>)
        expect({ code, sane }).to.deep.equal({ code: expected, sane: true })
        expect(terminal.screen).to.include({ alternate: false, cursorVisible: true })
        // The shell may say what ended its command; nothing of the table is left.
        expect(terminal.screen.text).to.not.match(/sums|service/)
      })
    }
  })
})
