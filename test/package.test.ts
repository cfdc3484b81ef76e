import { readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { freePort } from './support/ports.ts'
import { type Ended, repository, run, Spawned } from './support/processes.ts'

const readme = readFileSync(join(repository, 'README.md'), 'utf8')
const lockfile = readFile(join(repository, 'package-lock.json'), 'utf8')

/** The scripts of the tests run on Node 24; `npm` and `node` below are those a user of that Node would have. */
const npm = async (cwd: string, ...args: string[]): Promise<Ended> => {
  const ended = await run('npm', args, { cwd })
  if (ended.code !== 0) throw new Error(`npm ${args.join(' ')} ended with ${ended.code}:\n${ended.output}`)
  return ended
}

const server = `
import { createCore } from 'zask'
import { headers } from 'zask/plugins/headers'

class Sums {
  static service = 'sums'
  add(a, b) { return a + b + Number(core.call.accessKey ?? 0) }
}
const core = createCore({ plugins: [headers()] })
const { endpoints } = await core.start(new Sums(), { bind: 'tcp://127.0.0.1:*' })
console.log(endpoints[0])
`

const typedServer = `
import { createCore, type Plugin } from 'zask'
import { headers } from 'zask/plugins/headers'

function twice(): Plugin<{ adds: { factor: number }; needs: { accessKey: string | undefined } }> {
  return { name: 'twice', apply: (core) => core.hooks.beforeCall.tap('twice', (call) => void (call.factor = 2)) }
}
export class Products {
  static readonly service = 'products'
  multiply(a: number): number { return a * core.call.factor }
}
const core = createCore({ plugins: [headers(), twice()] })
const { endpoints } = await core.start(new Products(), { bind: 'tcp://127.0.0.1:*' })
console.log(endpoints[0])
`

const typedClient = `
import { createCore } from 'zask'
import type { Products } from './server.ts'

const core = createCore()
const products = await core.client<Products>(process.argv[2] as string)
const product: number = await products.multiply(21)
// @ts-expect-error -- there is no such method
void products.divide
console.log(product)
await core.stop()
`

/** What the page says that .dockerignore keeps out. */
const isNoModule = (path: string): boolean => !path.includes('node_modules')

/** Which modules of others are in memory, once zask is imported and a call is made without any plugin. */
const loaded = `
import { registerHooks } from 'node:module'
const seen = new Set()
registerHooks({
  resolve(specifier, context, next) {
    if (/^[@a-z]/.test(specifier) && !specifier.includes(':')) seen.add(specifier)
    return next(specifier, context)
  },
})
const { createCore } = await import('zask')
const core = createCore()
const { endpoints } = await core.start({ add: (a, b) => a + b }, { bind: 'tcp://127.0.0.1:*', signals: false })
const sums = await core.client(endpoints)
await sums.add(1, 2)
await core.stop()
console.log(JSON.stringify([...seen]))
`

describe('the package', function () {
  this.timeout(180_000)

  let scratch: string
  let folder: string
  let tarball: string
  let installed: Ended
  let files: string[]

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'zask-package-'))
    folder = join(scratch, 'app')
    await mkdir(folder)
    const packed = await npm(repository, 'pack', '--json', '--pack-destination', scratch)
    const [report] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as [
      { filename: string; files: { path: string }[] },
    ]
    files = report.files.map(({ path }) => path)
    // The very commands of the README, in an empty folder; the tarball stands for what a registry would give.
    const commands = /`(npm init [^`]*npm install) zask`/.exec(readme)?.[1]
    tarball = join(scratch, report.filename)
    const install = `${commands} --prefer-offline '${tarball}'`
    installed = await run('/bin/sh', ['-c', install], { cwd: folder })
    if (commands === undefined || installed.code !== 0)
      throw new Error(`${install} failed:\n${installed.output}`)
  })

  after(() => rm(scratch, { recursive: true, force: true }))

  const file = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text)
  const node = (...args: string[]): Promise<Ended> => run(process.execPath, args, { cwd: folder })
  const zask = (...args: string[]): Promise<Ended> =>
    run(join(folder, 'node_modules/.bin/zask'), args, { cwd: folder })

  let service: Promise<{ project: string; made: Ended; installing: Ended }> | undefined
  /** A project of `zask new`, installed: made once. */
  const newService = (): NonNullable<typeof service> =>
    (service ??= (async () => {
      const made = await run(join(folder, 'node_modules/.bin/zask'), ['new', 'my-service'], { cwd: scratch })
      const project = join(scratch, 'my-service')
      // Tests run at the same time as others: a port of its own.
      const app = join(project, 'app.ts')
      await writeFile(app, (await readFile(app, 'utf8')).replace(':4242', `:${await freePort()}`))
      return { project, made, installing: await npm(project, 'install', '--prefer-offline', tarball) }
    })())

  async function serving(name: string, use: (endpoint: string) => Promise<void>): Promise<Ended> {
    const started = new Spawned(process.execPath, [name], { cwd: folder })
    try {
      await started.until((output) => output.includes('\n'))
      await use(started.output.trim())
    } finally {
      started.signal('SIGTERM')
    }
    return await started.ended
  }

  it('has JavaScript, declarations and maps of core and plugins, docs, and nothing of the tests', () => {
    const core = files.filter((path) => path.startsWith('dist/core/index.'))
    expect(core).to.have.members(['js', 'js.map', 'd.ts', 'd.ts.map'].map((end) => `dist/core/index.${end}`))
    expect(files).to.include.members([
      'README.md',
      'LICENSE',
      'package.json',
      'docs/hooks.md',
      'dist/plugins/headers.js',
    ])
    const strange = files.filter(
      (path) =>
        !/^(README\.md|LICENSE|package\.json)$/.test(path) &&
        !/^dist\/(core|plugins)\/[\w/-]+\.(c?js|d\.c?ts)(\.map)?$/.test(path) &&
        !/^docs\/[\w/.-]+\.(md|ts|json|cfg)$/.test(path),
    )
    expect(strange).to.deep.equal([])
    expect(files.filter((path) => /\.test\.|node_modules/.test(path))).to.deep.equal([])
  })

  it('has maps that carry their sources, so that a debugger shows TypeScript', async () => {
    const map = await readFile(join(folder, 'node_modules/zask/dist/core/core.js.map'), 'utf8')
    const { sourcesContent } = JSON.parse(map) as { sourcesContent?: string[] }
    expect(sourcesContent?.[0]).to.match(/export function createCore</)
  })

  it('installs no database driver and no test tool', async () => {
    const names = await readdir(join(folder, 'node_modules'))
    expect(names).to.include.members(['zask', 'zeromq', 'tapable', '@msgpack'])
    for (const name of ['@mikro-orm', 'pg', 'better-sqlite3', 'mysql2', 'mocha', 'typescript']) {
      expect(names).to.not.include(name)
    }
  })

  it('runs the app of the README after the commands of the README, without a warning', async () => {
    const app = /```ts app\.ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
    expect(app).to.include(':4242')
    await file('app.ts', app.replace(':4242', ':*'))
    const { code, stderr } = await serving('app.ts', async (said) => {
      const endpoint = said.replace('greeter is at ', '')
      const called = await run('npx', ['zask', 'call', endpoint, 'hello', 'World'], { cwd: folder })
      expect([called.stdout, called.stderr]).to.deep.equal(['Hello, World!\n', ''])
    })
    expect([code, stderr]).to.deep.equal([0, ''])
    expect(installed.stderr).to.not.match(/EBADENGINE|allow-scripts|deprecated/)
  })

  it('writes a new service that passes its own test, starts, and is called as it says', async () => {
    const { project, made, installing } = await newService()
    expect([made.code, made.stderr]).to.deep.equal([0, ''])
    expect(made.stdout).to.match(/^ {2}cd my-service\n {2}npm install\n {2}npm test\n {2}npm start$/m)
    const call = /^ {2}npx zask call (.+)$/m.exec(made.stdout)?.[1]?.split(' ') ?? []
    expect(installing.stderr).to.not.match(/EBADENGINE|scripts|deprecated/)
    const tested = await npm(project, 'test')
    expect(tested.stdout).to.match(/pass 2\n.*fail 0\n/)
    const started = new Spawned('npm', ['start'], { cwd: project })
    try {
      await started.until((output) => /my_service 1\.0 at tcp:\S+\n/.test(output))
      const called = await run(join(project, 'node_modules/.bin/zask'), ['call', ...call], { cwd: project })
      expect([called.stdout, called.stderr]).to.deep.equal(['Hello, World!\n', ''])
    } finally {
      started.signal('SIGINT')
    }
    const { output } = await started.ended
    expect(output.trim().split('\n').at(-1)).to.match(/"MyService" - "hello" - OK - \d+ms$/)
  })

  it('runs that service by the very commands of the container of docs/deploy.md, until SIGTERM', async () => {
    const page = readFileSync(join(repository, 'docs/deploy.md'), 'utf8')
    const dockerfile = /```dockerfile Dockerfile\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
    const { project } = await newService()
    const image = join(scratch, 'image')
    await mkdir(image)
    const env: Record<string, string> = {}
    let started: Spawned | undefined
    for (const line of dockerfile.trim().split('\n')) {
      const [instruction, ...words] = line.split(' ')
      const text = words.join(' ')
      if (instruction === 'ENV')
        for (const word of words) env[word.split('=')[0] as string] = word.split('=')[1] ?? ''
      else if (instruction === 'COPY') {
        for (const name of words.slice(0, -1)) {
          await cp(join(project, name), join(image, name), { recursive: true, filter: isNoModule })
        }
      } else if (instruction === 'RUN') {
        const { code, output } = await run('/bin/sh', ['-c', `${text} --prefer-offline`], { cwd: image, env })
        if (code !== 0) throw new Error(`${line} ended with ${code}:\n${output}`)
      } else if (instruction === 'CMD') {
        const [command = '', ...args] = JSON.parse(text) as string[]
        started = new Spawned(join(image, command), args, { cwd: image, env })
      } else expect(instruction).to.be.oneOf(['FROM', 'WORKDIR', 'USER', 'EXPOSE'])
    }
    try {
      await started?.until((output) => output.includes('my_service 1.0 at '))
      const endpoint = started?.output.trim().split(' ').at(-1) ?? ''
      const called = await zask('call', endpoint, 'hello', 'container')
      expect([called.stdout, called.stderr]).to.deep.equal(['Hello, container!\n', ''])
    } finally {
      started?.signal('SIGTERM')
    }
    const ended = await started?.ended
    expect([ended?.code, ended?.stderr]).to.deep.equal([0, ''])
    expect(ended?.stdout).to.match(/\nNone - .* - "MyService" - "hello" - OK - \d+ms\n$/)
  })

  it('runs a service in plain JavaScript that its own command line can call', async () => {
    await file('server.js', server)
    const { code, output } = await serving('server.js', async (endpoint) => {
      const { stdout, stderr } = await zask('call', endpoint, 'add', '1', '2')
      expect([stdout, stderr]).to.deep.equal(['3\n', ''])
    })
    expect([code, output.trim().split('\n').length]).to.deep.equal([0, 1])
  })

  it('runs a service in TypeScript as it is, called by a typed client in another process', async () => {
    await file('server.ts', typedServer)
    await file('client.ts', typedClient)
    const { code } = await serving('server.ts', async (endpoint) => {
      const { stdout, stderr } = await node('client.ts', endpoint)
      expect([stdout, stderr]).to.deep.equal(['42\n', ''])
    })
    expect(code).to.equal(0)
  })

  it('has declarations that a strict project compiles against, library check included', async () => {
    await file('server.ts', typedServer)
    await file('client.ts', typedClient)
    await file(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          moduleResolution: 'nodenext',
          target: 'es2024',
          lib: ['es2024', 'esnext.disposable'],
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          allowImportingTsExtensions: true,
          noEmit: true,
          types: ['node'],
          typeRoots: [join(repository, 'node_modules/@types')],
        },
        files: ['server.ts', 'client.ts'],
      }),
    )
    const { code, output } = await run(join(repository, 'node_modules/.bin/tsc'), ['-p', folder], {
      cwd: folder,
    })
    expect(output).to.equal('')
    expect(code).to.equal(0)
  })

  it('loads nothing that a call does not use', async () => {
    await file('loaded.js', loaded)
    const { stdout, stderr } = await node('loaded.js')
    expect(stderr).to.equal('')
    const seen = JSON.parse(stdout) as string[]
    expect(seen).to.include.members(['zask', 'zeromq', 'tapable', '@msgpack/msgpack'])
    expect(seen.filter((name) => /bunyan|acorn|mikro-orm|^pg|sqlite/.test(name))).to.deep.equal([])
  })

  it('resolves each path of exports, in the package as installed', async () => {
    await file(
      'paths.js',
      `for (const path of ['zask', 'zask/plugins', 'zask/plugins/endpoints', 'zask/testing', 'zask/package.json'])
  console.log(import.meta.resolve(path).replace(/.*node_modules\\//, ''))`,
    )
    expect((await node('paths.js')).stdout.trim().split('\n')).to.deep.equal([
      'zask/dist/core/index.js',
      'zask/dist/plugins/index.js',
      'zask/dist/plugins/endpoints.js',
      'zask/dist/plugins/testing.js',
      'zask/package.json',
    ])
    for (const path of ['core/index.js', 'plugins/index.js', 'plugins/endpoints.js', 'plugins/testing.js']) {
      expect(files).to.include(`dist/${path}`)
    }
  })

  it('has a lockfile that names no registry', async () => {
    const lines = (await lockfile).split('\n').filter((line) => /"resolved"|https?:/.test(line))
    // Where packages ask for money is no place they come from.
    expect(lines.filter((line) => !/^ +"url": /.test(line))).to.deep.equal([])
  })
})
