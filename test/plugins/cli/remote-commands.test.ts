import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Core, createCore, RemoteError } from '../../../core/index.ts'
import { describe as describeService } from '../../../plugins/cli/description.ts'
import { type Ended, repository, run, sourceCondition, Spawned } from '../../support/processes.ts'

class Notes {
  static readonly service = 'notes'

  /** Finds notes. */
  find(text: string, limit = 10): string[] {
    return [text, String(limit)]
  }

  fail(): never {
    throw new RangeError('never')
  }

  *count(to: number): Generator<number> {
    for (let i = 1; i <= to; i++) yield i
  }

  all(...ids: number[]): number[] {
    return ids
  }
}

const script = [sourceCondition, 'plugins/cli/main.ts']
const zask = (...args: string[]): Promise<Ended> => run(process.execPath, [...script, ...args])

/** A client whose service answers by a table, and refuses whatever is not in it, as an old server does. */
async function described(answers: Record<string, (...args: never[]) => unknown>): Promise<unknown> {
  const client = {
    $call: async (method: string, args: never[] = []) => {
      const answer = answers[method]
      if (answer === undefined) throw new RemoteError('AttributeError', 'getargspec')
      return answer(...args)
    },
  }
  return describeService(client as never)
}

describe('commands that ask a service', () => {
  let core: Core
  let endpoint: string

  before(async () => {
    core = createCore({ config: { DEBUG: false } })
    const started = await core.start(new Notes(), { bind: 'tcp://127.0.0.1:*', signals: false })
    endpoint = started.endpoints[0] as string
  })

  after(() => core.stop())

  it('zask ping says who answers, and in what time', async () => {
    const [text, machine, nobody] = await Promise.all([
      zask('ping', endpoint),
      zask('ping', endpoint, '--json'),
      zask('ping', 'ipc:///tmp/nobody-is-here.sock', '--timeout', '0.2'),
    ])
    expect(text.stdout).to.match(/^notes at tcp:\S+ answers in [\d.]+ ms \([\d.]+ ms with connecting\)\n$/)
    const seen: unknown = JSON.parse(machine.stdout)
    expect(seen).to.include({ endpoint, service: 'notes' })
    expect(seen).to.have.property('answerMs').that.is.a('number')
    expect([text.code, nobody.code]).to.deep.equal([0, 3])
  })

  it('zask inspect, types and top say what to do where a service does not tell about itself', async () => {
    const closed = { bind: 'tcp://127.0.0.1:*', signals: false, introspection: false }
    const { endpoints } = await core.start(new Notes(), closed)
    const at = endpoints[0] as string
    const [inspected, types, top, called] = await Promise.all([
      zask('inspect', at),
      zask('types', at),
      zask('top', at, '--once', '--interval', '0.1'),
      zask('call', at, 'find', 'a'),
    ])
    for (const { stdout, stderr, code } of [inspected, types]) {
      expect(stderr).to.equal(
        `NameError: The service at ${at} answers, and does not tell what methods it has: it was started with introspection: ` +
          'false, or INTROSPECTION = false in its config. Start it without, where that may be, or call a method whose ' +
          'name you know.\n',
      )
      expect([stdout, code]).to.deep.equal(['', 1])
    }
    expect(top.stdout).to.match(
      /notes .* plain .*tells no figures: start it without introspection: false to see them/,
    )
    expect([top.code, called.code]).to.deep.equal([0, 0])
  })

  it('zask types writes an interface that a program compiles and runs with', async () => {
    const { stdout, code } = await zask('types', endpoint)
    expect(code).to.equal(0)
    expect(stdout).to.equal(`/** notes, as it describes itself at ${endpoint}. */
export interface Notes {
  /** Finds notes. */
  find(text: unknown, limit?: number): unknown
  fail(): unknown
  count(to: unknown): unknown
  all(...ids: unknown[]): unknown
}
`)
    const folder = await mkdtemp(join(tmpdir(), 'zask-types-'))
    try {
      await writeFile(join(folder, 'notes.ts'), stdout)
      const program = `import { createCore } from '${repository}/core/index.ts'
import type { Notes } from './notes.ts'
const core = createCore()
const notes = await core.client<Notes>('${endpoint}')
console.log(await notes.find('a'), await notes.all(1, 2))
// @ts-expect-error -- a limit is a number
void (() => notes.find('a', '1'))
await core.stop()
`
      await writeFile(join(folder, 'main.ts'), program)
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
      const tsc = join(repository, 'node_modules/.bin/tsc')
      const options = [
        '--ignoreConfig',
        '--noEmit',
        '--strict',
        '--target',
        'es2024',
        '--module',
        'nodenext',
        '--skipLibCheck',
      ]
      const types = ['--allowImportingTsExtensions', '--lib', 'es2024,esnext.disposable', '--types', 'node']
      const roots = ['--typeRoots', join(repository, 'node_modules/@types')]
      const [compiled, ran] = await Promise.all([
        run(tsc, [...options, ...types, ...roots, join(folder, 'main.ts')]),
        run(process.execPath, [sourceCondition, join(folder, 'main.ts')]),
      ])
      expect(compiled.output).to.equal('')
      expect(ran.stdout).to.equal("[ 'a', '10' ] [ 1, 2 ]\n")
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('zask bench prints rate, times and their histogram, and ends with 0', async () => {
    const { stdout, stderr, code } = await zask('bench', endpoint, 'find', 'a', '-c', '4', '-d', '0.2')
    expect(stdout).to.match(
      /^[\d,]+ calls\/s \([1-9]\d* answered in [\d.]+ s\)\n {2}p50 +[\d.]+ ms\n {2}p90 .*\n {2}p99 .*\n {2}p99.9 .*\n {2}max .*\n\n( {2} *up to [\d.]+ ms +(?:[1-9][\d,]* +#+|0)\n)+$/,
    )
    expect([stderr, code]).to.deep.equal(['', 0])
  })

  it('zask bench makes no more calls than --rate says, and reads streams', async () => {
    const options = ['-d', '0.5', '--rate', '40', '--json']
    const { stdout } = await zask('bench', endpoint, 'count', '200', ...options)
    const { calls, errors } = JSON.parse(stdout) as { calls: number; errors: unknown }
    expect(calls).to.be.within(1, 20)
    expect(errors).to.deep.equal({})
  })

  it('zask bench counts errors by their names, and ends with 1', async () => {
    const { stdout, code } = await zask('bench', endpoint, 'fail', '-c', '2', '-d', '0.1', '--json')
    const report = JSON.parse(stdout) as { calls: number; errors: Record<string, number> }
    expect(report.calls).to.equal(0)
    expect(Object.keys(report.errors)).to.deep.equal(['RangeError'])
    expect(code).to.equal(1)
  })

  it('zask bench says what it measured when Ctrl-C ends it', async () => {
    const called = new Promise<void>((resolve) =>
      core.hooks.afterCall.tap('test', (call) => {
        if (call.args[0] === 'until Ctrl-C') resolve()
      }),
    )
    const spawned = new Spawned(process.execPath, [...script, 'bench', endpoint, 'find', 'until Ctrl-C'])
    await called
    spawned.signal('SIGINT')
    const { stdout, code } = await spawned.ended
    expect(stdout).to.match(/calls\/s/)
    expect(code).to.equal(130)
  })

  it('zask bench refuses options that make no load', async () => {
    const { stderr, code } = await zask('bench', endpoint, 'find', '-c', '0.5')
    expect(stderr).to.match(/--concurrency takes a whole number, 1 or more, such as 64, got '0.5'/)
    expect(code).to.equal(2)
  })
})

describe('the description of a service', () => {
  it('is what _zerorpc_inspect answers, without self', async () => {
    const args = [{ name: 'self' }, { name: 'a' }, { name: 'b', default: 1 }]
    const methods = { add: { args, doc: 'Adds.' }, gone: { args: null, doc: '' } }
    expect(await described({ _zerorpc_inspect: () => ({ name: 'py', methods }) })).to.deep.equal({
      name: 'py',
      methods: {
        add: { args: [{ name: 'a' }, { name: 'b', default: 1 }], doc: 'Adds.' },
        gone: { args: null, doc: null },
      },
    })
  })

  it('is put together from list, name, help and args where the server cannot inspect', async () => {
    const answers = {
      _zerorpc_list: () => ['add', 'old'],
      _zerorpc_name: () => 'py',
      _zerorpc_help: (method: string) => (method === 'add' ? 'Adds.' : null),
      _zerorpc_args: (method: string) => (method === 'add' ? [['self', 'a', 'b'], null, null, [1]] : null),
    }
    expect(await described(answers)).to.deep.equal({
      name: 'py',
      methods: {
        add: { args: [{ name: 'a' }, { name: 'b', default: 1 }], doc: 'Adds.' },
        old: { args: null, doc: null },
      },
    })
  })

  it('is a list of names where the server knows no more', async () => {
    expect(await described({ _zerorpc_list: () => ['add'] })).to.deep.equal({
      name: 'a service',
      methods: { add: { args: null, doc: null } },
    })
  })
})
