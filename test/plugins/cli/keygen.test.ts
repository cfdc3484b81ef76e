import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Core, createCore, createLogger, type CurveKeyPair, publicKeyOf } from '../../../core/index.ts'
import { zaskHere } from '../../support/command-line.ts'

class Notes {
  count(): number {
    return 3
  }
}

describe('zask keygen', () => {
  let folder: string
  let core: Core | undefined

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-keys-'))
  })
  afterEach(async () => {
    await core?.stop()
    core = undefined
    await rm(folder, { recursive: true, force: true })
  })

  const at = (name: string): string => join(folder, name)

  const keysIn = async (name: string): Promise<CurveKeyPair> => {
    const text = await readFile(at(name), 'utf8')
    const { CURVE_PUBLIC_KEY: publicKey, CURVE_SECRET_KEY: secretKey } = JSON.parse(text) as Record<
      string,
      string
    >
    return { publicKey: publicKey as string, secretKey: secretKey as string }
  }

  it('prints a pair, and says which of the two is for others', async () => {
    const [text, machine] = await Promise.all([zaskHere('keygen'), zaskHere('keygen', '--json')])
    const found = /^public key {2}(\S{40}) .*everybody.*\nsecret key {2}(\S{40}) .*alone\n$/.exec(text.stdout)
    expect(publicKeyOf(found?.[2] as string)).to.equal(found?.[1])
    const pair = JSON.parse(machine.stdout) as CurveKeyPair
    expect(publicKeyOf(pair.secretKey)).to.equal(pair.publicKey)
    expect(pair.publicKey).not.to.equal(found?.[1])
    expect(await readdir(folder)).to.deep.equal([])
  })

  it('writes a file that its owner alone can read, and prints no secret', async () => {
    const { stdout, code } = await zaskHere('keygen', '--out', at('a.json'))
    const { publicKey, secretKey } = await keysIn('a.json')
    expect(code).to.equal(0)
    expect(publicKeyOf(secretKey)).to.equal(publicKey)
    expect(stdout).to.contain(publicKey).and.not.contain(secretKey)
    expect((await lstat(at('a.json'))).mode & 0o777).to.equal(0o600)
  })

  it('keeps what is there, unless it is forced, and never goes through a link', async () => {
    await writeFile(at('a.json'), 'precious', { mode: 0o644 })
    await symlink(at('a.json'), at('link.json'))
    const refused = await Promise.all([
      zaskHere('keygen', '--out', at('a.json')),
      zaskHere('keygen', '--out', at('link.json')),
    ])
    for (const { stderr, stdout, code } of refused) {
      expect([stdout, code]).to.deep.equal(['', 1])
      expect(stderr).to.contain('is there already').and.contain('--force')
    }
    const forced = await Promise.all([
      zaskHere('keygen', '--out', at('link.json'), '--force', '--json'),
      zaskHere('keygen', '--out', at('none/a.json'), '--force'),
    ])
    const { publicKey } = await keysIn('link.json')
    expect(JSON.parse(forced[0].stdout)).to.deep.equal({ publicKey, file: at('link.json') })
    expect(await readFile(at('a.json'), 'utf8')).to.equal('precious')
    expect((await lstat(at('link.json'))).mode & 0o777).to.equal(0o600)
    expect(forced[1]).to.include({ code: 1 })
    expect(forced[1].stderr).to.contain('cannot be written')
    expect((await readdir(folder)).toSorted()).to.deep.equal(['a.json', 'link.json'])
  })

  it('makes what a core loads as its config, and a command line calls with', async () => {
    await Promise.all([
      zaskHere('keygen', '--out', at('server.json')),
      zaskHere('keygen', '--out', at('caller.json')),
    ])
    const [server, caller] = [await keysIn('server.json'), await keysIn('caller.json')]
    core = createCore({ root: folder })
    core.setLogger(createLogger({ write: () => undefined }))
    await core.config.fromFile('server.json')
    core.config.set('CURVE_ALLOW', [caller.publicKey])
    const { endpoints } = await core.start(new Notes(), { bind: 'tcp://127.0.0.1:*', signals: false })
    const command = ['call', endpoints[0] as string, 'count', `--server-key=${server.publicKey}`]
    const [known, unknown, wrong, empty] = await Promise.all([
      zaskHere(...command, '--keys', at('caller.json')),
      zaskHere(...command),
      zaskHere(...command.slice(0, 3), '--server-key=abc'),
      writeFile(at('empty.json'), '{}').then(() => zaskHere(...command, '--keys', at('empty.json'))),
    ])
    expect(known).to.include({ stdout: '3\n', code: 0 })
    expect(unknown.stderr).to.contain('ZASK_PEER_REFUSED')
    expect(unknown.code).to.equal(3)
    expect(wrong.stderr).to.contain('it has 3 characters')
    expect(empty.stderr).to.contain('has no CURVE_SECRET_KEY')
    expect([wrong.code, empty.code]).to.deep.equal([2, 2])
  })
})
