import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Core } from '../../../core/index.ts'
import { Cores, until } from '../../support/cores.ts'
import { type Ended, repository, sourceCondition, Spawned } from '../../support/processes.ts'
import { keys, PseudoTerminal } from '../../support/pseudo-terminal.ts'

class Sums {
  static readonly service = 'sums'
  static readonly version = '1.0'
  core: Core | undefined

  add(a: number, b = 1): number {
    return a + b
  }

  fail(): never {
    throw new RangeError('no \u001b[31mred')
  }

  /** Until its caller gives up. */
  forever(): Promise<void> {
    const { signal } = (this.core as Core).call
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  }

  async *count(to: number): AsyncGenerator<number> {
    for (let i = 1; i <= to; i++) yield i
    if (to > 3) await this.forever()
  }

  echo(value: unknown): unknown {
    return value
  }
}

/** Its names mean something else where the lines run. */
class Odd {
  static readonly service = 'process'

  env(): string {
    return 'mine'
  }
}

const script = [sourceCondition, 'plugins/cli/main.ts', 'repl']
const from = (path: string): string => JSON.stringify(`${repository}/${path}`)

async function repl(args: readonly string[], lines: readonly string[]): Promise<Ended> {
  const spawned = new Spawned(process.execPath, [...script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  spawned.child.stdin?.end(lines.join('\n'))
  return await spawned.ended
}

describe('zask repl', () => {
  const cores = new Cores()
  let core: Core
  let endpoint: string
  let folder: string

  before(async () => {
    const sums = new Sums()
    ;({ core, endpoint } = await cores.serve(sums))
    sums.core = core
    folder = await mkdtemp(join(tmpdir(), 'zask-repl-'))
  })

  after(async () => {
    await cores.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('runs the lines of a script one after another, prints what they give, and ends with 0', async () => {
    const { stdout, stderr, code } = await repl(
      [endpoint],
      [
        'sums.add(1, 2)',
        'const six = await sums.add(5)',
        'six * 2',
        'sums.count(3)',
        'await sums.count(2)',
        'for await (const item of sums.count(2)) console.log(`item ${item}`)',
        'function twice(n) {',
        '  return n * 2',
        '}',
        "await sums.echo({ a: [twice(2), 'x'] })",
        'sums',
        'const other = await client(sums.$endpoints[0].endpoint)',
        'other.$with({ timeoutMs: 5000 }).$call("add", [7])',
        'core.stats.made.failed',
        '.services',
        'setInterval(() => {}, 1000).hasRef()',
      ],
    )
    expect(stderr).to.equal('')
    const printed = stdout.split('\n')
    expect(printed.slice(0, -3)).to.deep.equal([
      '3', '12', '1', '2', '3', '1', '2', 'item 1', 'item 2', "{ a: [ 4, 'x' ] }", 'client of sums', '8', '0',
    ]) // prettier-ignore
    expect(printed.at(-3)).to.match(/^sums +sums +tcp:\S+ +answers$/)
    expect(printed.slice(-2)).to.deep.equal(['true', ''])
    expect(code).to.equal(0)
  })

  it('says on stderr which lines of a script failed, goes on, and ends with 1', async () => {
    const lines = ['sums.fail()', 'await sums.fail()', 'nosuch', 'const left = sums.fail()']
    const more = ['await new Promise((done) => setTimeout(done, 200))', '1 + 1', 'sums.forever(', '']
    const { stdout, stderr, code } = await repl([endpoint], [...lines, ...more])
    expect(stderr.split('\n')).to.deep.equal([
      'Uncaught RangeError: no \\u001b[31mred',
      'Uncaught RangeError: no \\u001b[31mred',
      'Uncaught ReferenceError: nosuch is not defined',
      'Uncaught RangeError: no \\u001b[31mred',
      'zask: The last line is not complete.',
      '',
    ])
    expect([stdout, code]).to.deep.equal(['2\n', 1])
  })

  it('ends at Ctrl-C while a script runs', async () => {
    const spawned = new Spawned(process.execPath, [...script, endpoint], { stdio: ['pipe', 'pipe', 'pipe'] })
    spawned.child.stdin?.write('console.log("begun")\nsums.forever()\n99\n')
    const called = new Promise<void>((resolve) =>
      core.hooks.beforeCall.tap('test', (call) => {
        if (call.method === 'forever') resolve()
      }),
    )
    await called
    spawned.signal('SIGINT')
    const { stdout, code } = await spawned.ended
    expect([stdout, code]).to.deep.equal(['begun\n', 130])
  })

  it('has the services of the application, each by a name that is free, and its core', async () => {
    const odd = await cores.serve(new Odd())
    const places = {
      ZERORPC_SUMS: { '1.0': endpoint, default: '1.0' },
      ZERORPC_PROCESS: { '1.0': odd.endpoint, default: '1.0' },
      ZERORPC_ELSEWHERE: { '1.0': endpoint },
    }
    const app = join(folder, 'app.ts')
    await writeFile(
      app,
      `import { createCore } from ${from('core/index.ts')}
import { endpoints } from ${from('plugins/endpoints.ts')}
export const core = createCore({ plugins: [endpoints()], config: ${JSON.stringify(places)} })
`,
    )
    const lines = [
      'sums.add(1)',
      'process2.env()',
      "(await client('sums')).add(2)",
      "'SUMS' in core.config.namespace('ZERORPC_')",
    ]
    const { stdout, stderr, code } = await repl(['--app', app], lines)
    expect(stdout).to.match(/^2\n'mine'\n3\n(true|false)\n$/)
    expect(stderr).to.match(/^zask: elsewhere: Client missing version/)
    expect(code).to.equal(0)
  })

  it('lets the plugins of the application finish their work before it ends', async () => {
    const app = join(folder, 'late.ts')
    await writeFile(
      app,
      `import { createCore } from ${from('core/index.ts')}
export const core = createCore()
core.hooks.stopped.tap('late', async () => {
  await new Promise((done) => setTimeout(done, 400))
  console.log('done')
})
`,
    )
    const { stdout, code } = await repl(['--app', app], ['setInterval(() => {}, 1000).hasRef()', 'nosuch'])
    expect([stdout, code]).to.deep.equal(['true\ndone\n', 1])
  })

  describe('in a terminal', () => {
    let terminal: PseudoTerminal
    let history: string

    beforeEach(async () => {
      history = join(folder, 'history')
      await rm(history, { force: true })
      terminal = PseudoTerminal.start([process.execPath, ...script, endpoint], {
        env: { ZASK_REPL_HISTORY: history },
      })
      await terminal.until(
        ({ text }) => text.startsWith('sums, core, client(name)') && text.endsWith('zask>'),
      )
    })

    afterEach(() => terminal.end())

    /** Types a line, and waits for what it prints and the prompt behind that. */
    async function type(line: string, prints: string): Promise<void> {
      terminal.write(`${line}${keys.enter}`)
      await terminal.until(({ text }) => text.endsWith(`${line}\n${prints}zask>`))
    }

    it('completes methods, reads streams, keeps the history, and ends with Ctrl-D', async () => {
      terminal.write(`sums.ad${keys.tab}`)
      await terminal.until(({ text }) => text.endsWith('zask> sums.add'))
      terminal.write(`(1, 2)${keys.enter}`)
      await terminal.until(({ text }) => text.endsWith('zask> sums.add(1, 2)\n3\nzask>'))
      terminal.write('sums.')
      // Keys that come at once count as pasted, and TAB as a character of it.
      const pressing = setInterval(() => terminal.write(keys.tab), 100)
      await terminal.until(({ text }) => /sums\.add +sums\.fail +sums\.forever/.test(text))
      clearInterval(pressing)
      terminal.write('\u0015')
      await type('sums.count(3)', '1\n2\n3\n')
      await type('sums.fail()', 'Uncaught RangeError: no \\u001b[31mred\n')
      await type('const p = sums.add(4); await p', '5\n')
      terminal.write(keys.endOfFile)
      expect(await terminal.left).to.include({ code: 0, sane: true })
      expect(terminal.screen.cursorVisible).to.equal(true)
      const kept = (await readFile(history, 'utf8')).split('\n').toReversed()
      expect(kept.slice(-4)).to.deep.equal([
        'sums.add(1, 2)',
        'sums.count(3)',
        'sums.fail()',
        'const p = sums.add(4); await p',
      ])
    })

    it('says at TAB why it completes nothing, where a service does not tell its methods', async () => {
      const { endpoint: quiet } = await cores.serve(new Sums(), { introspection: false })
      const other = PseudoTerminal.start([process.execPath, ...script, quiet], {
        env: { ZASK_REPL_HISTORY: '' },
      })
      try {
        await other.until(({ text }) => text.endsWith('zask>'))
        other.write('sums.ad')
        const pressing = setInterval(() => other.write(keys.tab), 100)
        await other.until(({ text }) =>
          /was started with\s+introspection: false[^]+zask> sums\.ad$/.test(text),
        )
        clearInterval(pressing)
        other.write(`d(1)${keys.enter}`)
        await other.until(({ text }) => text.endsWith('zask> sums.add(1)\n2\nzask>'))
      } finally {
        await other.end()
      }
    })

    it('gives up what runs at Ctrl-C, and not itself', async () => {
      let running = 0
      let cancelled = 0
      core.hooks.beforeCall.tap('cancelled', (call) => {
        if (call.method === 'add') return
        running++
        call.signal.addEventListener('abort', () => cancelled++)
      })
      /** Types a line and then Ctrl-C, once it has come so far. */
      const interrupt = async (line: string, isThere: () => boolean): Promise<void> => {
        terminal.write(`${line}${keys.enter}`)
        await until(isThere)
        terminal.write(keys.interrupt)
        await terminal.until(({ text }) => text.endsWith('Uncaught interruption by Ctrl-C\nzask>'))
      }
      await interrupt('sums.forever()', () => running === 1)
      await interrupt('await sums.forever()', () => running === 2)
      const own = 'sums.$call("forever", [], { signal: new AbortController().signal })'
      await interrupt(own, () => running === 3)
      await interrupt('sums.count(4)', () => terminal.screen.text.endsWith('\n4'))
      await interrupt('console.log("spin"); while (true);', () => terminal.screen.text.endsWith('\nspin'))
      await until(() => cancelled === 4)
      await type('sums.add(1)', '2\n')
      terminal.write(`.exit${keys.enter}`)
      expect(await terminal.left).to.include({ code: 0, sane: true })
    })
  })
})
