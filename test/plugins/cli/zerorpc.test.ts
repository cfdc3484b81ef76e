import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Core, createCore } from '../../../core/index.ts'
import { Service } from '../../../core/service.ts'
import { loadApplication } from '../../../plugins/cli/application.ts'
import { zaskHere as zask } from '../../support/command-line.ts'
import { sourceCondition, Spawned } from '../../support/processes.ts'

const script = [sourceCondition, 'plugins/cli/main.ts']

class Sums {
  static readonly service = 'sums'

  /** Adds two numbers. */
  add(a: number, b: number): number {
    return a + b
  }

  echo(...values: unknown[]): unknown {
    return values
  }

  *count(to: number): Generator<number> {
    for (let i = 1; i <= to; i++) yield i
  }
}

describe("the options of zerorpc's command line", () => {
  let core: Core
  let endpoint: string

  before(async () => {
    core = createCore({ config: { DEBUG: false } })
    const started = await core.start(new Sums(), { bind: 'tcp://127.0.0.1:*', signals: false })
    endpoint = started.endpoints[0] as string
  })

  after(() => core.stop())

  it('-? and --inspect show all methods, or one', async () => {
    const [all, one, long] = await Promise.all([
      zask('-?', endpoint),
      zask('-?', endpoint, 'add'),
      zask(endpoint, '--inspect', 'add'),
    ])
    expect(all.stdout).to.match(/^sums at .*\n {2}add\(a, b\)\n/)
    expect(one.stdout).to.equal('add(a, b)\n      Adds two numbers.\n')
    expect(long).to.deep.equal(one)
  })

  it('-j takes JSON and nothing else; --json sends what -j would, and prints JSON', async () => {
    const words = ['echo', '{"a":1}', '"5"', '5']
    const [strict, printed, text, refused] = await Promise.all([
      zask('-j', endpoint, ...words),
      zask('--json', endpoint, ...words),
      zask(endpoint, 'echo', 'five', '--json'),
      zask('-j', endpoint, 'echo', 'five'),
    ])
    expect(strict.stdout).to.equal("[ { a: 1 }, '5', 5 ]\n")
    expect(printed.stdout).to.equal('[{"a":1},"5",5]\n')
    expect(text.stdout).to.equal('["five"]\n')
    expect(refused.stderr).to.match(/'five' is not JSON/)
    expect(refused.code).to.equal(2)
  })

  it('-pj and --print-json print JSON, a stream as one list', async () => {
    const [short, long, empty] = await Promise.all([
      zask('-pj', endpoint, 'count', '3'),
      zask('--print-json', endpoint, 'echo', 'a'),
      zask('call', endpoint, 'count', '0', '-pj'),
    ])
    expect([short.stdout, long.stdout, empty.stdout]).to.deep.equal(['[1,2,3]\n', '["a"]\n', '[]\n'])
  })

  it('--connect takes the place of the first word, --client says what is so anyway', async () => {
    const [called, listed] = await Promise.all([
      zask('--client', '--connect', endpoint, 'add', '1', '-2'),
      zask('--connect', endpoint, '--timeout', '5', '--heartbeat', '2'),
    ])
    expect([called.stdout, called.code]).to.deep.equal(['-1\n', 0])
    expect(listed.stdout).to.match(/^sums at /)
  })

  it('--client --bind waits for a server that connects out', async () => {
    const at = `ipc:///tmp/zask-bound-${process.pid}.sock`
    const bound = zask('--bind', at, 'add', '2', '3')
    await using server = createCore({ config: { DEBUG: false } })
    await server.start(new Sums(), { connect: at, signals: false })
    expect((await bound).stdout).to.equal('5\n')
  })

  it('--bind and --connect hold together', async () => {
    const at = `ipc:///tmp/zask-both-${process.pid}.sock`
    const { stdout } = await zask('--bind', at, '--connect', endpoint, 'add', '2', '3')
    expect(stdout).to.equal('5\n')
  })

  it('-d prints the events of the wire to stderr, --active-hb sends heartbeats of its own', async () => {
    const { stdout, stderr } = await zask('-d', '--active-hb', endpoint, 'add', '1', '2')
    expect(stdout).to.equal('3\n')
    expect(stderr).to.equal(`--> ${endpoint} add\n<-- ${endpoint} OK\n`)
  })

  it('--server serves a module that knows nothing of zask', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zask-server-'))
    try {
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
      const files = {
        'functions.ts': 'export const twice = (n: number) => 2 * n\nexport const constant = 5\n',
        'main.ts': 'export default class { twice(n: number) { return 2 * n } }\n',
      }
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
      const names = await Promise.all(
        Object.keys(files).map(async (name) => {
          const bind = ['--bind', 'tcp://127.0.0.1:*']
          const options = ['--pool-size', '3', '--heartbeat', '1', '--debug']
          const served = new Spawned(process.execPath, [
            ...script,
            '--server',
            ...bind,
            ...options,
            join(folder, name),
          ])
          await served.until((output) => / at \S+\n/.test(output))
          const [, service, at = ''] = /^(\S+) at (\S+)\n/.exec(served.output) ?? []
          await using client = createCore()
          expect(await (await client.client(at)).$call('twice', [21])).to.equal(42)
          served.signal('SIGINT')
          const { code, stderr } = await served.ended
          expect([code, stderr.split('\n')[0]?.replace(/ \w+ /, ' ')]).to.deep.equal([0, '<-- twice'])
          return service
        }),
      )
      expect(names).to.deep.equal(['functions', 'main'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('--server takes the services of a module, else its default export, its only class, or its functions', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zask-modules-'))
    const served = async (file: string, text: string): Promise<string[]> => {
      await writeFile(join(folder, file), text)
      const { services, name, core: own } = await loadApplication(join(folder, file), [], true)
      await own.stop()
      return [name ?? 'itself', ...services.flatMap((one) => [...Service.from(one, {}).methods.keys()])]
    }
    try {
      const method = '{ twice() {} }'
      const told = "export class S { static service = 's'; twice() {} }; export function no() {}"
      expect(await served('a.mjs', told)).to.deep.equal(['itself', 'twice'])
      const main = `export default class ${method}; export class No { no() {} }`
      expect(await served('b.mjs', main)).to.deep.equal(['b', 'twice'])
      expect(await served('c.mjs', `export class One ${method}; export const no = 5`)).to.deep.equal([
        'c',
        'twice',
      ])
      const functions = 'export function one() {}; export function two() {}'
      expect(await served('d.mjs', functions)).to.deep.equal(['d', 'one', 'two'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('refuses what zerorpc refuses, and says what to write', async () => {
    const wrong: [args: string[], complaint: RegExp][] = [
      [['--timeout', '5'], /Which service\? Name an endpoint/],
      [['--server', '--bind', 'tcp://127.0.0.1:*'], /Which module\? Write zask --server --bind/],
      [['--client', '--server', '--bind', 'tcp://127.0.0.1:*', 'x.ts'], /exclude each other/],
      [['--json', 'call', endpoint, 'add'], /Options stand behind the command: zask call \.\.\. --json/],
      [['--server', '--bind', 'tcp://127.0.0.1:*', 'nowhere.ts'], /There is no file .*nowhere\.ts/],
    ]
    const ended = await Promise.all(wrong.map(([args]) => zask(...args)))
    for (const [index, { code, stdout, stderr }] of ended.entries()) {
      expect(stderr).to.match(wrong[index]?.[1] as RegExp)
      expect([code, stdout]).to.deep.equal([2, ''])
    }
  })

  it('says of itself what it takes', async () => {
    const [help, mark] = await Promise.all([zask('--server', '--help'), zask('-?')])
    for (const option of [
      '--client',
      '--connect <endpoint>',
      '-?, --inspect',
      '-j, --json-args',
      '-d, --debug',
    ]) {
      expect(help.stdout).to.include(`  ${option} `)
    }
    expect(mark.stdout).to.match(/^zask: call RPC services/)
  })
})
