import { readdir } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { type MikroORM, Utils } from '@mikro-orm/core'
import { ZaskError } from '../../core/index.ts'
import type { Bind } from './bind.ts'

/** Which of a bind's options hold the files, or the classes, of migrations and seeders. */
interface ChangeOptions {
  readonly path?: string
  readonly pathTs?: string
  readonly migrationsList?: readonly unknown[]
  readonly seedersList?: readonly unknown[]
  readonly defaultSeeder?: string
}

/**
 * Writes a migration of what the entities of a bind have and its database has not.
 *
 * @returns Its file, from the working folder; undefined where there is nothing to migrate.
 */
export async function createMigration(bind: Bind, name: string): Promise<string | undefined> {
  const { fileName } = await migratorOf(bind).create(undefined, false, false, name)
  if (fileName === '') return undefined
  return relative('.', resolve(folderOf(bind, 'migrations'), fileName))
}

/** Runs the migrations that have not run, or takes back the last one; resolves to their names. */
export async function migrate(bind: Bind, down: boolean): Promise<string[]> {
  // Where there are none, nothing is to be made in the database, not even a table of migrations.
  if (!(await has(bind, 'migrations'))) return []
  const migrator = migratorOf(bind)
  return (await (down ? migrator.down() : migrator.up())).map(({ name }) => name)
}

/** Names of the migrations that have not run; null where there are none at all. */
export async function pendingMigrations(bind: Bind): Promise<string[] | null> {
  if (!(await has(bind, 'migrations'))) return null
  return (await migratorOf(bind).getPending()).map(({ name }) => name)
}

/** Runs seeders, the default one where none is named; resolves to the names of those that ran. */
export async function seed(bind: Bind, names: readonly string[]): Promise<string[]> {
  if (names.length === 0 && !(await has(bind, 'seeder'))) return []
  const chosen = names.length > 0 ? names : [optionsOf(bind, 'seeder').defaultSeeder ?? 'DatabaseSeeder']
  await seederOf(bind).seedString(...chosen)
  return [...chosen]
}

/** @throws ZaskError `ZASK_DATABASE_DRIVER_MISSING` with the command that installs the package. */
export function migratorOf(bind: Bind): MikroORM['migrator'] {
  return extension(bind, '@mikro-orm/migrator', '@mikro-orm/migrations') as MikroORM['migrator']
}

/** @throws ZaskError `ZASK_DATABASE_DRIVER_MISSING` with the command that installs the package. */
export function seederOf(bind: Bind): MikroORM['seeder'] {
  return extension(bind, '@mikro-orm/seeder', '@mikro-orm/seeder') as MikroORM['seeder']
}

/** MikroORM loads what is installed when it is made, and says nothing of what is not. */
function extension({ orm, settings }: Bind, key: string, name: string): unknown {
  const found = orm.config.getExtension(key)
  if (found !== undefined) return found
  const wanted = `${name}@${Utils.getORMVersion()}`
  throw new ZaskError(
    'ZASK_DATABASE_DRIVER_MISSING',
    `This needs ${name} for bind ${settings.name}, which is not installed. ` +
      `Install it: npm install --save-exact ${wanted}`,
    { details: { package: wanted } },
  )
}

/** Whether a bind has migrations or seeders: a list in its options, or files in its folder. */
async function has(bind: Bind, kind: 'migrations' | 'seeder'): Promise<boolean> {
  const { migrationsList, seedersList } = optionsOf(bind, kind)
  if ((migrationsList ?? seedersList) !== undefined) return true
  const files = await readdir(folderOf(bind, kind)).catch((): string[] => [])
  return files.some((file) => /^[^.].*\.[cm]?[jt]s$/.test(file) && !file.endsWith('.d.ts'))
}

function folderOf(bind: Bind, kind: 'migrations' | 'seeder'): string {
  const { path = '', pathTs } = optionsOf(bind, kind)
  return resolve(bind.orm.config.get('baseDir'), pathTs ?? path)
}

function optionsOf({ orm }: Bind, kind: 'migrations' | 'seeder'): ChangeOptions {
  return orm.config.get(kind) as ChangeOptions
}
