import { resolve } from 'node:path'
import { ZaskError } from '../../core/index.ts'

export type Dialect = 'sqlite' | 'postgresql' | 'mysql' | 'mariadb'

/** Where a database is. Of SQLite only `dbName`: an absolute path, or `:memory:`. */
export interface DatabaseAddress {
  readonly dialect: Dialect
  readonly dbName: string
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  /** What stands behind the `?`. */
  readonly parameters: Readonly<Record<string, string>>
}

/** SQLAlchemy's names and ours; what follows a `+` is a Python driver and says nothing here. */
const dialects: Readonly<Record<string, Dialect>> = {
  sqlite: 'sqlite',
  postgres: 'postgresql',
  postgresql: 'postgresql',
  mysql: 'mysql',
  mysqldb: 'mysql',
  mariadb: 'mariadb',
}

/**
 * Reads a URI in the spellings of SQLAlchemy: `sqlite://` (in memory), `sqlite:///relative` (to `root`),
 * `sqlite:////absolute`, `postgresql+psycopg2://user:password@host:5432/name?sslmode=require`, `mysqldb://…`.
 *
 * @param key The config key it is from, for messages.
 * @throws ZaskError `ZASK_DATABASE_URI`; its message holds no password.
 */
export function parseDatabaseUri(uri: string, root: string, key: string): DatabaseAddress {
  const [, scheme, rest] = /^([a-z]+)(?:\+[\w.]+)?:\/\/(.*)$/is.exec(uri) ?? []
  const dialect = dialects[scheme?.toLowerCase() ?? '']
  if (dialect === undefined || rest === undefined) {
    const seen = scheme === undefined ? 'is no URI' : `begins with ${scheme}://, which no driver here serves`
    throw badUri(
      key,
      `${seen}. Write sqlite:///file.db, postgresql://user:password@host/name, mysql://… or mariadb://…`,
    )
  }
  return dialect === 'sqlite' ? sqliteAddress(rest, root, key) : serverAddress(dialect, rest, key)
}

function sqliteAddress(rest: string, root: string, key: string): DatabaseAddress {
  const [path = '', query] = rest.split('?', 2)
  const parameters = Object.fromEntries(new URLSearchParams(query))
  if (['', '/', '/:memory:', ':memory:'].includes(path)) {
    return { dialect: 'sqlite', dbName: ':memory:', parameters }
  }
  if (!path.startsWith('/')) {
    throw badUri(
      key,
      'has two slashes before its path. Write sqlite:///relative.db with three, sqlite:////absolute.db with four',
    )
  }
  return { dialect: 'sqlite', dbName: resolve(root, path.slice(1)), parameters }
}

function serverAddress(dialect: Dialect, rest: string, key: string): DatabaseAddress {
  // Up to the last @: a password that was not percent-encoded may hold any of @, / and ?.
  const at = rest.lastIndexOf('@')
  const colon = rest.slice(0, Math.max(at, 0)).indexOf(':')
  const user = at < 0 ? '' : rest.slice(0, colon < 0 ? at : colon)
  const password = colon < 0 ? undefined : rest.slice(colon + 1, at)
  const place = /^(\[[^\]]*\]|[^/:?]*)(?::(\d+))?(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest.slice(at + 1))
  if (place === null)
    throw badUri(
      key,
      'has no host:port/name behind its user. Write postgresql://user:password@host:5432/name',
    )
  const [, authority = '', port, name = '', query] = place
  const parameters = Object.fromEntries(new URLSearchParams(query))
  // libpq's way to name a host or the folder of a Unix socket.
  const host = authority === '' ? parameters['host'] : authority.replace(/^\[|\]$/g, '')
  if (name === '') throw badUri(key, 'names no database. Append it: …host/name')
  return {
    dialect,
    dbName: decoded(name),
    parameters,
    ...(host !== undefined && { host: decoded(host) }),
    ...(port !== undefined && { port: Number(port) }),
    ...(user !== '' && { user: decoded(user) }),
    ...(password !== undefined && { password: decoded(password) }),
  }
}

/** The address as a URI that may be shown: without the password, and without parameters, which may hold one. */
export function shownAddress({ dialect, dbName, host, port, user, password }: DatabaseAddress): string {
  if (dialect === 'sqlite') return dbName === ':memory:' ? 'sqlite://' : `sqlite:///${dbName}`
  const account = user === undefined ? '' : `${user}${password === undefined ? '' : ':***'}@`
  return `${dialect}://${account}${host ?? 'localhost'}${port === undefined ? '' : `:${port}`}/${dbName}`
}

/** A percent sign that encodes nothing is one. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function badUri(key: string, problem: string): ZaskError {
  return new ZaskError('ZASK_DATABASE_URI', `Config key ${key} ${problem}.`, { details: { key } })
}
