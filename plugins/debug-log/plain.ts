const maxDepth = 6
const maxEntries = 100
const maxText = 8192

/**
 * A copy of a value that JSON can write: plain objects, lists, text, numbers, booleans, null. What a caller sent or a
 * service holds may be circular, huge, or throw when it is looked at; it must cost neither the record nor the call.
 */
export function plain(value: unknown, above: readonly object[] = []): unknown {
  try {
    return copy(value, above)
  } catch {
    return '[cannot be shown]'
  }
}

/** An error with its causes, whatever was thrown. */
export function plainError(error: unknown, above: readonly object[] = []): unknown {
  if (typeof error !== 'object' || error === null) return plain(error, above)
  const read = (key: string): unknown => {
    try {
      return (error as Record<string, unknown>)[key]
    } catch {
      return '[cannot be read]'
    }
  }
  const fields: Record<string, unknown> = {}
  for (const key of ['name', 'message', 'stack', 'code', 'remoteName', 'remoteTraceback', 'details']) {
    const shown = plain(read(key), [...above, error])
    if (shown !== undefined && shown !== '') fields[key] = shown
  }
  const cause = read('cause')
  if (cause !== undefined)
    fields['cause'] = above.length < maxDepth ? plainError(cause, [...above, error]) : '[cause]'
  return fields
}

/** Headers as they may be logged: what stands under the name of a key or a password is hidden, at any depth. */
export function maskedHeaders(headers: Readonly<Record<string, unknown>>): unknown {
  return masked(plain(headers))
}

function masked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(masked)
  const shown: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    const hidden = item !== null && item !== undefined && secretName.test(key)
    define(shown, key, hidden ? '***' : masked(item))
  }
  return shown
}

const secretName = /key|password|passwd|passphrase|secret|token|credential/i

function copy(value: unknown, above: readonly object[]): unknown {
  switch (typeof value) {
    case 'string':
      return cut(value)
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'function':
      return '[function]'
    case 'symbol':
      return '[symbol]'
    case 'object':
      return value === null ? null : copyObject(value, above)
    default:
      return value
  }
}

function copyObject(value: object, above: readonly object[]): unknown {
  if (above.includes(value)) return '[circular]'
  if (above.length >= maxDepth) return Array.isArray(value) ? '[list]' : '[object]'
  if (value instanceof Error) return plainError(value, above)
  const path = [...above, value]
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[invalid date]' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value) || value instanceof Set) {
    const items = [...head(value)].map((item) => plain(item, path))
    const size = Array.isArray(value) ? value.length : value.size
    return size > items.length ? [...items, `[${size - items.length} more]`] : items
  }
  const shown: Record<string, unknown> = {}
  if (value instanceof Map) {
    for (const [key, item] of head(value)) define(shown, String(plain(key)), plain(item, path))
    return shown
  }
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return plain((toJSON as () => unknown).call(value), path)
  const keys = Object.keys(value)
  for (const key of keys.slice(0, maxEntries)) {
    let item: unknown
    try {
      item = plain((value as Record<string, unknown>)[key], path)
    } catch {
      item = '[cannot be read]'
    }
    define(shown, cut(key), item)
  }
  if (keys.length > maxEntries) define(shown, '...', `[${keys.length - maxEntries} more]`)
  return shown
}

function* head<T>(items: Iterable<T>): Generator<T> {
  let left = maxEntries
  for (const item of items) {
    if (left-- === 0) return
    yield item
  }
}

/** Not assigned: a key `__proto__` would set the prototype. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}... (${text.length} characters)` : text
}
