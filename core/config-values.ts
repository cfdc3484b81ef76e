import { types } from 'node:util'
import { ZaskError } from './errors.ts'
import { isRecord } from './secrets.ts'

/** What a config value may be. `text`, `list` and `object` are JSON's string, array and object. */
export type ConfigKind = 'boolean' | 'number' | 'integer' | 'text' | 'list' | 'object' | 'null'

/** Undefined where the value is right, else what it has to be, as in "`KEY must be` one of DEBUG, INFO". */
export type ConfigRule = (value: unknown, key: string) => string | undefined

/** A value, or a part of one, as one source has set it. */
export interface Layer {
  /** Into the value: `['B']` sets `A.B`. Empty: the value as a whole. */
  readonly path: readonly string[]
  readonly value: unknown
  readonly origin: string
  /** Order of the calls that load, not of their ends: a file that is slow to read does not win by it. */
  readonly rank: number
}

const kinds: Readonly<Record<ConfigKind, { called: string; accepts(value: unknown): boolean }>> = {
  boolean: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  number: { called: 'a number', accepts: (value) => typeof value === 'number' && !Number.isNaN(value) },
  integer: { called: 'an integer', accepts: Number.isSafeInteger },
  text: { called: 'text', accepts: (value) => typeof value === 'string' },
  list: { called: 'a list', accepts: Array.isArray },
  object: { called: 'an object', accepts: isRecord },
  null: { called: 'null', accepts: (value) => value === null },
}

/** What the value has to be, of the kinds given; undefined where it is one of them. */
export function expectation(
  value: unknown,
  key: string,
  oneOf: readonly (ConfigKind | ConfigRule)[],
): string | undefined {
  const expected: string[] = []
  for (const kind of oneOf) {
    if (typeof kind === 'function') {
      const text = kind(value, key)
      if (text === undefined) return undefined
      expected.push(text)
    } else {
      if (kinds[kind].accepts(value)) return undefined
      expected.push(kinds[kind].called)
    }
  }
  return expected.join(' or ')
}

/**
 * A copy that nobody can change, nor change through the original: lists, plain objects, dates, bytes, maps and sets,
 * however nested. Dates, bytes, maps and sets cannot be frozen, but are copied; anything else is kept as it is.
 */
export function frozen(value: unknown, copies: Map<unknown, unknown> = new Map()): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (copies.has(value)) return copies.get(value)
  const keep = <T>(copy: T): T => {
    copies.set(value, copy)
    return copy
  }
  if (value instanceof Date) return keep(new Date(value))
  // Not value.slice(): that of a Buffer shares its memory.
  if (types.isUint8Array(value)) return keep(Uint8Array.prototype.slice.call(value))
  if (value instanceof Map) {
    const copy = keep(new Map<unknown, unknown>())
    for (const [key, item] of value) copy.set(key, frozen(item, copies))
    return copy
  }
  if (value instanceof Set) {
    const copy = keep(new Set<unknown>())
    for (const item of value) copy.add(frozen(item, copies))
    return copy
  }
  if (Array.isArray(value)) {
    const copy = keep<unknown[]>([])
    for (const item of value) copy.push(frozen(item, copies))
    return Object.freeze(copy)
  }
  if (!isRecord(value)) return value
  const copy = keep<Record<string, unknown>>({})
  for (const [key, item] of Object.entries(value)) define(copy, key, frozen(item, copies))
  return Object.freeze(copy)
}

/**
 * `base` with a layer laid over it; neither is changed.
 *
 * @param place Names a part of the value and where it is from, for the message.
 * @throws ZaskError `ZASK_CONFIG_VALUE_INVALID` where the layer sets a part of what has no parts.
 */
export function overlaid(base: unknown, layer: Layer, place: (path: readonly string[]) => string): unknown {
  const descend = (value: unknown, depth: number): unknown => {
    const part = layer.path[depth]
    if (part === undefined) return layer.value
    const absent = value === undefined || value === null
    if (!absent && !isRecord(value)) {
      const kind = Array.isArray(value) ? 'a list' : `a ${typeof value}`
      const message = `${layer.origin} sets a part of ${place(layer.path.slice(0, depth))}, which is ${kind} without`
      throw new ZaskError(
        'ZASK_CONFIG_VALUE_INVALID',
        `${message} named parts. Set the whole of it instead.`,
        {
          details: { origin: layer.origin },
        },
      )
    }
    const copy: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(absent ? {} : value)) define(copy, key, item)
    const inner = Object.hasOwn(copy, part) ? copy[part] : undefined
    define(copy, part, descend(inner, depth + 1))
    return Object.freeze(copy)
  }
  return descend(base, 0)
}

/** The text of an environment variable as a value: JSON where it is JSON and a number can hold it, else the text. */
export function parsedText(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    const lost = typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER
    return lost ? text : value
  } catch {
    return text
  }
}

/** Assigning would take a key `__proto__`, which JSON may hold, for the prototype. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}
