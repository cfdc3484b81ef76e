import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import manifest from '../../../package.json' with { type: 'json' }
import { projectNames } from '../../../plugins/cli/project.ts'
import { type Ended, repository, run, sourceCondition } from '../../support/processes.ts'

const files = ['.gitignore', 'app.test.ts', 'app.ts', 'package.json', 'tsconfig.json']

describe('zask new', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-new-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const zask = (...args: string[]): Promise<Ended> =>
    run(process.execPath, [sourceCondition, join(repository, 'plugins/cli/main.ts'), 'new', ...args], {
      cwd: folder,
    })

  it('writes five files that bear the name, and says what to type next', async () => {
    const { stdout, stderr, code } = await zask('my-service')
    expect([stderr, code]).to.deep.equal(['', 0])
    expect(stdout).to.match(/ {2}cd my-service\n {2}npm install\n {2}npm test\n {2}npm start\n/)
    expect((await readdir(join(folder, 'my-service'))).toSorted()).to.deep.equal(files)
    const app = await readFile(join(folder, 'my-service/app.ts'), 'utf8')
    expect(app).to.include('export class MyService {').and.include("service = 'my_service'")
    expect(app).to.include('ZERORPC_MY_SERVICE:')
  })

  it('depends on what this zask was tested with', async () => {
    await zask('my-service')
    const { name, dependencies, devDependencies, engines } = JSON.parse(
      await readFile(join(folder, 'my-service/package.json'), 'utf8'),
    ) as Record<string, unknown>
    expect(name).to.equal('my-service')
    expect(dependencies).to.deep.equal({ zask: `^${manifest.version}` })
    expect(devDependencies).to.deep.equal({
      '@types/node': `^${manifest.devDependencies['@types/node']}`,
      typescript: `^${manifest.devDependencies.typescript}`,
    })
    expect(engines).to.deep.equal(manifest.engines)
  })

  it('writes into the folder it stands in, where a repository was just made, and prints JSON', async () => {
    const here = join(folder, 'greeter')
    await mkdir(join(here, '.git'), { recursive: true })
    const { stdout, code } = await run(
      process.execPath,
      [sourceCondition, join(repository, 'plugins/cli/main.ts'), 'new', '.', '--json'],
      { cwd: here },
    )
    expect(code).to.equal(0)
    const { files: written, ...rest } = JSON.parse(stdout) as { files: string[] }
    expect(written.toSorted()).to.deep.equal(files)
    expect(rest).to.deep.equal({
      name: 'greeter',
      service: 'greeter',
      folder: here,
      next: ['npm install', 'npm test', 'npm start'],
    })
  })

  it('refuses a folder that is not empty, a file, and names that could not be used, and writes nothing', async () => {
    await mkdir(join(folder, 'full'))
    await writeFile(join(folder, 'full/mine.txt'), 'mine')
    const [full, file, wrong, taken, none] = await Promise.all([
      zask('full'),
      zask('full/mine.txt'),
      zask('My Service'),
      zask('zask'),
      zask(),
    ])
    expect(full.stderr).to.match(/full is not empty: it has mine\.txt\. Name a folder that is new or empty\./)
    expect(file.stderr).to.match(/'mine\.txt' cannot be the name/)
    expect(wrong.stderr).to.match(
      /'My Service' cannot be the name of a service\. Take .* such as my-service\./,
    )
    expect(taken.stderr).to.match(/'zask' is taken/)
    expect(none.stderr).to.match(/Write zask new <folder>/)
    expect([full, file, wrong, taken, none].map(({ code }) => code)).to.deep.equal([2, 2, 2, 2, 2])
    expect(await readdir(folder)).to.deep.equal(['full'])
    expect(await readdir(join(folder, 'full'))).to.deep.equal(['mine.txt'])
  })

  it('says what keeps it from writing: with 2 where another folder helps, else with 1', async () => {
    await writeFile(join(folder, 'file'), '')
    await symlink('nowhere', join(folder, 'link'))
    const [file, link] = await Promise.all([zask('file/my-service'), zask('link')])
    expect(file.stderr).to.match(/file\/my-service is no folder: a part of it is a file\./)
    expect(link.stderr).to.match(/link cannot be written: E[A-Z]+/)
    expect([file.code, link.code]).to.deep.equal([2, 1])
  })

  it('names no class after one of the language', () => {
    expect(projectNames('promise').class).to.equal('PromiseService')
    expect(projectNames('order-2-go').class).to.equal('Order2Go')
  })
})
