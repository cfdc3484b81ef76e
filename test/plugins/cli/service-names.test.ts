import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Core, createCore } from '../../../core/index.ts'
import { findApplication } from '../../../plugins/cli/application.ts'
import { endpoints } from '../../../plugins/endpoints.ts'
import { headers } from '../../../plugins/headers.ts'
import { type Said, zaskHere } from '../../support/command-line.ts'
import { repository } from '../../support/processes.ts'

class Sums {
  static readonly service = 'sums'
  readonly #seen: () => unknown

  constructor(seen: () => unknown) {
    this.#seen = seen
  }

  add(a: number, b: number): number {
    return a + b
  }

  headers(): unknown {
    return this.#seen()
  }
}

describe('a service that is named', () => {
  let folder: string
  let config: Record<string, object>
  const cores: Core[] = []
  let apps = 0

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-names-'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const keys = { client_keys: ['k', 'other'], access_key: 'k' }
    const places: Record<string, string> = {}
    for (const version of ['1.0', '2.0']) {
      const core = createCore({
        plugins: [endpoints(), headers()],
        config: { DEBUG: false, ZERORPC_SUMS: { ...keys, [version]: 'ipc:///tmp/unused' } },
      })
      cores.push(core)
      const service = new Sums(() => ({ ...core.call.headers }))
      const started = await core.start(service, { bind: 'tcp://127.0.0.1:*', version, signals: false })
      places[version] = started.endpoints[0] as string
    }
    config = { ZERORPC_SUMS: { ...places, ...keys, default: '1.0' } }
  })

  after(async () => {
    await Promise.all(cores.map((core) => core.stop()))
    await rm(folder, { recursive: true, force: true })
  })

  /** A module of its own for each command line: a process loads its application once. */
  async function appFile(text = ''): Promise<string> {
    const file = join(folder, `app${++apps}.ts`)
    await writeFile(
      file,
      `import { createCore } from '${repository}/core/index.ts'
import { debugLog } from '${repository}/plugins/debug-log.ts'
import { endpoints } from '${repository}/plugins/endpoints.ts'
import { headers } from '${repository}/plugins/headers.ts'
export const core = createCore({ plugins: [debugLog(), endpoints(), headers()] })
core.config.fromObject(${JSON.stringify(config)})
${text}`,
    )
    return file
  }

  const zask = async (...args: string[]): Promise<Said> => zaskHere(...args, '--app', await appFile())

  it('is called by the core of the application, with its config and its plugins', async () => {
    const [sum, sent] = await Promise.all([
      zask('call', 'sums', 'add', '1', '2'),
      zask('call', 'sums', 'headers', '--json', '--header', 'tenant=7'),
    ])
    expect(sum).to.deep.equal({ code: 0, stdout: '3\n', stderr: '' })
    expect(JSON.parse(sent.stdout)).to.include({
      service_name: 'sums',
      service_version: '1.0',
      access_key: 'k',
      tenant: '7',
    })
  })

  it('is asked for in a version', async () => {
    const { stdout } = await zask('call', 'sums', 'headers', '--json', '--version', '2.0')
    expect(JSON.parse(stdout)).to.include({ service_version: '2.0' })
    const { code, stderr } = await zask('call', 'sums', 'headers', '--version', '3.0')
    expect(stderr).to.match(/ZERORPC_SUMS\["3\.0"\].*\(ZASK_ENDPOINTS_CONFIG_MISSING\)/)
    expect(code).to.equal(2)
  })

  it('can be inspected, measured, asked whether it is there, and written as a type', async () => {
    const [inspected, pinged, typed, measured] = await Promise.all([
      zask('inspect', 'sums'),
      zask('ping', 'sums'),
      zask('types', 'sums'),
      zask('bench', 'sums', 'add', '1', '2', '-c', '1', '-d', '0.1', '--json'),
    ])
    expect(inspected.stdout).to.match(/^sums at tcp:\S+\n {2}add\(a, b\)\n/)
    expect(pinged.stdout).to.match(/^sums at tcp:\S+ answers in /)
    expect(typed.stdout).to.match(/^export interface Sums \{$/m)
    expect(JSON.parse(measured.stdout)).to.deep.include({ errors: {} })
  })

  it('is no endpoint: an endpoint is called without the application, unless --app is said', async () => {
    const endpoint = Object.values(config['ZERORPC_SUMS'] as object)[0] as string
    const [bare, told] = await Promise.all([
      zaskHere('call', endpoint, 'add', '1', '2'),
      zask('call', endpoint, 'add', '1', '2'),
    ])
    expect(bare.stderr).to.match(/NoSuchAccessKeyException/)
    expect([bare.code, told.code]).to.deep.equal([1, 1])
    expect(told.stderr).to.equal(bare.stderr)
  })

  it('is not found where there is no application, and that is said', async () => {
    const { code, stderr } = await zaskHere('ping', 'sums')
    expect(stderr).to.match(/'sums' is no endpoint such as tcp:.*--app app\.ts or ZASK_APP=app\.ts/)
    expect(code).to.equal(2)
  })

  it('shows the line of an application that does not load, and ends with 1', async () => {
    const file = await appFile(
      'const text: string | undefined = undefined\nexport const size = text!.length\n',
    )
    const { code, stderr } = await zaskHere('call', 'sums', 'add', '--app', file)
    expect(stderr).to.match(
      /app\d+\.ts does not load\.\n\S*app\d+\.ts:8:\d+\n {2}export const size = text!\.length\nTypeError/,
    )
    expect(code).to.equal(1)
  })

  it('says what to do with an application that starts its services while it is loaded', async () => {
    const endpoint = Object.values(config['ZERORPC_SUMS'] as object)[0] as string
    const file = await appFile(
      `core.setLogger = () => {}\nawait core.start({ one: () => 1 }, { bind: '${endpoint}', signals: false })\n`,
    )
    const { code, stderr } = await zaskHere('call', 'sums', 'add', '--app', file)
    expect(stderr).to.match(
      /starts services while it is loaded: let it export core, and call core\.start in a file/,
    )
    expect(code).to.equal(1)
  })
})

describe('the application of a command line', () => {
  let folder: string
  const cwd = process.cwd()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zask-find-'))
    process.chdir(folder)
  })

  afterEach(async () => {
    process.chdir(cwd)
    await rm(folder, { recursive: true, force: true })
  })

  it('is what --app says, else ZASK_APP, else app.ts, app.js or app.mjs of the folder', async () => {
    expect(await findApplication(undefined, {})).to.equal(undefined)
    await writeFile('app.mjs', 'export { core } from "./core.mjs"\n')
    expect(await findApplication(undefined, {})).to.equal('app.mjs')
    await writeFile('app.ts', 'import x from "y"\nexport const core = createCore()\n')
    expect(await findApplication(undefined, {})).to.equal('app.ts')
    expect(await findApplication(undefined, { ZASK_APP: 'b.ts' })).to.equal('b.ts')
    expect(await findApplication('c.ts', { ZASK_APP: 'b.ts' })).to.equal('c.ts')
  })

  it('is no program that exports no core: looking must not run it', async () => {
    await writeFile('app.ts', 'const core = createCore()\nawait core.start(new Users())\n')
    expect(await findApplication(undefined, {})).to.equal(undefined)
  })
})
