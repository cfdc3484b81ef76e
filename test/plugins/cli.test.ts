import { expect } from 'chai'
import { type Core, createCore } from '../../core/index.ts'
import { type Ended, run, sourceCondition, Spawned } from '../support/processes.ts'
import manifest from '../../package.json' with { type: 'json' }

class Sums {
  static readonly service = 'sums'
  readonly core: Core

  constructor(of: Core) {
    this.core = of
  }

  /**
   * Adds two numbers.
   * The second is 1 where it is left out.
   */
  add(a: number, b = 1): number {
    return a + b
  }

  echo(...values: unknown[]): unknown {
    return values.length === 1 ? values[0] : values
  }

  *count(n: number): Generator<number> {
    for (let i = 1; i <= n; i++) yield i
  }

  fail(): never {
    throw new RangeError('no \u001b[31mred\u001b[0m')
  }

  headers(): unknown {
    const { service_version, tenant } = this.core.call.headers
    return [service_version, tenant]
  }

  forever(): Promise<never> {
    return new Promise(() => {})
  }
}

const script = [sourceCondition, 'plugins/cli/main.ts']
const zask = (...args: string[]): Promise<Ended> => run(process.execPath, [...script, ...args])

describe('the command line', () => {
  let core: Core
  let endpoint: string

  before(async () => {
    core = createCore({ config: { DEBUG: false } })
    const started = await core.start(new Sums(core), {
      bind: 'tcp://127.0.0.1:*',
      signals: false,
      shutdownTimeoutMs: 50,
    })
    endpoint = started.endpoints[0] as string
  })

  after(() => core.stop())

  it('prints help and version, and ends with 0', async () => {
    const [help, short, version] = await Promise.all([zask('--help'), zask('-h'), zask('--version')])
    expect(help.stdout).to.match(/zask call <service\|endpoint> <method>/)
    expect(short).to.deep.equal(help)
    expect(version.stdout).to.equal(`${manifest.version}\n`)
    expect([help.code, version.code]).to.deep.equal([0, 0])
  })

  it('says what is wrong with a command line, on stderr, and ends with 2', async () => {
    const wrong: [args: string[], complaint: RegExp][] = [
      [[], /^zask: call RPC services/],
      [['cal', 'tcp://127.0.0.1:1'], /no command 'cal'/],
      [['call', 'tcp://127.0.0.1:1'], /Write zask call <service\|endpoint> <method>/],
      [['call', 'sums', 'add'], /'sums' is no endpoint .* --app app\.ts or ZASK_APP/],
      [['call', 'host:1', 'add'], /'host:1' is no endpoint and no name/],
      [['call', 'tcp://127.0.0.1', 'add'], /ends without a port/],
      [['call', endpoint, 'add', '--timeout', 'soon'], /--timeout takes seconds/],
      [['call', endpoint, 'add', '--jsn'], /--jsn/],
    ]
    const ended = await Promise.all(wrong.map(([args]) => zask(...args)))
    for (const [index, { code, stdout, stderr }] of ended.entries()) {
      expect(stderr).to.match(wrong[index]?.[1] as RegExp)
      expect([code, stdout]).to.deep.equal([2, ''])
    }
  })

  it('reads arguments as JSON where they are JSON and as text where they are not', async () => {
    const { stdout, code } = await zask(
      'call',
      endpoint,
      'echo',
      '--json',
      '5',
      '-5',
      '"5"',
      'five',
      '{"a":[null]}',
    )
    expect(stdout).to.equal('[5,-5,"5","five",{"a":[null]}]\n')
    expect(code).to.equal(0)
  })

  it('keeps integers whole that a number would round', async () => {
    const { stdout } = await zask('call', endpoint, 'echo', '9007199254740993')
    expect(stdout).to.equal('9007199254740993n\n')
  })

  it('prints text bare and other values as Node does, without colours where nobody sees them', async () => {
    const [text, value] = await Promise.all([
      zask('call', endpoint, 'echo', 'hi there'),
      zask('call', endpoint, 'echo', '{"a":1}'),
    ])
    expect([text.stdout, value.stdout]).to.deep.equal(['hi there\n', '{ a: 1 }\n'])
  })

  it('prints the items of a stream one a line', async () => {
    const { stdout, code } = await zask('call', endpoint, 'count', '3', '--json')
    expect([stdout, code]).to.deep.equal(['1\n2\n3\n', 0])
  })

  it('prints an error of the service on stderr, its terminal escapes made harmless, and ends with 1', async () => {
    const { stdout, stderr, code } = await zask('call', endpoint, 'fail')
    expect(stderr).to.equal('RangeError: no \\u001b[31mred\\u001b[0m\n')
    expect([stdout, code]).to.deep.equal(['', 1])
  })

  it('ends with 3 where no answer comes in time', async () => {
    const [slow, nobody] = await Promise.all([
      zask('call', endpoint, 'forever', '--timeout', '0.2'),
      zask('call', 'ipc:///tmp/nobody-is-here.sock', 'add', '--timeout', '0.2'),
    ])
    expect(slow.stderr).to.match(/timeout after 0\.2s.*\(ZASK_CALL_TIMEOUT\)/)
    expect(nobody.stderr).to.match(/No connection .*\(ZASK_PEER_UNREACHABLE\)/)
    expect([slow.code, nobody.code]).to.deep.equal([3, 3])
  })

  it('gives a call up at Ctrl-C, and ends with 130', async () => {
    const called = new Promise<void>((resolve) =>
      core.hooks.beforeCall.tap('test', (call) => {
        if (call.method === 'forever') resolve()
      }),
    )
    const spawned = new Spawned(process.execPath, [...script, 'call', endpoint, 'forever'])
    await called
    spawned.signal('SIGINT')
    expect((await spawned.ended).code).to.equal(130)
  })

  it('lists the methods of a service with their arguments and the first line of their text', async () => {
    const { stdout, code } = await zask('inspect', endpoint)
    expect(stdout.split('\n').slice(0, 4)).to.deep.equal([
      `sums at ${endpoint}`,
      '  add(a, b = 1)',
      '      Adds two numbers.',
      '  echo()',
    ])
    expect(code).to.equal(0)
  })

  it('shows all that one method says about itself', async () => {
    const { stdout } = await zask('inspect', endpoint, 'add')
    expect(stdout).to.equal(
      'add(a, b = 1)\n      Adds two numbers.\n      The second is 1 where it is left out.\n',
    )
  })

  it('reads an argument from stdin where - stands for it', async () => {
    const spawned = new Spawned(process.execPath, [...script, 'call', endpoint, 'echo', '-', '1', '--json'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    spawned.child.stdin?.end('{"from":"stdin"}\n')
    expect((await spawned.ended).stdout).to.equal('[{"from":"stdin"},1]\n')
  })

  it('takes nothing but JSON with -j', async () => {
    const [text, bare] = await Promise.all([
      zask('call', endpoint, 'echo', '-j', '"text"'),
      zask('call', endpoint, 'echo', '-j', 'text'),
    ])
    expect([text.stdout, bare.code]).to.deep.equal(['text\n', 2])
    expect(bare.stderr).to.match(/The argument 'text' is not JSON/)
  })

  it('sends the headers and the version it is given', async () => {
    const args = ['--header', 'tenant=7', '--version', '1.0', '--heartbeat', '0', '--json']
    const { stdout } = await zask('call', endpoint, 'headers', ...args)
    expect(stdout).to.equal('["1.0","7"]\n')
    expect((await zask('call', endpoint, 'headers', '--header', 'tenant')).stderr).to.match(/name=value/)
  })

  it("takes zerorpc's short forms: an endpoint alone is inspected, one with a method is called", async () => {
    const [inspected, called] = await Promise.all([zask(endpoint), zask(endpoint, 'add', '2')])
    expect(inspected.stdout).to.match(/^sums at /)
    expect(called.stdout).to.equal('3\n')
  })

  it('says of each command what it takes', async () => {
    const { stdout, code } = await zask('call', '--help')
    expect(stdout).to.match(/^zask call <service\|endpoint> <method>/)
    expect(stdout).to.match(/-j, --json-args [\s\S]*--timeout <s>/)
    expect(code).to.equal(0)
  })

  it('gives the same as JSON', async () => {
    const { stdout } = await zask('inspect', endpoint, 'count', '--json')
    expect(JSON.parse(stdout)).to.deep.equal({
      name: 'sums',
      methods: { count: { args: [{ name: 'n' }], doc: null } },
    })
  })

  it('names the methods there are where the one asked for is not', async () => {
    const { stderr, code } = await zask('inspect', endpoint, 'ad')
    expect(stderr).to.match(/no method 'ad'.*add, echo, count/)
    expect(code).to.equal(1)
  })
})
