import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { curveKeyPair, createLogger } from '../../core/index.ts'
import { isExposed, StrangerLog, warnOfFewFiles } from '../../core/precautions.ts'
import { Cores } from '../support/cores.ts'

class Service {
  ping(): string {
    return 'pong'
  }
}

describe('an endpoint', () => {
  const places: [string, boolean][] = [
    ['tcp://127.0.0.1:4242', false],
    ['tcp://127.1.2.3:4242', false],
    ['tcp://[::1]:4242', false],
    ['tcp://[::ffff:127.0.0.1]:4242', false],
    ['ipc:///run/users.sock', false],
    ['ipc://@users', false],
    ['inproc://users', false],
    ['tcp://0.0.0.0:4242', true],
    ['tcp://[::]:4242', true],
    ['tcp://192.168.1.7:4242', true],
    ['tcp://[fe80::1%eth0]:4242', true],
    ['tcp://12.7.0.1:4242', true],
    ['tcp://[2001:db8::127]:4242', true],
  ]
  for (const [endpoint, exposed] of places) {
    it(`${endpoint} can${exposed ? '' : 'not'} be reached from other machines`, () => {
      expect(isExposed(endpoint)).to.equal(exposed)
    })
  }
})

describe('a start', () => {
  const cores = new Cores()
  afterEach(() => cores.close())

  const binds = ['tcp://0.0.0.0:*', 'tcp://*:*']
  const own = Object.entries(networkInterfaces()).find(([, all]) =>
    all?.some((one) => one.family === 'IPv4' && !one.internal),
  )
  if (own !== undefined) binds.push(`tcp://${own[0]}:*`)
  for (const bind of binds) {
    it(`warns once of ${bind.replace(/\/\w+:/, '/an interface:')} without encryption, and says what to do`, async () => {
      const { endpoint } = await cores.serve(new Service(), { bind: [bind, 'tcp://127.0.0.1:*'] })
      expect(cores.logged).to.have.length(1)
      expect(cores.logged[0]).to.contain('WARN').and.contain(endpoint).and.contain('zask keygen')
      expect(cores.logged[0]).not.to.match(/^\S+ \S+ tcp:\/\/127/)
    })
  }

  it('says nothing of what cannot be reached from elsewhere', async () => {
    await cores.serve(new Service(), { bind: ['tcp://127.0.0.1:*', 'tcp://[::1]:*', 'inproc://precautions'] })
    await cores.serve(new Service(), { bind: 'tcp://lo:*' })
    expect(cores.logged).to.deep.equal([])
  })

  it("says nothing where it encrypts, or where 'plaintext' is written", async () => {
    const { secretKey } = curveKeyPair()
    await cores.serve(new Service(), { bind: 'tcp://0.0.0.0:*', curve: { secretKey, allow: 'any' } })
    await cores.serve(new Service(), { bind: 'tcp://0.0.0.0:*', curve: { allow: 'plaintext' } })
    const core = cores.make()
    core.config.set('CURVE_ALLOW', 'plaintext')
    await core.start(new Service(), { bind: 'tcp://0.0.0.0:*', signals: false })
    await core.client('tcp://0.0.0.0:*', { bind: true })
    expect(cores.logged).to.deep.equal([])
  })

  it('warns of a client that is bound where others can reach it', async () => {
    await cores.client('tcp://0.0.0.0:*', { bind: true })
    expect(cores.logged).to.have.length(1)
  })
})

const row = (limit: string): string =>
  `Max processes  90 90 processes\nMax open files            ${limit}  1048576   files\n`

describe('the limit of open files', () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'zask-'))))
  after(() => rmSync(folder, { recursive: true }))

  async function said(limits: string): Promise<string[]> {
    const lines: string[] = []
    writeFileSync(join(folder, 'limits'), limits)
    await warnOfFewFiles(createLogger({ write: (line) => void lines.push(line) }), join(folder, 'limits'))
    return lines
  }

  it('is complained about where it is low', async () => {
    const lines = await said(row('1024'))
    expect(lines).to.have.length(1)
    expect(lines[0]).to.contain('1024').and.contain('ulimit -n').and.contain('LimitNOFILE=')
  })

  it('is let be where it is high, or nobody knows it', async () => {
    for (const limits of [row('4096'), row('unlimited'), 'something else', ''])
      expect(await said(limits)).to.deep.equal([])
    await warnOfFewFiles(
      createLogger({ write: () => expect.fail('nothing to say') }),
      join(folder, 'missing'),
    )
  })
})

describe('the log of strangers', () => {
  it('names who was turned away, but not each time', () => {
    const lines: string[] = []
    const log = createLogger({ write: (line) => void lines.push(line) })
    const strangers = new StrangerLog(() => log)
    for (let count = 0; count < 1000; count++) {
      strangers.note('unknown key', 'the-key', '10.0.0.5')
      strangers.note('unfinished handshake')
      strangers.note('not accepted')
    }
    expect(lines).to.have.length(2)
    expect(lines[0]).to.contain('the-key').and.contain('10.0.0.5')
    expect(lines[1]).to.contain('file descriptor').and.contain('ulimit -n')
  })
})
