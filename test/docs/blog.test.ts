import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { freePort } from '../support/ports.ts'
import { PostgresServer } from '../support/postgres.ts'
import { type Ended, repository, run, sourceCondition, Spawned } from '../support/processes.ts'

const example = join(repository, 'docs/examples/blog')
const commands = (text: string): string[] => [...text.matchAll(/^ {2}(\S.*)$/gm)].map(([, line = '']) => line)

describe('the blog example', function () {
  this.timeout(60_000)

  let data: string
  let env: Record<string, string>
  const running: Spawned[] = []

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'zask-blog-'))
    env = { BLOG_DATA: join(data, 'blog'), BLOG_PORT: String(await freePort(2)) }
  })

  afterEach(async () => {
    for (const spawned of running.splice(0)) {
      spawned.signal('SIGKILL')
      await spawned.ended
    }
    await rm(data, { recursive: true, force: true })
  })

  function start(command: string, ...args: string[]): Spawned {
    const spawned = new Spawned(command, args, { env })
    running.push(spawned)
    return spawned
  }

  async function serving(command = process.execPath, ...args: string[]): Promise<Spawned> {
    const own = [sourceCondition, join(example, 'main.ts')]
    const spawned = start(command, ...(command === process.execPath ? own : args))
    await spawned.until((output) => output.includes('Ctrl-C stops it.'))
    return spawned
  }

  const client = (): Promise<Ended> =>
    run(process.execPath, [sourceCondition, join(example, 'client.ts')], { env })

  it('prints the commands that its page runs, and no others', async () => {
    const page = readFileSync(join(example, 'README.md'), 'utf8')
    const [shown = '', rest = ''] = page.split('In another terminal:')
    const ran = [...rest.matchAll(/^\$ (.+)$/gm)].map(([, command]) => command)
    expect(commands(shown)).to.deep.equal(ran)
  })

  it('starts again on what it has made, and ends cleanly by Ctrl-C, through npm, too', async () => {
    const first = await serving('npm', 'start')
    first.signal('SIGINT')
    const { output } = await first.ended
    expect(output.trim().endsWith('Ctrl-C stops it.')).to.equal(true)
    // SQLite keeps a log beside each file until it is closed properly.
    expect(readdirSync(env['BLOG_DATA'] as string).toSorted()).to.deep.equal([
      'access.log',
      'error.log',
      'posts.db',
      'users.db',
    ])
    const second = await serving()
    expect((await client()).stdout).to.match(
      /^\{ name: 'bob', posts: 1 \}\n1\. First post, by ann\n2\. Second post, by bob\nQUOTA_/,
    )
    second.signal('SIGINT')
    expect((await second.ended).code).to.equal(0)
  })

  it('says that a port is taken, what to do, and ends with 1', async () => {
    await serving()
    const { code, stderr } = await start(process.execPath, sourceCondition, join(example, 'main.ts')).ended
    expect(stderr).to.match(
      /^Cannot bind to 'tcp:\S+': another socket is bound there\. .*\nBLOG_PORT=\d+ npm start .*\n$/,
    )
    expect(code).to.equal(1)
  })

  describe('with BLOG_POSTGRES', () => {
    let postgres: PostgresServer

    before(async () => {
      postgres = await PostgresServer.start()
    })
    after(() => postgres.stop())

    it('runs on PostgreSQL, and prints commands that lead there', async () => {
      for (const name of ['blog_users', 'blog_posts']) postgres.database(name)
      env['BLOG_POSTGRES'] = postgres.uri.replace(/\/[^/]*$/, '')
      const served = await serving()
      const { stdout, code } = await client()
      expect(code).to.equal(0)
      expect(stdout).to.include('1. First post, by ann\n2. Second post, by bob\n')
      expect(
        (await readdir(env['BLOG_DATA'] as string)).filter((name) => name.endsWith('.db')),
      ).to.deep.equal([])
      const [publish = ''] = commands(served.output).filter((command) => command.includes('publish'))
      const called = await run('/bin/sh', [
        '-c',
        publish.replaceAll(
          'npm run -s zask --',
          `${process.execPath} ${sourceCondition} plugins/cli/main.ts`,
        ),
      ])
      expect([called.stdout, called.stderr]).to.deep.equal(['3\n', ''])
    })
  })
})
