import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Core, createCore } from '../../../core/index.ts'
import { repository, sourceCondition } from '../../support/processes.ts'
import { keys, type Left, PseudoTerminal, type PseudoTerminalOptions } from '../../support/pseudo-terminal.ts'

class Sums {
  static readonly service = 'sums'

  /** Adds two numbers. */
  add(a: number, b: number): { sum: number } {
    return { sum: a + b }
  }

  async *forever(): AsyncGenerator<string> {
    yield 'first'
    await new Promise(() => {})
  }

  never(): Promise<never> {
    return new Promise(() => {})
  }
}

interface Seen extends Left {
  readonly text: string
  readonly output: string
  readonly cursorVisible: boolean
}

// eslint-disable-next-line no-control-regex -- what colours are made of
const colour = /\u001b\[\d+m/

async function end(terminal: PseudoTerminal): Promise<Seen> {
  const left = await terminal.left
  const { text, cursorVisible } = terminal.screen
  return { ...left, text, cursorVisible, output: terminal.output }
}

/** The terminal is as a shell wants it, and the prompt will stand at the beginning of a line. */
function expectClean(terminal: PseudoTerminal, { sane, cursorVisible }: Seen): void {
  expect({
    sane,
    cursorVisible,
    column: terminal.screen.column,
    alternate: terminal.screen.alternate,
  }).to.deep.equal({
    sane: true,
    cursorVisible: true,
    column: 0,
    alternate: false,
  })
}

describe('zask in a terminal', () => {
  let folder: string
  let core: Core
  let endpoint: string
  const open: PseudoTerminal[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-terminal-'))
    core = createCore({ config: { DEBUG: false } })
    const options = { bind: 'tcp://127.0.0.1:*', signals: false, shutdownTimeoutMs: 50 }
    endpoint = (await core.start(new Sums(), options)).endpoints[0] as string
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(
      join(folder, 'app.ts'),
      `import { createCore } from '${repository}/core/index.ts'
import { endpoints } from '${repository}/plugins/endpoints.ts'
export const core = createCore({ root: import.meta.dirname, plugins: [endpoints()] })
core.config.fromObject({ ZERORPC_SUMS: { '1.0': '${endpoint}', default: '1.0' } })
export class Other {
  static readonly service = 'other'
  one() { return 1 }
}
`,
    )
  })

  afterEach(() => Promise.all(open.splice(0).map((terminal) => terminal.end())))

  after(async () => {
    await core.stop()
    await rm(folder, { recursive: true, force: true })
  })

  function start(args: readonly string[], options: PseudoTerminalOptions = {}): PseudoTerminal {
    const script = [process.execPath, sourceCondition, join(repository, 'plugins/cli/main.ts')]
    const terminal = PseudoTerminal.start([...script, ...args], {
      columns: 120,
      rows: 40,
      cwd: folder,
      ...options,
    })
    open.push(terminal)
    return terminal
  }

  const seen = (args: readonly string[], options?: PseudoTerminalOptions): Promise<Seen> =>
    end(start(args, options))

  it('prints answers and descriptions in colours, and without where NO_COLOR or TERM=dumb says so', async () => {
    const [called, inspected, plain, dumb] = await Promise.all([
      seen(['call', 'sums', 'add', '1', '2']),
      seen(['inspect', endpoint]),
      seen(['call', endpoint, 'add', '1', '2'], { env: { NO_COLOR: '1' } }),
      seen(['inspect', endpoint], { env: { TERM: 'dumb' } }),
    ])
    expect(called.output).to.include('{ sum: \u001b[33m3\u001b[39m }')
    expect(inspected.output).to.include('\u001b[2m      Adds two numbers.')
    expect(called.text).to.equal('{ sum: 3 }')
    expect([plain.text, dumb.text]).to.deep.equal([called.text, inspected.text])
    expect([plain.output, dumb.output].filter((output) => colour.test(output))).to.deep.equal([])
    expect([called, inspected, plain, dumb].map(({ code }) => code)).to.deep.equal([0, 0, 0, 0])
  })

  it('shows what each other command has to show', async () => {
    const shown: [args: string[], pattern: RegExp][] = [
      [['ping', 'sums'], /^sums at tcp:\S+ answers in [\d.]+ ms/],
      [['types', 'sums'], /export interface Sums \{\n[\s\S]*add\(a: unknown, b: unknown\): unknown/],
      [['hooks'], /^resolveEndpoint +first answer +endpoints$/m],
      [['config'], /^ZERORPC_SUMS = \{ '1\.0': '\S+', default: '1\.0' \}/m],
      [['endpoints'], /^service +version +endpoints +key\nsums +1\.0 \(default\) +tcp:\S+ +-$/],
      [
        ['doctor'],
        /^ok +ZERORPC_SUMS: versions 1\.0\nwarning +other: ZERORPC_OTHER is not in the config\n +Add /m,
      ],
      [['new', 'my-shop'], /^my-shop[\s\S]*npm (install|test)/m],
      [['keygen', '--out', 'shop.key.json'], /shop\.key\.json is written, [\s\S]*^public key +\S{40}$/m],
      [['--help'], /^From plugins of app\.ts\n\n {2}zask endpoints /m],
    ]
    const all = await Promise.all(shown.map(([args]) => seen(args, { columns: 160 })))
    for (const [index, { text, code, sane }] of all.entries()) {
      expect(text).to.match(shown[index]?.[1] as RegExp)
      expect([code, sane]).to.deep.equal([0, true])
    }
  })

  it('takes an argument that is typed, up to Ctrl-D', async () => {
    const terminal = start(['call', endpoint, 'add', '-', '2', '--json'])
    terminal.write(`40${keys.enter}`)
    await terminal.until(({ text }) => text.includes('40'))
    terminal.write(keys.endOfFile)
    const left = await end(terminal)
    expect(left.text).to.equal('40\n{"sum":42}')
    expect(left.code).to.equal(0)
  })

  it('ends a call and a stream at Ctrl-C with 130, and leaves the terminal clean', async () => {
    const calls = new Set<string>()
    const called = new Promise<void>((resolve) =>
      core.hooks.beforeCall.tap('test', ({ method }) => {
        calls.add(method)
        if (calls.has('never') && calls.has('forever')) resolve()
      }),
    )
    const [call, stream] = [start(['call', endpoint, 'never']), start(['call', endpoint, 'forever'])]
    await Promise.all([called, stream.until(({ text }) => text.includes('first'))])
    for (const terminal of [call, stream]) terminal.write(keys.interrupt)
    const [callEnd, streamEnd] = await Promise.all([end(call), end(stream)])
    expect([callEnd.code, streamEnd.code]).to.deep.equal([130, 130])
    expect([callEnd.text, streamEnd.text]).to.deep.equal(['^C', 'first\n^C'])
    expectClean(call, callEnd)
    expectClean(stream, streamEnd)
  })

  it('draws the state of a measurement in one line, and prints what it measured at Ctrl-C', async () => {
    const terminal = start(['bench', endpoint, 'add', '1', '2', '-c', '2'])
    await terminal.until(({ text }) => /^1\.\d of 10 s {3}[\d,]+ calls\/s {3}p99 .* {3}0 errors$/.test(text))
    terminal.write(keys.interrupt)
    const left = await end(terminal)
    expect(left.text).to.match(
      /^\d\.\d of 10 s .*\^C\n[\d,]+ calls\/s \(\d+ answered in [\d.]+ s\)\n {2}p50 /,
    )
    expect(left.text).to.match(/\n {2} *up to [\d.]+ ms +[\d,]+ +#+/)
    expect(left.output).to.match(colour)
    expect(left.code).to.equal(130)
    expectClean(terminal, left)
  })

  it('stops an application at Ctrl-C, with 0', async () => {
    const terminal = start(['start', 'app.ts', '--bind', 'tcp://127.0.0.1:*'])
    await terminal.until(({ text }) => text.startsWith('other at tcp:'))
    terminal.write(keys.interrupt)
    const left = await end(terminal)
    expect(left.code).to.equal(0)
    expectClean(terminal, left)
  })
})
