import type { Dictionary, Options } from '@mikro-orm/core'
import type { BindFigures } from './bind-figures.ts'
import type { DatabaseAddress } from './database-uri.ts'
import { type ClientPool, type ConnectionHolder, guardPool } from './postgres-pool.ts'
import type { BindSettings } from './settings.ts'
import { type SqliteConnection, takeTurns } from './sqlite-turns.ts'

export interface ConnectionLimits {
  /** Longest time of a statement; null: none. */
  readonly queryTimeoutMs: number | null
  /** Longest time a transaction may do nothing; null: none. */
  readonly idleTransactionMs: number | null
  /** Who asks for a connection. */
  current(): ConnectionHolder | undefined
}

/**
 * The options of MikroORM that say where and how to connect. `own` is what the application gives, and wins; `figures`
 * is where the connections are counted.
 */
export function connectionOptions(
  settings: BindSettings,
  own: Partial<Options>,
  limits: ConnectionLimits,
  figures: BindFigures,
): Partial<Options> {
  const { address, poolSize, poolRecycleSeconds, replicas } = settings
  const given = own.driverOptions
  const driverOptions = (of: DatabaseAddress): Dictionary => {
    // A dialect or a client made by the application is its own to configure.
    if (typeof given === 'function' || (given !== undefined && 'createDriver' in given)) return given
    // As a function, or MikroORM would copy what is in it.
    return () => dialectOptions(of, settings, given ?? {}, limits, figures)
  }
  return {
    ...place(address),
    pool: {
      max: poolSize,
      // MySQL's pool knows no age of a connection, only for how long it was idle.
      ...(address.dialect.startsWith('m') && { idleTimeoutMillis: poolRecycleSeconds * 1000 }),
      ...own.pool,
    },
    driverOptions: driverOptions(address),
    ...(address.dialect === 'sqlite' && {
      async onCreateConnection(connection: unknown) {
        takeTurns(connection as SqliteConnection)
        await own.onCreateConnection?.(connection)
      },
    }),
    ...(replicas.length > 0 && {
      replicas: replicas.map((replica) => ({ ...place(replica), driverOptions: driverOptions(replica) })),
    }),
  }
}

function place({ dialect, dbName, host, port, user, password }: DatabaseAddress): Partial<Options> {
  if (dialect === 'sqlite') return { dbName }
  return {
    dbName,
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
  }
}

function dialectOptions(
  address: DatabaseAddress,
  settings: BindSettings,
  given: Dictionary,
  limits: ConnectionLimits,
  figures: BindFigures,
): Dictionary {
  const { poolTimeoutMs, poolRecycleSeconds } = settings
  switch (address.dialect) {
    case 'sqlite':
      // While SQLite waits for a lock, the whole process does: the rest of the waiting is done between statements.
      return { timeout: 20, dbName: address.dbName, ...given }
    case 'postgresql':
      return {
        connectionTimeoutMillis: poolTimeoutMs,
        maxLifetimeSeconds: poolRecycleSeconds,
        keepAlive: true,
        ...(limits.queryTimeoutMs !== null && { query_timeout: limits.queryTimeoutMs }),
        ...(limits.idleTransactionMs !== null && {
          idle_in_transaction_session_timeout: limits.idleTransactionMs,
        }),
        ...postgresParameters(address.parameters),
        ...given,
        onPoolCreated(pool: ClientPool) {
          guardPool(pool, () => limits.current(), figures)
          return given['onPoolCreated']?.(pool)
        },
      }
    default:
      return {
        connectTimeout: poolTimeoutMs,
        enableKeepAlive: true,
        ...(address.parameters['charset'] !== undefined && { charset: address.parameters['charset'] }),
        ...given,
      }
  }
}

/** libpq's parameters that mean something to `pg`. */
function postgresParameters(parameters: Readonly<Record<string, string>>): Dictionary {
  const { sslmode, application_name: name, connect_timeout: seconds } = parameters
  const verified = sslmode === 'verify-ca' || sslmode === 'verify-full'

  return {
    ...(verified && { ssl: true }),
    // libpq encrypts without looking at the certificate where it is not told to verify it.
    ...(sslmode === 'require' && { ssl: { rejectUnauthorized: false } }),
    ...(name !== undefined && { application_name: name }),
    ...(Number(seconds) > 0 && { connectionTimeoutMillis: Number(seconds) * 1000 }),
  }
}

/** Codes of Node, of PostgreSQL's classes 57P and 53300, and of SQLite: asking again may help. */
const unavailable =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|57P0[123]|53300|SQLITE_BUSY.*|ER_CON_COUNT_ERROR|PROTOCOL_CONNECTION_LOST)$/

/** Whether the database may be there in a moment. */
export function isUnavailable(error: unknown): boolean {
  const { code, message, errors } = error as { code?: string; message?: string; errors?: readonly unknown[] }
  if (code !== undefined && unavailable.test(code)) return true
  if (errors?.some(isUnavailable) === true) return true
  return /timeout|connection terminated|connection error/i.test(message ?? '')
}

/** Whether another process has locked the SQLite file. */
export function isBusy(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^SQLITE_(BUSY|BUSY_RECOVERY|BUSY_TIMEOUT)$/.test(code)
}
