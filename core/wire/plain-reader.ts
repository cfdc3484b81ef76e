import { KnownShapes, Shape } from './known-shapes.ts'
import { KnownTexts } from './known-texts.ts'
import { isUnsafe, length } from './scan.ts'
import { maxShapeKeys, maxShapes, shapeMark, withKeys } from './shape.ts'

/** Deeper values are for the decoder: this reader recurses. */
const maxLevels = 64

/** For a frame whose numbers are not known any more: full, so that nothing is added, and all undefined. */
export const lostShapes: Shape[] = Array.from({ length: maxShapes })

/**
 * Reads plain data, which most events carry, in one pass: nil, booleans, numbers, texts, dates, arrays, and maps with
 * keys of text. It makes nothing before it has seen it, so that a length that lies costs nothing. What it does not take
 * (bytes, other ext, integers a number cannot hold, any mistake) is for the scanner and the decoder, which tell what it
 * is.
 *
 * Each method leaves the position after what it read in `next`, or -1 where it did not take it.
 */
export class PlainReader {
  next = -1
  /** Elements met by the last `value`; as the scanner counts them. */
  nodes = 0
  /** The shapes of the frame by their numbers; undefined where it had none yet. */
  shapes: Shape[] | undefined

  #maxNodes = 0
  readonly #maxDepth: number

  // Apart, because keys come again in each event, while values may never: they are not to push keys out.
  readonly #keys = new KnownTexts()
  readonly #texts = new KnownTexts()
  readonly #known = new KnownShapes()
  /** Values of the records that are being read, each level behind the one above it. */
  readonly #values: unknown[] = Array.from({ length: maxLevels * maxShapeKeys })
  #top = 0

  constructor(maxDepth: number) {
    this.#maxDepth = Math.min(maxDepth, maxLevels)
  }

  value(bytes: Buffer, at: number, end: number, maxNodes: number): unknown {
    this.nodes = 0
    this.#maxNodes = maxNodes
    const value = this.#value(bytes, at, end, 0)
    if (this.next < 0 && this.#top > 0) {
      this.#values.fill(undefined)
      this.#top = 0
    }
    return value
  }

  /** Where the text of a str or bin begins; `next` is its end. -1 for anything else, and for a text that is cut off. */
  span(bytes: Buffer, at: number, end: number): number {
    const type = at < end ? bytes[at]! : 0
    let from = at + 1
    let size = type & 0x1f
    if (type < 0xa0 || type > 0xbf) {
      const width =
        type >= 0xd9 && type < 0xdc
          ? 1 << (type - 0xd9)
          : type >= 0xc4 && type < 0xc7
            ? 1 << (type - 0xc4)
            : 0
      if (width === 0 || from + width > end) return -1
      size = length(bytes, from, width)
      from += width
    }
    this.next = from + size
    return this.next <= end ? from : -1
  }

  /** The text of a span that is a key or a name; undefined where it is not UTF-8. */
  text(bytes: Buffer, from: number, to: number): string | undefined {
    return this.#keys.text(bytes, from, to)
  }

  #value(bytes: Buffer, at: number, end: number, depth: number): unknown {
    if (at >= end) return this.#leave()
    const type = bytes[at]!
    if (type < 0x80 || type >= 0xe0) {
      this.next = at + 1
      return type < 0x80 ? type : type - 0x100
    }
    if (type < 0x90) return this.#map(bytes, at + 1, end, type & 0x0f, depth)
    if (type < 0xa0) return this.#array(bytes, at + 1, end, type & 0x0f, depth)
    if (type < 0xc0 || (type >= 0xd9 && type < 0xdc)) {
      const from = this.span(bytes, at, end)
      const text = from < 0 ? undefined : this.#texts.text(bytes, from, this.next)
      return text ?? this.#leave()
    }
    switch (type) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        this.next = at + 1
        return type === 0xc0 ? null : type === 0xc3
      case 0xca:
        if (!this.#has(at + 5, end)) return undefined
        return bytes.readFloatBE(at + 1)
      case 0xcb:
        if (!this.#has(at + 9, end)) return undefined
        return bytes.readDoubleBE(at + 1)
      case 0xcc:
      case 0xcd:
      case 0xce: {
        const width = 1 << (type - 0xcc)
        return this.#has(at + 1 + width, end) ? length(bytes, at + 1, width) : undefined
      }
      case 0xd0:
        return this.#has(at + 2, end) ? (bytes[at + 1]! << 24) >> 24 : undefined
      case 0xd1:
        return this.#has(at + 3, end) ? (length(bytes, at + 1, 2) << 16) >> 16 : undefined
      case 0xd2:
        return this.#has(at + 5, end) ? length(bytes, at + 1, 4) | 0 : undefined
      case 0xcf:
      case 0xd3: {
        if (!this.#has(at + 9, end)) return undefined
        if (isUnsafe(bytes, at + 1, type === 0xd3)) return this.#leave()
        const high = length(bytes, at + 1, 4)
        return (type === 0xd3 ? high | 0 : high) * 0x100000000 + length(bytes, at + 5, 4)
      }
      case 0xd6:
      case 0xd7:
      case 0xc7:
        return this.#date(bytes, at, end, type)
      case 0xdc:
      case 0xdd:
      case 0xde:
      case 0xdf: {
        const width = type === 0xdc || type === 0xde ? 2 : 4
        if (!this.#has(at + 1 + width, end)) return undefined
        const size = length(bytes, at + 1, width)
        return type < 0xde
          ? this.#array(bytes, this.next, end, size, depth)
          : this.#map(bytes, this.next, end, size, depth)
      }
      case shapeMark:
        return this.#shaped(bytes, at + 1, end, depth)
      default:
        return this.#leave()
    }
  }

  /** A timestamp (the MessagePack specification has its three forms) that a Date can be. */
  #date(bytes: Buffer, at: number, end: number, type: number): unknown {
    const from = type === 0xc7 ? at + 3 : at + 2
    const size = type === 0xd6 ? 4 : type === 0xd7 ? 8 : 12
    if (from + size > end || bytes[from - 1] !== 0xff || (size === 12 && bytes[at + 1] !== size))
      return this.#leave()
    this.next = from + size
    let seconds = length(bytes, this.next - 4, 4)
    let nanoseconds = 0
    if (size === 8) {
      const word = length(bytes, from, 4)
      nanoseconds = word >>> 2
      seconds += (word & 3) * 0x100000000
    } else if (size === 12) {
      nanoseconds = length(bytes, from, 4)
      seconds += (length(bytes, from + 4, 4) | 0) * 0x100000000
    }
    const date = new Date(seconds * 1000 + nanoseconds / 1_000_000)
    return Number.isNaN(date.getTime()) ? this.#leave() : date
  }

  #array(bytes: Buffer, from: number, end: number, size: number, depth: number): unknown {
    this.nodes += size
    if (depth >= this.#maxDepth || this.nodes > this.#maxNodes) return this.#leave()
    this.next = from
    if (size === 0) return []
    const first = this.#value(bytes, from, end, depth + 1)
    if (this.next < 0) return undefined
    // Most lists are the one argument of a call. What is begun empty gets room for 16 with its first item.
    const items = [first]
    for (let left = size - 1; left > 0; left--) {
      const item = this.#value(bytes, this.next, end, depth + 1)
      if (this.next < 0) return undefined
      items.push(item)
    }
    return items
  }

  #map(bytes: Buffer, from: number, end: number, size: number, depth: number): unknown {
    this.nodes += size * 2
    if (depth >= this.#maxDepth || this.nodes > this.#maxNodes) return this.#leave()
    this.next = from
    if (size === 0) return {}
    const foreseen = this.#known.find(bytes, from, size)
    let index = 0
    let record: Record<string, unknown>
    if (foreseen === undefined) record = {}
    else {
      const base = this.#top
      this.#top = base + size
      for (; index < size; index++) {
        const after = foreseen.endOfKey(index, bytes, this.next, end)
        if (after < 0) break
        const item = this.#value(bytes, after, end, depth + 1)
        if (this.next < 0) return undefined
        this.#values[base + index] = item
      }
      this.#top = base
      if (index === size) return foreseen.build(this.#values, base, size)
      record = foreseen.build(this.#values, base, index)
    }
    for (; index < size; index++) {
      const key = this.#key(bytes, this.next, end)
      if (key === undefined) return this.#leave()
      const item = this.#value(bytes, this.next, end, depth + 1)
      if (this.next < 0) return undefined
      record[key] = item
    }
    this.#known.missed(record, bytes, from, size)
    return record
  }

  #key(bytes: Buffer, at: number, end: number): string | undefined {
    // A bin is no key, though it has a span.
    if (at >= end || (bytes[at]! >= 0xc4 && bytes[at]! <= 0xc6)) return undefined
    const start = this.span(bytes, at, end)
    const key = start < 0 ? undefined : this.#keys.text(bytes, start, this.next)
    return key === '__proto__' ? undefined : key
  }

  /** A map as `shape.ts` has it, after its mark. */
  #shaped(bytes: Buffer, at: number, end: number, depth: number): unknown {
    if (at + 2 > end) return this.#leave()
    const first = bytes[at]!
    const size = first & ~withKeys
    this.nodes += size * 2
    if (depth >= this.#maxDepth || this.nodes > this.#maxNodes) return this.#leave()
    let shape: Shape | undefined
    if (first >= withKeys) shape = this.#define(bytes, at + 1, end, size)
    else {
      shape = this.shapes?.[bytes[at + 1]!]
      this.next = at + 2
    }
    if (shape?.keys.length !== size) return this.#leave()
    const base = this.#top
    this.#top = base + size
    for (let index = 0; index < size; index++) {
      const item = this.#value(bytes, this.next, end, depth + 1)
      if (this.next < 0) return undefined
      this.#values[base + index] = item
    }
    this.#top = base
    return shape.build(this.#values, base, size)
  }

  /** The shape of the keys that stand at `from`; it gets the next number of the frame. */
  #define(bytes: Buffer, from: number, end: number, size: number): Shape | undefined {
    const shapes = (this.shapes ??= [])
    if (size === 0 || size > maxShapeKeys || shapes.length >= maxShapes) return undefined
    const foreseen = this.#known.find(bytes, from, size)
    const after = foreseen?.endOfKeys(bytes, from, end) ?? -1
    let shape: Shape
    if (after >= 0) {
      shape = foreseen!
      this.next = after
    } else {
      const keys: string[] = []
      this.next = from
      for (let index = 0; index < size; index++) {
        const key = this.#key(bytes, this.next, end)
        if (key === undefined) return undefined
        keys.push(key)
      }
      this.#known.missed(keys, bytes, from, size)
      shape = new Shape(keys)
    }
    shapes.push(shape)
    return shape
  }

  #has(next: number, end: number): boolean {
    this.next = next <= end ? next : -1
    return next <= end
  }

  #leave(): undefined {
    this.next = -1
    return undefined
  }
}

/** Whether these bytes are those of `expected`. */
export function isSame(bytes: Buffer, from: number, to: number, expected: Buffer): boolean {
  if (to - from !== expected.length) return false
  for (let index = 0; index < expected.length; index++) {
    if (bytes[from + index] !== expected[index]) return false
  }
  return true
}
