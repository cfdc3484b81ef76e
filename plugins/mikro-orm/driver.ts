import { type MikroORM, type Options, Utils } from '@mikro-orm/core'
import { ZaskError } from '../../core/index.ts'
import type { Dialect } from './database-uri.ts'

/** What is used of a driver's package; all of them have it. */
export interface DriverModule {
  readonly MikroORM: { init(options: Partial<Options>): Promise<MikroORM> }
  readonly DatabaseSchema: {
    create(
      connection: unknown,
      platform: unknown,
      config: unknown,
    ): Promise<{ getTables(): readonly DatabaseTable[] }>
  }
}

export interface DatabaseTable {
  readonly name: string
  readonly schema?: string
  getColumns(): readonly { name: string; type: string; nullable?: boolean; primary?: boolean }[]
}

/**
 * Loads the driver of a dialect when a bind needs it, so that a service on SQLite never loads `pg`.
 *
 * @throws ZaskError `ZASK_DATABASE_DRIVER_MISSING` with the command that installs it.
 */
export async function loadDriver(
  dialect: Dialect,
  load: (dialect: Dialect) => Promise<unknown> = (one) => drivers[one](),
): Promise<DriverModule> {
  try {
    return (await load(dialect)) as DriverModule
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== 'ERR_MODULE_NOT_FOUND') throw error
    // All packages of MikroORM must have one version.
    const wanted = `@mikro-orm/${dialect}@${Utils.getORMVersion()}`
    throw new ZaskError(
      'ZASK_DATABASE_DRIVER_MISSING',
      `A bind uses ${dialect}, whose driver is not installed. Install it: npm install --save-exact ${wanted}`,
      { cause: error, details: { package: wanted } },
    )
  }
}

/** Each name in full: a bundler must see what it may have to take along. */
const drivers: Readonly<Record<Dialect, () => Promise<unknown>>> = {
  sqlite: () => import('@mikro-orm/sqlite'),
  postgresql: () => import('@mikro-orm/postgresql'),
  mysql: () => import('@mikro-orm/mysql'),
  mariadb: () => import('@mikro-orm/mariadb'),
}
