/** What core asks of a logger: bunyan's call shapes, `(message, ...params)` or `(fields, message, ...params)`. */
export interface Logger {
  trace(...args: unknown[]): void
  debug(...args: unknown[]): void
  info(...args: unknown[]): void
  warn(...args: unknown[]): void
  error(...args: unknown[]): void
  fatal(...args: unknown[]): void
  child(fields: Record<string, unknown>): Logger
}
