import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'

/** The user `nobody`, as for PostgreSQL. */
const nobody = { uid: 65534, gid: 65534 }

const binary = '/usr/sbin/mariadbd'
const debianPackage = 'mariadb-server-core'

/** A MariaDB server for tests: one that is told, or one of its own from Debian's package, on a free port. */
export class MariaDbServer {
  /** `root@host:port`, without scheme: the drivers of MySQL and of MariaDB both speak with it. */
  readonly authority: string
  readonly #process: ChildProcess | undefined
  readonly #folder: string | undefined
  readonly #onExit = (): void => void this.#process?.kill('SIGKILL')

  private constructor(authority: string, child?: ChildProcess, folder?: string) {
    this.authority = authority
    this.#process = child
    this.#folder = folder
    if (child !== undefined) process.once('exit', this.#onExit)
  }

  /**
   * With `TEST_MYSQL_URL` (`mysql://user:password@host:port`) set it uses that server. Leaves the suite out, by name,
   * where there is neither that nor Debian's package; on CI that is a failure.
   */
  static async start(context: Mocha.Context): Promise<MariaDbServer> {
    const told = process.env['TEST_MYSQL_URL']
    if (told !== undefined && told !== '') {
      return new MariaDbServer(told.replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, ''))
    }
    if (existsSync(binary)) return await startOwn(MariaDbServer.#of)
    const name = context.test?.parent?.title ?? 'MariaDB'
    const reason = `left out: "${name}": no MariaDB here (apt-get install ${debianPackage}), nor TEST_MYSQL_URL`
    if (process.env['CI']) throw new Error(reason)
    console.log(`  ${reason}`)
    return context.skip()
  }

  static readonly #of = (port: number, child: ChildProcess, folder: string): MariaDbServer =>
    new MariaDbServer(`root@127.0.0.1:${port}`, child, folder)

  /** The URI of a database of this server; `createAll` makes it. */
  database(name: string, scheme: 'mysql' | 'mariadb' = 'mariadb'): string {
    return `${scheme}://${this.authority}/${name}`
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    process.off('exit', this.#onExit)
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      // Nothing in it is to be kept.
      child.kill('SIGKILL')
      await exited
    }
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function startOwn(
  made: (port: number, child: ChildProcess, folder: string) => MariaDbServer,
): Promise<MariaDbServer> {
  const identity = process.getuid?.() === 0 ? nobody : {}
  const folder = mkdtempSync(join(tmpdir(), 'zask-mariadb-'))
  if (identity === nobody) chownSync(folder, nobody.uid, nobody.gid)
  const data = join(folder, 'data')
  mkdirSync(data)
  if (identity === nobody) chownSync(data, nobody.uid, nobody.gid)
  const port = await freePort()
  const child = spawn(
    binary,
    [
      '--no-defaults',
      `--datadir=${data}`,
      `--socket=${join(folder, 'socket')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      // Without them it needs no tables of its own, and takes everybody for its administrator.
      '--skip-grant-tables',
      '--innodb-log-file-size=4M',
      '--innodb-buffer-pool-size=16M',
      '--innodb-flush-log-at-trx-commit=0',
    ],
    { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const server = made(port, child, folder)
  let said = ''
  await new Promise<void>((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`mariadbd ended with ${code}: ${said}`))
    child.once('exit', onExit)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_000)
      if (!said.includes('ready for connections')) return
      child.off('exit', onExit)
      resolve()
    })
  })
  return server
}
