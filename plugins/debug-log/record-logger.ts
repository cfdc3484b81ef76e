import { formatWithOptions } from 'node:util'
import type bunyan from 'bunyan'
import type { Logger } from '../../core/index.ts'
import { isRecord } from '../record.ts'
import { plain, plainError } from './plain.ts'

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** The call a record belongs to, as it stands in the record under `call`. */
export interface LoggedCall {
  readonly id: string
  readonly service?: string | undefined
  readonly method?: string | undefined
  readonly requestId?: string | undefined
}

/** Keys that bunyan writes itself, and `call`: fields of these names get an underscore behind. */
const reserved: ReadonlySet<string> = new Set([
  'v',
  'level',
  'name',
  'hostname',
  'pid',
  'time',
  'msg',
  'call',
])

/**
 * A bunyan logger that nothing can be made to lose or break by what is logged: values are copied into plain ones, own
 * fields keep their names clear of bunyan's, and each record says by itself in which call it was written.
 */
export class RecordLogger implements Logger {
  readonly #bunyan: bunyan
  /** The call that runs now. */
  readonly #current: () => LoggedCall | undefined
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #call: LoggedCall | undefined

  constructor(
    logger: bunyan,
    current: () => LoggedCall | undefined,
    fields: Readonly<Record<string, unknown>> = {},
    call?: LoggedCall,
  ) {
    this.#bunyan = logger
    this.#current = current
    this.#fields = fields
    this.#call = call
  }

  trace(...args: unknown[]): boolean {
    return this.#log('trace', args)
  }
  debug(...args: unknown[]): boolean {
    return this.#log('debug', args)
  }
  info(...args: unknown[]): boolean {
    return this.#log('info', args)
  }
  warn(...args: unknown[]): boolean {
    return this.#log('warn', args)
  }
  error(...args: unknown[]): boolean {
    return this.#log('error', args)
  }
  fatal(...args: unknown[]): boolean {
    return this.#log('fatal', args)
  }

  child(fields: Record<string, unknown>): Logger {
    const { service, method, call, ...others } = fields
    // What core binds to the logger of a call is kept together, apart from what users bind.
    if (typeof call !== 'string') return this.#child({ ...this.#fields, ...fields }, this.#call)
    return this.#child(
      { ...this.#fields, ...others },
      { id: call, ...named('service', service), ...named('method', method) },
    )
  }

  #child(fields: Readonly<Record<string, unknown>>, call: LoggedCall | undefined): Logger {
    return new RecordLogger(this.#bunyan, this.#current, fields, call)
  }

  /** As bunyan's: without arguments it tells whether the level is on. */
  #log(level: Level, args: readonly unknown[]): boolean {
    const on = this.#bunyan[level]()
    if (!on || args.length === 0) return on
    const [first, ...rest] = args
    let own: unknown = {}
    let message: readonly unknown[] = args
    if (isError(first)) {
      own = { err: first }
      message = rest.length > 0 ? rest : [Reflect.get(plainError(first) as object, 'message')]
    } else if (isRecord(first)) {
      own = first
      message = rest
    }
    const record: Record<string, unknown> = {}
    const call = this.#callOf()
    if (call !== undefined) record['call'] = plain(call)
    for (const source of [this.#fields, own]) addFields(record, source)
    this.#bunyan[level](record, '%s', format(message))
    return true
  }

  /** The request id is looked up as late as this: a plugin may give it after the logger was made. */
  #callOf(): LoggedCall | undefined {
    const current = this.#current()
    if (this.#call === undefined) return current
    return current?.requestId === undefined ? this.#call : { ...this.#call, requestId: current.requestId }
  }
}

function addFields(record: Record<string, unknown>, source: unknown): void {
  const fields = isError(source) ? { err: source } : plain(source)
  if (typeof fields !== 'object' || fields === null) {
    record['fields'] = fields
    return
  }
  for (const [key, value] of Object.entries(fields)) {
    Object.defineProperty(record, reserved.has(key) ? `${key}_` : key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error
  } catch {
    return false
  }
}

/** Values' own code for showing themselves is not run: it could throw, or say what it likes. */
function format(message: readonly unknown[]): string {
  if (message.length === 0) return ''
  try {
    const text = formatWithOptions({ depth: 4, breakLength: Infinity, customInspect: false }, ...message)
    return text.length > 8192 ? `${text.slice(0, 8192)}... (${text.length} characters)` : text
  } catch {
    return '[cannot be shown]'
  }
}

function named<K extends string>(key: K, value: unknown): Partial<Record<K, string>> {
  return (typeof value === 'string' ? { [key]: value } : {}) as Partial<Record<K, string>>
}
