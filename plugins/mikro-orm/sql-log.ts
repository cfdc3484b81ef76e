import type { Logger as OrmLogger } from '@mikro-orm/core'
import type { Logger } from '../../core/index.ts'

/** Columns whose values are not for a log. */
const secretName = /keys?$|password|passwd|passphrase|secret|token|credential/i

const mask = '***'

/** What the log of SQL is told about each query. */
export interface SqlLogOptions {
  readonly bind: string
  /** Read at each query. */
  readonly enabled: () => boolean
  /** The logger of the current call, else that of the core, with the fields that name the call. */
  readonly log: () => { log: Logger; fields: Record<string, unknown> }
  /** For what belongs to no call: connections outlive the call they were made in. */
  warn(fields: Record<string, unknown>, message: string): void
}

/** MikroORM's logger: SQL where it is asked for, and what the driver warns of in any case. */
export function createSqlLog(options: SqlLogOptions): OrmLogger {
  const { bind } = options
  const warn = (_namespace: string, message: string): void => options.warn({ bind }, message)
  return {
    log: (namespace, message) => {
      if (options.enabled()) options.log().log.debug({ bind }, `${namespace}: ${message}`)
    },
    warn,
    error: warn,
    logQuery({ query = '', params, took, level }) {
      if (!options.enabled()) return
      const { log, fields } = options.log()
      const shown = params === undefined || params.length === 0 ? {} : { params: maskedParams(query, params) }
      const failed = level === 'error' ? { failed: true } : {}
      log.info(
        { bind, ...(took !== undefined && { ms: took }), ...failed, ...fields, ...shown },
        maskedSql(query),
      )
    },
    setDebugMode: () => undefined,
    isEnabled: (namespace) => namespace !== 'query-params' && options.enabled(),
  }
}

/** SQL whose literals are hidden where they are compared with, or assigned to, a column that names a secret. */
export function maskedSql(sql: string): string {
  return sql.replace(
    /(["`[]?(\w+)["`\]]?\s*(?:=|<>|!=|\blike\b)\s*)'(?:[^']|'')*'/gi,
    (text, start: string, column: string) => (secretName.test(column) ? `${start}'${mask}'` : text),
  )
}

/**
 * The parameters with those of secret columns hidden. Where the SQL names a secret column, a parameter whose column
 * cannot be told is hidden, too.
 */
export function maskedParams(sql: string, params: readonly unknown[]): unknown[] {
  const names = [...sql.matchAll(/\w+/g)].map(([name]) => name)
  if (!names.some((name) => secretName.test(name))) return params.map(short)
  const inserted = /^\s*(?:insert|replace)\s+into\s+\S+\s*\(([^)]*)\)/i.exec(sql)
  const columns = inserted?.[1]?.split(',').map((name) => name.trim().replace(/^["`[]|["`\]]$/g, '')) ?? []
  const places = [...sql.matchAll(/\?/g)].map(({ index }) => index)
  return params.map((value, index) => {
    const before = sql.slice(0, places[index] ?? 0)
    const compared = /["`[]?(\w+)["`\]]?\s*(?:=|<>|!=|<=?|>=?|\blike|\bilike)\s*$/i.exec(before)?.[1]
    // After `on conflict … do update set` the columns are named again.
    const column = compared ?? (columns.length > 0 ? columns[index % columns.length] : undefined)
    return column === undefined || secretName.test(column) ? mask : short(value)
  })
}

/** Values may be documents and files. */
function short(value: unknown): unknown {
  if (value instanceof Uint8Array) return `[${value.length} bytes]`
  return typeof value === 'string' && value.length > 200 ? `${value.slice(0, 200)}…` : value
}
