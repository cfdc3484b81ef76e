import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { errorCodes } from '../core/index.ts'
import manifest from '../package.json' with { type: 'json' }
import { projectFiles, projectNames } from '../plugins/cli/project.ts'
import { PageRun, prepareRoot } from './support/page-run.ts'
import { brokenLinks, pages } from './support/pages.ts'
import { repository, run } from './support/processes.ts'
import { sources } from './support/sources.ts'

const newProject = projectFiles(projectNames('shop'), { zask: '', node: '', typescript: '', nodeTypes: '' })
const scriptsOfNew = Object.keys(
  (JSON.parse(newProject.get('package.json') as string) as typeof manifest).scripts,
)

/** Pages that are run at the same time. */
const lanes = 3

describe('the docs', function () {
  this.timeout(120_000)

  const all = pages()
  let root: string
  let typeCheck: ReturnType<typeof run>
  const results = new Map<string, Promise<void>>()

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'zask-docs-'))
    await prepareRoot(root)
    const runs = all.map((page) => new PageRun(page, root)).filter((one) => one.used)
    for (const one of runs) await one.prepare()
    typeCheck = run(join(repository, 'node_modules/.bin/tsc'), ['-p', root, '--pretty', 'false'])
    // Those that take longest come first: else a lane would end with one of them while the others have nothing to do.
    const waiting = runs.toSorted((a, b) => b.processes - a.processes)
    const deferred = new Map(runs.map((one) => [one, Promise.withResolvers<void>()]))
    for (const [one, { promise }] of deferred) {
      results.set(one.page.path, promise)
      // Whoever asks for it gets the error; until then nobody does.
      promise.catch(() => undefined)
    }
    for (let lane = 0; lane < lanes; lane++) {
      void (async () => {
        for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
          const { resolve, reject } = deferred.get(one) as PromiseWithResolvers<void>
          await one.run().then(resolve, reject)
        }
      })()
    }
  })

  after(async () => {
    await Promise.allSettled([typeCheck, ...results.values()])
    await rm(root, { recursive: true, force: true })
  })

  for (const page of all) {
    it(`${page.path} links to what exists`, () => {
      expect(brokenLinks(page)).to.deep.equal([])
    })

    it(`${page.path} names only scripts that package.json has, here or in a new project`, () => {
      const named = [...page.text.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)].map((match) => match[1])
      expect([...Object.keys(manifest.scripts), ...scriptsOfNew]).to.include.members(named)
    })

    if (page.blocks.some(({ language }) => ['ts', 'js', 'console'].includes(language))) {
      it(`${page.path} shows code that runs and output that comes`, async () => {
        await results.get(page.path)
      })
    }
  }

  it('show TypeScript that passes the type check', async () => {
    const { code, output } = await typeCheck
    expect(output).to.equal('')
    expect(code).to.equal(0)
  })

  it('begin in README with a name, a sentence, the installation, an app and two commands in 32 lines', () => {
    const lines = readFileSync(join(repository, 'README.md'), 'utf8').split('\n')
    expect(lines[0]).to.equal('# zask')
    const first = lines.slice(0, 32).join('\n')
    expect(first).to.match(/npm install zask/)
    expect(first).to.match(/core\.start\(/)
    expect(first.match(/^\$ /gm)).to.have.length(2)
    expect(lines.join('\n')).to.include('npm ci && npm test')
  })

  it('have a complete plugin by line 20 of writing-plugins.md', () => {
    const lines = readFileSync(join(repository, 'docs/writing-plugins.md'), 'utf8').split('\n').slice(0, 20)
    expect(lines.join('\n')).to.match(/^```ts .*\n(?:.*\n)*? +apply\(core\)(?:.*\n)*?}$/m)
  })
})

describe('docs/architecture.md', () => {
  it('says of each file of core what it is for', () => {
    const text = readFileSync(join(repository, 'docs/architecture.md'), 'utf8')
    const files = sources().filter(({ path }) => /^core\/[\w-]+\.ts$/.test(path))
    expect(files.map(({ path }) => path).filter((path) => !text.includes(`(../${path})`))).to.deep.equal([])
  })
})

describe('docs/errors.md', () => {
  const text = readFileSync(join(repository, 'docs/errors.md'), 'utf8')
  const entries = [...text.matchAll(/^### (ZASK_\w+)\n\n`(\w+)`[.:,;]? ([\s\S]*?)(?=\n#|$(?![\s\S]))/gm)]

  it('has an entry for each code of core/errors.ts, with the name it bears on the wire, and no other', () => {
    expect(Object.fromEntries(entries.map(([, code, name]) => [code, name]))).to.deep.equal(errorCodes)
    expect(entries).to.have.length(Object.keys(errorCodes).length)
  })

  it('says of each when it comes and what to do', () => {
    const short = entries.filter(([, , , body = '']) => body.length < 60 || !/\*\*Do:\*\* \S/.test(body))
    expect(short.map(([, code]) => code)).to.deep.equal([])
  })

  it('leaves out no code that the sources throw, and the table has none that nobody throws', () => {
    const thrown = new Set(
      sources().flatMap(({ path, text: source }) => {
        const seen = path === 'core/errors.ts' ? source.slice(source.indexOf('} as const')) : source
        return [...seen.matchAll(/(?<!env\[)'(ZASK_[A-Z]+(?:_[A-Z]+)*)'/g)].map((match) => match[1] as string)
      }),
    )
    expect([...thrown].toSorted()).to.deep.equal(Object.keys(errorCodes).toSorted())
  })
})
