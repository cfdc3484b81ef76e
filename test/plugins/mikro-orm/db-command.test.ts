import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'chai'
import { type CommandLine, Misuse } from '../../../plugins/command.ts'
import { dbCommand } from '../../../plugins/mikro-orm/db-command.ts'
import { failure } from '../../support/cores.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { type Ended, repository, run, sourceCondition } from '../../support/processes.ts'
import { keys, PseudoTerminal } from '../../support/pseudo-terminal.ts'

const main = join(repository, 'plugins/cli/main.ts')

const app = `
import { defineEntity, p } from '@mikro-orm/core'
import { createCore } from 'zask'
import { entityFor, mikroOrm } from 'zask/plugins/mikro-orm'

const User = entityFor('users')({
  name: 'User',
  properties: { id: p.integer().primary(), name: p.string() },
})
const Post = defineEntity({ name: 'Post', properties: { id: p.integer().primary(), title: p.string() } })

export const db = mikroOrm({ entities: [User, Post] })
export const core = createCore({ root: import.meta.dirname, plugins: [db] })
core.config.fromObject({
  DATABASE_URI: 'sqlite:///posts.db',
  DATABASE_BINDS: { users: process.env.USERS_URI ?? 'sqlite:///users.db' },
})
`

const seeder = `
import { Seeder } from '@mikro-orm/seeder'

export class DatabaseSeeder extends Seeder {
  async run(em) {
    await em.getConnection().execute('select 1')
  }
}
`

/** Makes a package look as if it were not installed. */
const withoutMigrations = `
import { registerHooks } from 'node:module'
registerHooks({
  resolve(name, context, next) {
    if (name !== '@mikro-orm/migrations') return next(name, context)
    throw Object.assign(new Error('Cannot find package ' + name), { code: 'ERR_MODULE_NOT_FOUND' })
  },
})
`

function command(args: readonly string[], flags: readonly string[] = []): string[] {
  return [...flags, sourceCondition, main, 'db', ...args]
}

describe('zask db', function () {
  this.timeout(120_000)

  const folders: string[] = []
  let server: PostgresServer

  before(async () => {
    server = await PostgresServer.start()
  })
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
    await server.stop()
  })

  /** An application in a folder of its own, and the command line there. */
  async function application(users?: string) {
    const folder = await mkdtemp(join(tmpdir(), 'zask-db-'))
    folders.push(folder)
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'app.ts'), app)
    await mkdir(join(folder, 'node_modules'))
    for (const [name, target] of [
      ['zask', repository],
      ['@mikro-orm', join(repository, 'node_modules/@mikro-orm')],
    ] as const) {
      await symlink(target, join(folder, 'node_modules', name))
    }
    const env = users === undefined ? {} : { USERS_URI: users }
    return {
      folder,
      zask: (...args: string[]): Promise<Ended> => run(process.execPath, command(args), { cwd: folder, env }),
    }
  }

  it('makes and drops the tables of all binds, on SQLite files', async () => {
    const { zask } = await application()
    expect(await zask('create')).to.include({
      code: 0,
      stdout: 'default   made post\nusers     made user\n',
      stderr: '',
    })
    expect((await zask('status', '--bind', 'default')).stdout).to.match(
      /^default {3}sqlite:\/\/\/\/.*posts\.db answers in \d+ ms, has all its tables\n$/,
    )
    const { code, stdout } = await zask('drop', '--yes', '--bind', 'users', '--json')
    expect(code).to.equal(0)
    expect(JSON.parse(stdout)).to.deep.include({ bind: 'users', action: 'drop', tables: ['user'] })
  })

  it('makes the database, too, on PostgreSQL, and writes, runs and takes back its migrations', async () => {
    const { zask, folder } = await application(server.database(`zask_db_${process.pid}`))
    const wrote = await zask('migrate', '--create', 'first', '--bind', 'users')
    const file = /^users {3}wrote (migrations\/users\/Migration\d+_first\.ts)\n$/.exec(wrote.stdout)?.[1]
    expect(await readdir(join(folder, 'migrations/users'))).to.include(file?.split('/').at(-1))
    const name = file?.slice('migrations/users/'.length, -'.ts'.length)
    const { stdout } = await zask('status', '--bind', 'users', '--json')
    expect(JSON.parse(stdout)).to.deep.include({ missing: ['user'], pending: [name] })
    // The other bind has none, and no table of migrations is made in it.
    expect(await zask('migrate')).to.include({
      code: 0,
      stdout: `default   has no migration to run\nusers     ran ${name}\n`,
    })
    expect((await zask('migrate', '--down', '--bind', 'users')).stdout).to.equal(
      `users   took back ${name}\n`,
    )
  })

  it('runs seeders', async () => {
    const { zask, folder } = await application()
    await mkdir(join(folder, 'seeders'))
    await writeFile(join(folder, 'seeders/database-seeder.js'), seeder)
    const [seeded, unknown] = await Promise.all([zask('seed'), zask('seed', 'Nope', '--bind', 'default')])
    expect(seeded.stdout).to.equal('default   ran DatabaseSeeder\nusers     has no seeders\n')
    expect(unknown.code).to.equal(1)
    expect(unknown.stderr).to.match(/Bind default: Seeder class Nope not found.*\(ZASK_DATABASE_FAILED\)/)
  })

  it('asks before it drops, on a terminal, and drops nothing unless it is told to', async () => {
    const { folder } = await application()
    const database = new DatabaseSync(join(folder, 'posts.db'))
    database.exec('create table post (id integer primary key)')
    database.close()
    const answers: [typed: string, code: number][] = [
      [keys.interrupt, 130],
      [`no${keys.enter}`, 1],
      [`yes${keys.enter}`, 0],
    ]
    for (const [typed, code] of answers) {
      const terminal = PseudoTerminal.start([process.execPath, ...command(['drop'])], {
        cwd: folder,
        columns: 150,
      })
      try {
        await terminal.until(({ text }) => text.includes('(yes/no)'))
        expect(terminal.screen.text).to.match(/^default {3}sqlite:.*\nusers {5}sqlite:.*\nDrop their tables/)
        terminal.write(typed)
        expect(await terminal.left, JSON.stringify(typed)).to.include({ code, sane: true })
        expect(terminal.screen.text.includes('dropped post')).to.equal(code === 0)
      } finally {
        await terminal.end()
      }
    }
  })

  it('says what is wrong with a command line, and drops nothing where nobody can be asked', async () => {
    const { zask } = await application()
    const [drop, unknown] = await Promise.all([zask('drop'), zask('create', '--bind', 'nope')])
    expect(drop.stderr).to.match(/add --yes/)
    expect(drop.code).to.equal(2)
    expect(unknown.stderr).to.match(/Bind 'nope' is not specified.*\(ZASK_DATABASE_BIND\)/)
    expect(unknown.code).to.equal(1)
    const db = dbCommand({ chosen: () => Promise.reject(new Error('not this far')) })
    const wrong: [words: string[], options: object, says: RegExp][] = [
      [['destroy'], {}, /does create, drop, migrate, seed, status, and not 'destroy'/],
      [['create', 'users'], {}, /write --bind users/],
      [['create'], { down: true }, /--down belongs to zask db migrate/],
      [['migrate'], { down: true, create: 'x' }, /do not go together/],
    ]
    for (const [words, options, says] of wrong) {
      const error = await failure(
        db.run({ words, options, asJson: false, terminal: undefined as never } as CommandLine),
      )
      expect(error).to.be.instanceOf(Misuse)
      expect(error.message).to.match(says)
    }
  })

  it('goes on after a bind that cannot be reached, whose password it hides', async () => {
    const { zask } = await application('postgresql://shop:hunter2@127.0.0.1:1/shop')
    const { code, stdout, stderr, output } = await zask('create')
    expect(code).to.equal(3)
    expect(stdout).to.equal('default   made post\n')
    expect(stderr).to.match(
      /postgresql:\/\/shop:\*\*\*@127\.0\.0\.1:1\/shop, did not let us in.*ECONNREFUSED/,
    )
    expect(output).not.to.contain('hunter2')
  })

  it('says how to install what migrations need', async () => {
    const { folder } = await application()
    await mkdir(join(folder, 'migrations'))
    await writeFile(join(folder, 'migrations/Migration1.js'), '')
    await writeFile(join(folder, 'without.js'), withoutMigrations)
    const { code, stderr } = await run(
      process.execPath,
      command(['migrate', '--bind', 'default'], ['--import', join(folder, 'without.js')]),
      { cwd: folder },
    )
    expect(stderr).to.match(/npm install --save-exact @mikro-orm\/migrations@\d+\.\d+\.\d+/)
    expect(code).to.equal(1)
  })
})
