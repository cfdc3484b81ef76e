import { inspect, types } from 'node:util'
import { ZaskError } from '../errors.ts'
import type { EventLimits } from './event-shape.ts'

const maxInt64 = 2n ** 63n - 1n
const minInt64 = -(2n ** 63n)
const maxUint64 = 2n ** 64n - 1n

/**
 * The walk over a value before it is encoded. The encoder would send a Map, a Set or an Error as `{}`, an Invalid
 * Date as 1970, an integer beyond 2 ** 53 as a float, and half a surrogate pair as bytes no Python peer accepts.
 *
 * What needs no change, the common case, comes back as the very same value; else a copy of the parts that differ.
 */
export class Sendable {
  /** Whether the value returned last holds a BigInt; then none of its numbers is an integer beyond 32 bits. */
  hasBigInts = false

  readonly #limits: EventLimits
  // The keys that lead to what is being walked, the first #level of them; for messages only.
  readonly #path: (string | number)[] = []
  #level = 0
  #name = ''
  #root: unknown
  #nodes = 0
  // What the value will take at least, so that a huge one is refused before memory is spent on encoding it.
  #bytes = 0
  // Whether an integer was met that only a BigInt can hand to the encoder.
  #wide = false

  constructor(limits: EventLimits) {
    this.#limits = limits
  }

  /**
   * @param name what the value is, as messages should call it; `''` for args, whose path begins at an index.
   * @throws ZaskError ZASK_WIRE_NOT_ENCODABLE, ZASK_WIRE_TOO_LARGE
   */
  prepare(root: unknown, name: string): unknown {
    try {
      this.#wide = false
      this.hasBigInts = false
      const value = this.#start(root, name)
      if (!this.#wide) return value
      // A second walk, now turning every integer beyond 32 bits into a BigInt: next to BigInts the encoder would
      // send those as floats.
      this.hasBigInts = true
      return this.#start(root, name)
    } catch (error) {
      throw error instanceof ZaskError ? error : this.unreadable(error, name)
    } finally {
      this.#root = undefined
      this.#level = 0
    }
  }

  /** For a value whose getter or proxy threw, here or in the encoder. */
  unreadable(cause: unknown, name: string): ZaskError {
    this.#name = name
    return new ZaskError(
      'ZASK_WIRE_NOT_ENCODABLE',
      `Cannot send ${this.#where()}: reading it failed${cause instanceof Error ? ` (${cause.message})` : ''}. ` +
        'Send a plain copy, without getters that throw.',
      { cause, details: { path: this.#where() } },
    )
  }

  #start(root: unknown, name: string): unknown {
    this.#root = root
    this.#name = name
    this.#nodes = 0
    this.#bytes = 0
    this.#level = 0
    const value = this.#walk(root, 0, 0)
    this.#checkSize()
    return value
  }

  /** `level` is where in the path this value's own keys belong, `depth` how many containers are around it. */
  #walk(value: unknown, level: number, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        this.#bytes += value.length
        return value.isWellFormed() ? value : value.toWellFormed()
      case 'number':
        return this.#number(value)
      case 'boolean':
      case 'undefined':
        return value
      case 'object':
        return value === null ? null : this.#object(value, level, depth)
      case 'bigint':
        return this.#bigint(value)
      case 'function':
        throw this.#refuse(
          `a function${value.name === '' ? '' : ` (${value.name})`}`,
          'Send the data it would return.',
        )
      default:
        throw this.#refuse('a symbol', 'Send its text, symbol.description.')
    }
  }

  /** The scalars that need no change, which are most; false says only that they need a closer look. */
  #isAsIs(value: unknown): boolean {
    switch (typeof value) {
      case 'string':
        if (!value.isWellFormed()) return false
        this.#bytes += value.length
        return true
      case 'number':
        return (value | 0) === value || !Number.isInteger(value)
      case 'boolean':
      case 'undefined':
        return true
      default:
        return value === null
    }
  }

  #number(value: number): unknown {
    if ((value | 0) === value || !Number.isInteger(value)) return value
    if (Number.isSafeInteger(value)) {
      return this.hasBigInts && (value > 0xffffffff || value < -0x80000000) ? BigInt(value) : value
    }
    // An integer never arrives as a float where the wire has an integer that holds it.
    if (value >= 2 ** 64 || value < -(2 ** 63)) return value
    this.#wide = true
    return BigInt(value)
  }

  #bigint(value: bigint): unknown {
    if (value > maxUint64 || value < minInt64) {
      const range = `${minInt64} to ${maxInt64}, or up to ${maxUint64} without a sign`
      throw this.#refuse(
        `the BigInt ${value}`,
        `Integers of the wire have 64 bits (${range}): send it as text.`,
      )
    }
    if (value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER)
      return this.#number(Number(value))
    this.#wide = true
    return value
  }

  #object(value: object, level: number, depth: number): unknown {
    if (depth >= this.#limits.maxDepth) throw this.#tooDeep(level)
    if (Array.isArray(value)) return this.#array(value, level, depth)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) {
      return this.#record(value, level, depth)
    }
    if (ArrayBuffer.isView(value)) {
      this.#bytes += value.byteLength
      this.#checkSize()
      return value
    }
    return this.#instance(value, level, depth)
  }

  #array(items: readonly unknown[], level: number, depth: number): unknown {
    this.#count(items.length)
    // The encoder iterates: an array of a class of its own may say something else then than its length does.
    let copy: unknown[] | undefined = Object.getPrototypeOf(items) === Array.prototype ? undefined : []
    for (let index = 0; index < items.length; index++) {
      const item = items[index]
      if (copy === undefined && this.#isAsIs(item)) continue
      this.#path[level] = index
      this.#level = level + 1
      const walked = this.#walk(item, level + 1, depth + 1)
      if (copy !== undefined) copy.push(walked)
      else if (!Object.is(walked, item)) copy = [...items.slice(0, index), walked]
    }
    return copy ?? items
  }

  #record(value: object, level: number, depth: number): unknown {
    if (!isReadable(value)) return value
    const keys = Object.keys(value)
    this.#count(keys.length * 2)
    let copy: Record<string, unknown> | undefined
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!
      this.#bytes += key.length
      const item = value[key]
      if (copy === undefined && key !== '__proto__' && this.#isAsIs(item) && key.isWellFormed()) continue
      this.#path[level] = key
      this.#level = level + 1
      if (key === '__proto__') throw this.#protoKey()
      const walked = this.#walk(item, level + 1, depth + 1)
      const sent = key.isWellFormed() ? key : key.toWellFormed()
      if (copy === undefined && (sent !== key || !Object.is(walked, item))) {
        copy = {}
        for (let earlier = 0; earlier < index; earlier++) copy[keys[earlier]!] = value[keys[earlier]!]
      }
      if (copy !== undefined) copy[sent] = walked
    }
    return copy ?? value
  }

  #map(map: ReadonlyMap<unknown, unknown>, level: number, depth: number): unknown {
    const record: Record<string, unknown> = {}
    for (const [key, item] of map) {
      if (typeof key !== 'string') {
        const seen = typeof key === 'object' ? 'object' : inspect(key)
        const advice = 'A Python peer drops the whole message: make the keys text.'
        throw this.#refuse(`a Map with the key ${seen}, which is not text`, advice)
      }
      if (key === '__proto__') throw this.#protoKey()
      record[key] = item
    }
    return this.#record(record, level, depth)
  }

  /** Anything with a prototype of its own: what is made of built-in classes is known by name, the rest by its keys. */
  #instance(value: object, level: number, depth: number): unknown {
    if (types.isDate(value)) {
      const time = value.getTime()
      if (Number.isNaN(time)) throw this.#refuse('an Invalid Date', 'Send null, or a date that exists.')
      // The encoder knows dates by `instanceof`, which one of another realm does not pass.
      return value instanceof Date ? value : new Date(time)
    }
    if (types.isNativeError(value) || value instanceof Error) {
      throw this.#refuse(`an Error (${value.name})`, 'Throw it, or send error.message.')
    }
    if (types.isRegExp(value)) throw this.#refuse('a RegExp', 'Send its text, pattern.source.')
    if (types.isBoxedPrimitive(value)) return this.#walk(value.valueOf(), level, depth)
    // All other built-in classes have a tag, and all their state in slots that enumeration does not show.
    const tag: unknown = Reflect.get(value, Symbol.toStringTag)
    if (tag !== undefined) {
      if (types.isMap(value)) return this.#map(value, level, depth)
      if (types.isSet(value)) throw this.#refuse('a Set', 'Send an array, [...set].')
      if (types.isPromise(value)) throw this.#refuse('a Promise', 'Await it first.')
      if (types.isAnyArrayBuffer(value)) {
        this.#bytes += value.byteLength
        this.#checkSize()
        return new Uint8Array(value)
      }
      if (types.isWeakMap(value)) throw this.#refuse('a WeakMap', 'Send an object of what is needed.')
      if (types.isWeakSet(value)) throw this.#refuse('a WeakSet', 'Send an array of what is needed.')
    }
    if (tag !== undefined && Object.keys(value).length === 0) {
      throw this.#refuse(
        `a ${typeof tag === 'string' ? tag : 'thing with a tag'}`,
        'It has no enumerable property, so nothing would arrive: send a plain object.',
      )
    }
    return this.#record(value, level, depth)
  }

  #count(elements: number): void {
    this.#nodes += elements
    this.#bytes += elements
    const { maxNodes } = this.#limits
    if (this.#nodes > maxNodes) {
      const message = `Cannot send ${this.#whole()}: it has at least ${this.#nodes} elements, the limit is ${maxNodes} (maxNodes)`
      throw new ZaskError(
        'ZASK_WIRE_TOO_LARGE',
        `${message}. Send it in parts, as a stream, or raise the limit on both sides.`,
        { details: { limit: 'maxNodes', maxNodes } },
      )
    }
    this.#checkSize()
  }

  #checkSize(): void {
    if (this.#bytes > this.#limits.maxBytes)
      throw tooLarge(this.#whole(), this.#bytes, this.#limits.maxBytes, true)
  }

  #tooDeep(level: number): ZaskError {
    const { maxDepth } = this.#limits
    const seen: unknown[] = []
    let value = this.#root
    for (let step = 0; step <= level; step++) {
      const first = seen.indexOf(value)
      if (first >= 0) {
        this.#level = step
        return this.#refuse(
          'an object that contains itself',
          'Send a copy without the cycle, or ids in its place.',
        )
      }
      seen.push(value)
      if (typeof value === 'object' && value !== null) value = Reflect.get(value, this.#path[step]!)
    }
    this.#level = Math.min(level, 6)
    const advice = 'Send a flatter copy; an entity of an ORM is to be turned into a plain object first.'
    return this.#refuse(`more than ${maxDepth} levels (maxDepth)`, advice, 'maxDepth')
  }

  #refuse(what: string, advice: string, limit?: string): ZaskError {
    const path = this.#where()
    return new ZaskError('ZASK_WIRE_NOT_ENCODABLE', `Cannot send ${path}: it is ${what}. ${advice}`, {
      details: { path, what, ...(limit === undefined ? {} : { limit }) },
    })
  }

  #protoKey(): ZaskError {
    return this.#refuse('an object with a key __proto__', 'Peers refuse such a message: rename the key.')
  }

  #whole(): string {
    return this.#name === '' ? 'the value' : this.#name
  }

  #where(): string {
    let text = this.#name
    for (const key of this.#path.slice(0, this.#level)) {
      if (typeof key === 'number') text += `[${key}]`
      else if (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)) text += text === '' ? key : `.${key}`
      else text += `[${JSON.stringify(key)}]`
    }
    return text === '' ? 'the value' : text
  }
}

/** For the compiler only: any object can be read by key. */
export function isReadable(value: object): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object'
}

/** The error for an event over the limit; both sizes in bytes. */
export function tooLarge(what: string, bytes: number, maxBytes: number, atLeast = false): ZaskError {
  return new ZaskError(
    'ZASK_WIRE_TOO_LARGE',
    `Cannot send ${what}: it takes ${atLeast ? 'at least ' : ''}${bytes} bytes, the limit is ${maxBytes} (maxEventBytes). ` +
      'Send it in parts, as a stream, or raise the limit on both sides.',
    { details: { limit: 'maxEventBytes', bytes, maxBytes } },
  )
}
