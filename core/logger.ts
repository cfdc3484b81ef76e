import { formatWithOptions, inspect, type InspectOptions } from 'node:util'
import { describeThrown, ZaskError } from './errors.ts'

/**
 * What core asks of a logger: bunyan's call shapes, `(message, ...params)`, `(fields, message, ...params)` and
 * `(error, message, ...params)`, with `params` put into the message as `util.format` does. A bunyan logger is one.
 */
export interface Logger {
  trace(...args: unknown[]): void
  debug(...args: unknown[]): void
  info(...args: unknown[]): void
  warn(...args: unknown[]): void
  error(...args: unknown[]): void
  fatal(...args: unknown[]): void
  /** A logger that adds `fields` to each record, beside those of its parent. */
  child(fields: Record<string, unknown>): Logger
}

const methods = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'child'] as const

/** Refuses what would fail at the first thing to be logged. `ZASK_OPTION_INVALID` names what is missing. */
export function checkLogger(log: unknown): void {
  const missing = methods.filter((name) => {
    if (typeof log !== 'object' || log === null) return true
    return typeof (log as Partial<Record<string, unknown>>)[name] !== 'function'
  })
  if (missing.length === 0) return
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `setLogger takes a logger such as bunyan's, got ${inspect(log, { depth: 0 })} without ${missing.join(', ')}.`,
  )
}

export interface LoggerOptions {
  /** Takes each line, its newline included. Default: standard error. */
  write?: (line: string) => void
}

/** Longer lines are cut: a peer may choose what an error says. */
const lineLength = 8192

/**
 * The logger of a core no plugin has given another: warnings and errors as one line each to standard error,
 * nothing below them. It never throws, and nothing logged can break out of its line.
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  return new LineLogger(options.write ?? ((line) => void process.stderr.write(line)), {})
}

class LineLogger implements Logger {
  readonly #write: (line: string) => void
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(write: (line: string) => void, fields: Readonly<Record<string, unknown>>) {
    this.#write = write
    this.#fields = fields
  }

  trace(): void {}
  debug(): void {}
  info(): void {}

  warn(...args: unknown[]): void {
    this.#log('WARN', args)
  }

  error(...args: unknown[]): void {
    this.#log('ERROR', args)
  }

  fatal(...args: unknown[]): void {
    this.#log('FATAL', args)
  }

  child(fields: Record<string, unknown>): Logger {
    return new LineLogger(this.#write, { ...this.#fields, ...fields })
  }

  #log(level: string, args: readonly unknown[]): void {
    // bunyan's rule: without arguments the call only asks whether the level is on.
    if (args.length === 0) return
    const text = attempt(() => composeLine(this.#fields, args))
    const cut = text.length > lineLength ? `${text.slice(0, lineLength)}… (${text.length} characters)` : text
    attempt(() => {
      this.#write(`${new Date().toISOString()} ${level} ${escapeControls(cut)}\n`)
      return ''
    })
  }
}

/** What cannot be described or written must not fail the call that wanted to mention it. */
function attempt(show: () => string): string {
  try {
    return show()
  } catch (thrown) {
    return `(cannot be shown: ${describeThrown(thrown).message})`
  }
}

function composeLine(bound: Readonly<Record<string, unknown>>, args: readonly unknown[]): string {
  const [first, ...rest] = args
  let own: object = {}
  let message = args
  if (first instanceof Error) {
    own = { err: first }
    message = rest.length > 0 ? rest : [describeThrown(first).message]
  } else if (typeof first === 'object' && first !== null && !Array.isArray(first)) {
    own = first
    message = rest
  }
  const words = message.length > 0 ? [attempt(() => formatWithOptions(plain, ...message))] : []
  const fields = new Map<string, string>()
  for (const source of [bound, own]) {
    for (const key of Object.keys(source)) {
      const value = attempt(() => showField(Reflect.get(source, key)))
      if (value !== 'undefined') fields.set(key, value)
    }
  }
  for (const [key, value] of fields) words.push(`${key}=${value}`)
  return words.join(' ')
}

/** Code of the values themselves is not run: it could throw, or print what it likes. */
const plain: InspectOptions = { depth: 4, breakLength: Infinity, compact: true, customInspect: false }

/** What begins a line of a stack. */
const frame = '\n    at '

function showField(value: unknown): string {
  if (value instanceof Error) {
    const { name, message, stack } = describeThrown(value)
    // By hand: the text before may be a peer's, and long enough to make a regular expression stall.
    const start = stack.indexOf(frame)
    if (start < 0) return JSON.stringify(`${name}: ${message}`)
    const place = stack.slice(start + frame.length).split('\n', 1)[0]!
    return JSON.stringify(`${name}: ${message} (at ${place})`)
  }
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)
  return inspect(value, plain)
}

/** C0, DEL, C1, the line and paragraph separators and the marks that reverse the direction of text. */
function escapeControls(text: string): string {
  // eslint-disable-next-line no-control-regex -- finding them is the point
  return text.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character]
    const code = character.charCodeAt(0)
    const hex = code.toString(16)
    return short ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex}`)
  })
}
