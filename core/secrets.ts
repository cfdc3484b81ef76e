import { inspect, types } from 'node:util'

const mask = '***'

/** `access_key`, `CLIENT_KEYS`, `apiKey`; also `monkey`: a value hidden without need costs less than one shown. */
const secretName = /keys?$|password|passwd|passphrase|secret|token|credential/i

/** A key that everybody may know, and that people compare by eye. */
const publicName = /public_?keys?$/i

/** Up to the last `@` of the word: a password that was not percent-encoded may hold `@`, `:` and `/`. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):\S*@/gi

/** `?password=x` in a URI, `password=x` in a libpq connection text. */
const assignment = /((?:password|passwd|passphrase|secret|token|_key|apikey)\s*=\s*)('[^']*'|[^\s&;,#]+)/gi

/** The text without the credentials of the URIs in it: `postgres://user:***@host/db`. */
export function maskUris(text: string): string {
  return text.replace(userInfo, `$1:${mask}@`).replace(assignment, `$1${mask}`)
}

/**
 * A copy of a config value that may be shown. Whatever stands under a key that names a secret becomes `***`, at any
 * depth; what has insides of its own (class instances, functions) is named and not opened.
 */
export function masked(value: unknown, key = '', above: readonly unknown[] = []): unknown {
  // Null tells that a secret is not set, a boolean (`allow_missing_key`) is none: both are what a reader looks for.
  if (value === null || value === undefined || typeof value === 'boolean') return value
  if (secretName.test(key) && !publicName.test(key)) return mask
  if (typeof value === 'string') return maskUris(value)
  if (typeof value === 'function') return `[function ${value.name || 'without a name'}]`
  if (typeof value !== 'object' || value instanceof Date) return value
  if (above.includes(value)) return '[circular]'
  const path = [...above, value]
  if (Array.isArray(value)) return value.map((item) => masked(item, key, path))
  if (types.isUint8Array(value)) return `[${value.length} bytes]`
  const named = <K>(name: K, item: unknown): [K | string, unknown] => [
    typeof name === 'string' ? maskUris(name) : name,
    masked(item, typeof name === 'string' ? name : '', path),
  ]
  if (value instanceof Map) return new Map([...value].map(([name, item]) => named(name, item)))
  if (value instanceof Set) return new Set([...value].map((item) => masked(item, key, path)))
  if (!isRecord(value)) return `[${value.constructor?.name ?? 'object'}]`
  // fromEntries defines properties instead of assigning them, so a `__proto__` key stays a key.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => named(name, item)))
}

/** A value as an error message shows it: masked, on one line, of bounded length. */
export function shown(value: unknown, key = ''): string {
  const limits = { depth: 3, compact: true, breakLength: Infinity, maxArrayLength: 10, maxStringLength: 120 }
  const text = inspect(masked(value, key), limits)
  return text.length > 240 ? `${text.slice(0, 240)}…` : text
}

/** A plain object: made by a literal, by JSON, by `Object.create(null)`, in this realm or another. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
