import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCore } from '../../../core/index.ts'
import { type Ended, repository, run, sourceCondition, Spawned } from '../../support/processes.ts'

const script = [sourceCondition, 'plugins/cli/main.ts']
const zask = (...args: string[]): Promise<Ended> => run(process.execPath, [...script, ...args])

const app = `import { createCore } from '${repository}/core/index.ts'
import { headers } from '${repository}/plugins/headers.ts'

export const core = createCore({ root: import.meta.dirname, plugins: [headers()] })
core.config.fromObject({ DATABASE_URI: 'postgresql://me:hidden@db/x', ZERORPC_SUMS: { access_key: 'hidden' } }, 'here')
await core.config.fromFile('setting.json', { silent: true })

export class Sums {
  static readonly service = 'sums'
  add(a: number, b: number) { return a + b }
  async slow() { await new Promise((done) => setTimeout(done, 300)); return 'one' }
  crash() { setTimeout(() => { throw new RangeError('out of range') }) }
}
export const other = { sub: (a: number, b: number) => a - b }
`

/** The endpoint that is printed the `nth` time, from 0. */
async function endpointOf(spawned: Spawned, nth = 0): Promise<string> {
  const found = (): string | undefined => [...spawned.output.matchAll(/ at (\S+)\n/g)][nth]?.[1]
  await spawned.until(() => found() !== undefined)
  return found() as string
}

describe('commands that load an application', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-start-'))
    file = join(folder, 'app.ts')
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(file, app)
  })

  afterEach(() => rm(folder, { recursive: true, force: true }))

  const start = (...args: string[]): Spawned =>
    new Spawned(process.execPath, [...script, 'start', file, ...args])

  it('zask start serves the services of a module until SIGTERM, and ends with 0', async () => {
    const spawned = start('--bind', 'tcp://127.0.0.1:*')
    const endpoint = await endpointOf(spawned)
    await using core = createCore()
    const sums = await core.client(endpoint)
    expect(await sums.$call('add', [1, 2])).to.equal(3)
    const slow = sums.$call('slow')
    await sums.$call('add', [1, 2])
    spawned.signal('SIGTERM')
    expect(await slow).to.equal('one')
    const { code, stdout } = await spawned.ended
    expect(stdout).to.equal(`sums at ${endpoint}\n`)
    expect(code).to.equal(0)
  })

  it('zask start serves what is named: an export, a service, a file', async () => {
    await writeFile(
      join(folder, 'more.ts'),
      "export class More { static service = 'more'; one() { return 1 } }\n",
    )
    const spawned = start('other', 'sums', join(folder, 'more.ts'), '--bind', 'tcp://127.0.0.1:*')
    const endpoint = await endpointOf(spawned)
    await using core = createCore()
    const client = await core.client(endpoint)
    const answers = [client.$call('add', [1, 2]), client.$call('sub', [1, 2]), client.$call('one')]
    expect(await Promise.all(answers)).to.deep.equal([3, -1, 1])
    spawned.signal('SIGTERM')
    await spawned.ended
  })

  it('zask start says what is missing, and ends with 2', async () => {
    await writeFile(join(folder, 'empty.ts'), 'export const nothing = 1\n')
    const [noFile, unknown, empty] = await Promise.all([
      zask('start', join(folder, 'ap.ts')),
      zask('start', file, 'users'),
      zask('start', join(folder, 'empty.ts')),
    ])
    expect(noFile.stderr).to.match(/There is no file .*ap\.ts/)
    expect(unknown.stderr).to.match(/exports no service 'users'\. It exports sums/)
    expect(empty.stderr).to.match(/empty\.ts exports no service/)
    expect([noFile.code, unknown.code, empty.code]).to.deep.equal([2, 2, 2])
  })

  it("shows the user's line first when a module or a service crashes, and ends with 1", async () => {
    const broken = join(folder, 'broken.ts')
    await writeFile(
      broken,
      `const text: string | undefined = undefined\n\nexport const size = text!.length\n`,
    )
    const { stderr, code } = await zask('start', broken)
    const [place, line, error] = stderr.split('\n')
    expect(place).to.match(/broken\.ts:3:\d+$/)
    expect([line, error?.split(':')[0], code]).to.deep.equal([
      '  export const size = text!.length',
      'TypeError',
      1,
    ])

    const spawned = start('--bind', 'tcp://127.0.0.1:*')
    await using core = createCore()
    const sums = await core.client(await endpointOf(spawned))
    await sums.$call('crash')
    const ended = await spawned.ended
    expect(ended.stderr).to.match(/^\S*app\.ts:12:\d+\n {2}crash\(\) .*\nRangeError: out of range\n/)
    expect(ended.code).to.equal(1)
  })

  it('zask start tells a parent with a channel nothing, and does not end with it, unless that one watches', async () => {
    const child = fork('plugins/cli/main.ts', ['start', file, '--bind', 'tcp://127.0.0.1:*'], {
      cwd: repository,
      execArgv: [sourceCondition],
      silent: true,
    })
    const messages: unknown[] = []
    child.on('message', (message) => messages.push(message))
    try {
      const [printed] = await once(child.stdout!, 'data')
      child.disconnect()
      await using core = createCore()
      const sums = await core.client(/ at (\S+)\n/.exec(String(printed))![1]!)
      expect(await sums.$call('slow')).to.equal('one')
      expect(messages).to.deep.equal([])
    } finally {
      child.kill('SIGTERM')
    }
    expect((await once(child, 'exit'))[0]).to.equal(0)
  })

  it('zask start --watch finishes running calls, then starts anew with what has changed', async () => {
    const spawned = start('--bind', 'tcp://127.0.0.1:*', '--watch')
    await using core = createCore()
    const sums = await core.client(await endpointOf(spawned))
    const slow = sums.$call('slow')
    await sums.$call('add', [1, 2])
    await writeFile(file, (await readFile(file, 'utf8')).replace('a + b', 'a * b'))
    expect(await slow).to.equal('one')
    const again = await core.client(await endpointOf(spawned, 1))
    expect(await again.$call('add', [3, 4])).to.equal(12)
    expect(spawned.output).to.match(/app\.ts changed, starting again/)
    spawned.signal('SIGINT')
    expect((await spawned.ended).code).to.equal(0)
  })

  it('zask start --watch waits for a change where the module is broken', async () => {
    await writeFile(file, 'nonsense here\n')
    const spawned = start('--bind', 'tcp://127.0.0.1:*', '--watch')
    await spawned.until((output) => output.includes('waiting for a change'))
    await writeFile(file, app)
    await endpointOf(spawned)
    spawned.signal('SIGTERM')
    expect((await spawned.ended).code).to.equal(0)
  })

  it('zask hooks shows the taps of each hook', async () => {
    const [{ stdout, code }, machine] = await Promise.all([
      zask('hooks', file),
      zask('hooks', file, '--json'),
    ])
    expect(stdout).to.match(/^beforeCall +gate +headers$/m)
    expect(stdout).to.match(/^stopped +observer +-$/m)
    expect(JSON.parse(machine.stdout)).to.deep.include({
      hook: 'beforeCall',
      kind: 'gate',
      taps: [{ plugin: 'headers' }],
    })
    expect(code).to.equal(0)
  })

  it('zask config shows each value with its origin, secrets masked, and says what is wrong', async () => {
    await writeFile(join(folder, 'setting.json'), '{ "DEBUG": "yes" }')
    const { stdout, stderr, code } = await zask('config', file)
    expect(stdout).to.include("DATABASE_URI = 'postgresql://me:***@db/x'   (here)\n")
    expect(stdout).to.include('setting.json')
    expect(stdout).not.to.include('hidden')
    expect(stderr).to.match(/Config key DEBUG must be .*\(ZASK_CONFIG_VALUE_INVALID\)/)
    expect(code).to.equal(1)
  })
})
