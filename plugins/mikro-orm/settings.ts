import type { Options } from '@mikro-orm/core'
import { type Config, ZaskError } from '../../core/index.ts'
import { type DatabaseAddress, parseDatabaseUri } from './database-uri.ts'

/** The config keys of the plugin. Times are in seconds, as the original has them. */
export interface DatabaseConfig {
  /** The default bind. Default: `sqlite://`, in memory. */
  DATABASE_URI: string
  /** Further binds by name, each a URI or an object. Default: null. */
  DATABASE_BINDS: Readonly<Record<string, string | BindConfig>> | null
  /** Logs all SQL. Default: false. */
  DATABASE_ECHO: boolean
  /** Connections a bind may hold in this process. Default: null, which is 10. */
  DATABASE_POOL_SIZE: number | null
  /** Seconds to wait for a connection, be it a new one or one that others hold. Default: null, which is 10. */
  DATABASE_POOL_TIMEOUT: number | null
  /** Seconds after which a connection is replaced. Default: 3600. */
  DATABASE_POOL_RECYCLE: number
  /** PostgreSQL: seconds a statement may take. Default: null, which is the plugin's `queryTimeoutMs`. */
  DATABASE_QUERY_TIMEOUT: number | null
  /** PostgreSQL: seconds a transaction may do nothing. Default: null, which is the plugin's `idleTransactionMs`. */
  DATABASE_IDLE_TRANSACTION_TIMEOUT: number | null
}

/** One of `DATABASE_BINDS`, where a URI does not say enough; what it leaves out is as in the keys of all binds. */
export interface BindConfig {
  readonly uri: string
  readonly poolSize?: number
  /** Seconds. */
  readonly poolTimeout?: number
  /** Seconds. */
  readonly poolRecycle?: number
  /** URIs of read replicas: reads outside of transactions go there. */
  readonly replicas?: readonly string[]
  /** Options of MikroORM, as `driverOptions` or `schema`. */
  readonly orm?: Partial<Options>
}

/** What is known of one bind before anything is loaded. */
export interface BindSettings {
  readonly name: string
  /** The config key it is from, for messages. */
  readonly key: string
  readonly address: DatabaseAddress
  readonly replicas: readonly DatabaseAddress[]
  readonly poolSize: number
  readonly poolTimeoutMs: number
  readonly poolRecycleSeconds: number
  readonly orm: Partial<Options>
}

/** How the default bind is called where it needs a name: in statistics, logs and folders. */
export const defaultBind = 'default'

/** All binds together, where binds are named: `createAll({ bind: '__all__' })`. */
export const allBinds = '__all__'

export const databaseDefaults: DatabaseConfig = {
  DATABASE_URI: 'sqlite://',
  DATABASE_BINDS: null,
  DATABASE_ECHO: false,
  DATABASE_POOL_SIZE: null,
  DATABASE_POOL_TIMEOUT: null,
  DATABASE_POOL_RECYCLE: 3600,
  DATABASE_QUERY_TIMEOUT: null,
  DATABASE_IDLE_TRANSACTION_TIMEOUT: null,
}

/** The original's keys. */
const originals: Readonly<Partial<Record<keyof DatabaseConfig, string>>> = {
  DATABASE_URI: 'SQLALCHEMY_DATABASE_URI',
  DATABASE_BINDS: 'SQLALCHEMY_BINDS',
  DATABASE_ECHO: 'SQLALCHEMY_ECHO',
  DATABASE_POOL_SIZE: 'SQLALCHEMY_POOL_SIZE',
  DATABASE_POOL_TIMEOUT: 'SQLALCHEMY_POOL_TIMEOUT',
  DATABASE_POOL_RECYCLE: 'SQLALCHEMY_POOL_RECYCLE',
}

const bindKeys = ['uri', 'poolSize', 'poolTimeout', 'poolRecycle', 'replicas', 'orm']

/** Declares how the values of the keys must look. */
export function checkDatabaseConfig(config: Config): void {
  for (const name of ['DATABASE_URI', 'SQLALCHEMY_DATABASE_URI']) config.check(name, 'text')
  for (const name of ['DATABASE_BINDS', 'SQLALCHEMY_BINDS']) config.check(name, bindsRule)
  for (const name of ['DATABASE_ECHO', 'SQLALCHEMY_ECHO']) config.check(name, 'boolean')
  for (const key of ['POOL_SIZE', 'POOL_TIMEOUT', 'POOL_RECYCLE']) {
    config.check(`DATABASE_${key}`, positive, 'null')
    config.check(`SQLALCHEMY_${key}`, positive, 'null')
  }
  for (const key of ['QUERY_TIMEOUT', 'IDLE_TRANSACTION_TIMEOUT']) {
    config.check(`DATABASE_${key}`, positive, 'null')
  }
}

function positive(value: unknown): string | undefined {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? undefined : 'a number above 0'
}

function bindsRule(value: unknown): string | undefined {
  if (value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) return 'null or an object of names and URIs'
  for (const [name, bind] of Object.entries(value)) {
    if (name === defaultBind || name === allBinds) {
      return `without a bind called ${name}: the default bind is that of DATABASE_URI`
    }
    const wrong = typeof bind === 'string' ? undefined : wrongBind(bind)
    if (wrong !== undefined) return `right in "${name}", where ${wrong}`
  }
  return undefined
}

function wrongBind(bind: unknown): string | undefined {
  if (typeof bind !== 'object' || bind === null || typeof (bind as BindConfig).uri !== 'string') {
    return 'a bind is a URI, or an object with a uri'
  }
  const odd = Object.keys(bind).find((key) => !bindKeys.includes(key))
  return odd === undefined ? undefined : `${odd} is none of ${bindKeys.join(', ')}`
}

/**
 * Takes over what is set under the original's keys, so that `DATABASE_*` says what holds.
 *
 * @throws ZaskError `ZASK_CONFIG_VALUE_INVALID` where both of a pair are set.
 */
export function adoptOriginalKeys(config: Config): void {
  const origins = new Map(config.explain().map(({ key, origin }) => [key, origin]))
  for (const [key, original] of Object.entries(originals)) {
    const value = config.get(original)
    if (value === undefined) continue
    // Adopted before: the plugin may be asked for its binds before the core starts.
    if (origins.get(key) === original) continue
    const origin = origins.get(key) ?? ''
    if (origin !== '' && !origin.startsWith('default of ')) {
      throw new ZaskError(
        'ZASK_CONFIG_VALUE_INVALID',
        `Both ${key} (from ${origin}) and ${original} (from ${origins.get(original)}) are set, and they mean the ` +
          'same. Remove one of them.',
        { details: { keys: [key, original] } },
      )
    }
    config.set(key, value, original)
  }
}

/**
 * The binds by name, the default one first. It is left out where nobody set it and there are others: nobody should
 * need SQLite's driver for a database that is not used.
 */
export function readBinds(
  config: Config & Readonly<DatabaseConfig>,
  perBind: Readonly<Record<string, Partial<Options>>>,
  defaultNeeded: boolean,
): Map<string, BindSettings> {
  const { root } = config
  const binds = new Map<string, BindSettings>()
  const add = (name: string, key: string, bind: BindConfig): void => {
    const seconds = bind.poolTimeout ?? config.DATABASE_POOL_TIMEOUT ?? 10
    binds.set(name, {
      name,
      key,
      address: parseDatabaseUri(bind.uri, root, key),
      replicas: (bind.replicas ?? []).map((uri) => parseDatabaseUri(uri, root, key)),
      poolSize: bind.poolSize ?? config.DATABASE_POOL_SIZE ?? 10,
      poolTimeoutMs: seconds * 1000,
      poolRecycleSeconds: bind.poolRecycle ?? config.DATABASE_POOL_RECYCLE ?? 3600,
      orm: { ...perBind[name], ...bind.orm },
    })
  }
  const others = Object.entries(config.DATABASE_BINDS ?? {})
  const implied = config
    .explain()
    .some(({ key, origin }) => key === 'DATABASE_URI' && origin.startsWith('default of '))
  if (defaultNeeded || !implied || others.length === 0) {
    add(defaultBind, 'DATABASE_URI', { uri: config.DATABASE_URI })
  }
  for (const [name, bind] of others) {
    add(name, `DATABASE_BINDS['${name}']`, typeof bind === 'string' ? { uri: bind } : bind)
  }
  return binds
}

/** The original's text. */
export function unknownBind(name: string, known: Iterable<string>): ZaskError {
  const message =
    name === defaultBind
      ? 'The default bind is not specified.  Set it in the DATABASE_URI configuration variable'
      : `Bind '${name}' is not specified.  Set it in the SQLALCHEMY_BINDS configuration variable`
  return new ZaskError('ZASK_DATABASE_BIND', message, { details: { bind: name, known: [...known] } })
}
