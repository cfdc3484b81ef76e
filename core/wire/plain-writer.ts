import type { EventLimits } from './event-shape.ts'
import { isReadable } from './sendable.ts'
import type { SentShape, SentShapes } from './sent-shapes.ts'
import { maxShapes, shapeMark } from './shape.ts'
import type { Slab } from './slab.ts'

/** Deeper values are for the encoder: this writer recurses. */
const maxLevels = 64

/** Above this many characters a text is measured before room is made for it, rather than taken at its worst. */
const shortText = 1024

/**
 * Writes plain data, which most events carry, in one pass and in the shortest forms: nil, booleans, numbers, texts,
 * bytes, dates, arrays and plain objects. What it does not take (all the rest, and anything beyond a limit) is for
 * `Sendable` and the encoder, which tell what it is.
 *
 * It writes at `slab.at`; nothing it wrote counts before the slab is told so.
 */
export class PlainWriter {
  readonly #slab: Slab
  readonly #known: SentShapes
  readonly #maxBytes: number
  readonly #maxNodes: number
  readonly #maxDepth: number
  /** Whether the last value was not taken because bytes were in it, which only `byShape` excludes. */
  sawBytes = false
  #nodes = 0
  #byShape = false
  #message: number
  /** The shapes whose keys the message has, by their numbers. */
  readonly #shapes: SentShape[] = []

  constructor(slab: Slab, limits: EventLimits, known: SentShapes) {
    this.#slab = slab
    this.#known = known
    this.#message = known.newMessage()
    this.#maxBytes = limits.maxBytes
    this.#maxNodes = limits.maxNodes
    this.#maxDepth = Math.min(limits.maxDepth, maxLevels)
  }

  /** How many shapes the message has. */
  get shapes(): number {
    return this.#shapes.length
  }

  /** What is written next is a message of its own. */
  newMessage(): void {
    if (this.#shapes.length === 0) return
    this.#shapes.length = 0
    this.#message = this.#known.newMessage()
  }

  /** Takes the shapes back beyond so many, because what they stand in is taken back. */
  forget(kept: number): void {
    while (this.#shapes.length > kept) {
      const shape = this.#shapes.pop()!
      if (shape.message === this.#message) shape.message = 0
    }
  }

  /**
   * Whether it took the value. If not, or if a getter throws, part of it may lie behind `slab.at`'s old place.
   * @param byShape whether maps may be written as `shape.ts` has it.
   */
  value(value: unknown, byShape: boolean): boolean {
    // Somebody has given all objects a property that `for in` would take for their own.
    if (hasKeys(Object.prototype)) return false
    this.#nodes = 0
    this.sawBytes = false
    this.#byShape = byShape
    return this.#value(value, 0)
  }

  /** Writes a str. Half a surrogate pair becomes U+FFFD: there are no bytes for it that a Python peer would accept. */
  text(text: string): void {
    const slab = this.#slab
    const units = text.length
    // One byte for a unit is the guess, three are the worst.
    slab.reserve(5 + (units <= shortText ? units * 3 : Buffer.byteLength(text, 'utf8')))
    const { bytes, at } = slab
    if (units < 32) {
      let index = 0
      for (; index < units; index++) {
        const unit = text.charCodeAt(index)
        if (unit >= 0x80) break
        bytes[at + 1 + index] = unit
      }
      if (index === units) {
        bytes[at] = 0xa0 | units
        slab.at = at + 1 + units
        return
      }
    }
    const guess = textHead(units)
    const size = bytes.write(text, at + guess, 'utf8')
    const head = textHead(size)
    if (head !== guess) bytes.copyWithin(at + head, at + guess, at + guess + size)
    if (head === 1) bytes[at] = 0xa0 | size
    else writeTagged(bytes, at, head === 2 ? 0xd9 : head === 3 ? 0xda : 0xdb, head - 1, size)
    slab.at = at + head + size
  }

  #value(value: unknown, depth: number): boolean {
    // Not a switch: to ask what type it is takes a call, to ask whether it is a certain one takes none.
    if (typeof value === 'string') {
      if (value.length > this.#maxBytes) return false
      this.text(value)
      // Checked as it grows: one long text may be in an array a hundred thousand times.
      return this.#slab.at - this.#slab.end <= this.#maxBytes
    }
    if (typeof value === 'number') return this.#number(value)
    if (value === null || value === undefined) return this.#byte(0xc0)
    if (typeof value === 'boolean') return this.#byte(value ? 0xc3 : 0xc2)
    if (typeof value !== 'object' || depth >= this.#maxDepth) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) return this.#record(value, depth)
    if (prototype === Array.prototype && Array.isArray(value)) return this.#array(value, depth)
    if (prototype === Date.prototype) return this.#date(value as Date)
    return value instanceof Uint8Array && this.#bytes(value)
  }

  #number(value: number): boolean {
    const slab = this.#slab
    slab.reserve(9)
    const { bytes, at } = slab
    // Negative zero is an integer here, and becomes zero.
    if ((value | 0) === value) slab.at = writeInteger(bytes, at, value)
    else if (!Number.isInteger(value)) {
      bytes[at] = 0xcb
      slab.at = bytes.writeDoubleBE(value, at + 1)
    } else if (Number.isSafeInteger(value)) {
      const high = Math.floor(value / 0x100000000)
      if (high === 0) slab.at = writeTagged(bytes, at, 0xce, 4, value)
      else {
        const next = writeTagged(bytes, at, value < 0 ? 0xd3 : 0xcf, 4, high)
        slab.at = writeWord(bytes, next, value)
      }
    } else return false
    return true
  }

  /** A timestamp in the shortest of its three forms (the MessagePack specification has them). */
  #date(date: Date): boolean {
    // Not what the object may have in place of it; of what is no date this throws.
    const time = Date.prototype.getTime.call(date)
    if (Number.isNaN(time)) return false
    const seconds = Math.floor(time / 1000)
    const nanoseconds = (time - seconds * 1000) * 1_000_000
    const slab = this.#slab
    slab.reserve(15)
    const { bytes } = slab
    let { at } = slab
    const high = Math.floor(seconds / 0x100000000)
    if (high < 0 || high > 3) {
      bytes[at++] = 0xc7
      at = writeTagged(bytes, at, 12, 1, 0xff)
      at = writeWord(bytes, at, nanoseconds)
      at = writeWord(bytes, at, high)
    } else if (high > 0 || nanoseconds > 0) {
      at = writeTagged(bytes, at, 0xd7, 1, 0xff)
      at = writeWord(bytes, at, nanoseconds * 4 + high)
    } else at = writeTagged(bytes, at, 0xd6, 1, 0xff)
    slab.at = writeWord(bytes, at, seconds)
    return true
  }

  #array(items: readonly unknown[], depth: number): boolean {
    // Asked once: what a proxy says later must not make the head a lie.
    const size = items.length
    this.#nodes += size
    if (this.#nodes > this.#maxNodes) return false
    this.#head(size, 0x90, 0xdc)
    for (let index = 0; index < size; index++) {
      if (!this.#value(items[index], depth + 1)) return false
    }
    return true
  }

  #record(record: object, depth: number): boolean {
    if (!isReadable(record)) return false
    // Two walks, because the head says how many there are: `for in` is the one way to keys and values that allocates
    // nothing and knows where each value lies. What a proxy says the second time must not make the head a lie.
    let size = 0
    let node = this.#byShape ? this.#known.root : undefined
    for (const key in record) {
      size++
      if (node !== undefined) node = node.after(key)
    }
    this.#nodes += size * 2
    if (this.#nodes > this.#maxNodes) return false
    const slab = this.#slab
    if (node?.shape !== undefined && this.#shape(node.shape)) {
      const { keys } = node.shape
      let index = 0
      for (const key in record) {
        if (key !== keys[index++] || !this.#value(record[key], depth + 1)) return false
      }
      return index === size && slab.at - slab.end <= this.#maxBytes
    }
    if (this.#byShape) this.#known.missed(record)
    this.#head(size, 0x80, 0xde)
    for (const key in record) {
      if (key === '__proto__' || size-- === 0) return false
      const value = record[key]
      this.text(key)
      if (!this.#value(value, depth + 1)) return false
    }
    return size === 0 && slab.at - slab.end <= this.#maxBytes
  }

  /** Writes all of a map but its values: its keys, or the number they have. Not where no number is left for them. */
  #shape(shape: SentShape): boolean {
    const slab = this.#slab
    if (shape.message === this.#message) {
      slab.reserve(3)
      const { bytes, at } = slab
      bytes[at] = shapeMark
      bytes[at + 1] = shape.keys.length
      bytes[at + 2] = shape.number
      slab.at = at + 3
      return true
    }
    const number = this.#shapes.length
    if (number === maxShapes) return false
    this.#shapes.push(shape)
    shape.message = this.#message
    shape.number = number
    const { head } = shape
    slab.reserve(head.length)
    slab.bytes.set(head, slab.at)
    slab.at += head.length
    return true
  }

  #bytes(value: Uint8Array): boolean {
    // Whoever reads it needs the decoder, which knows no shapes.
    if (this.#byShape) {
      this.sawBytes = true
      return false
    }
    const slab = this.#slab
    const size = value.length
    if (slab.at - slab.end + size > this.#maxBytes) return false
    slab.reserve(5 + size)
    const { bytes, at } = slab
    const width = size < 0x100 ? 1 : size < 0x10000 ? 2 : 4
    const next = writeTagged(bytes, at, width === 1 ? 0xc4 : width === 2 ? 0xc5 : 0xc6, width, size)
    bytes.set(value, next)
    slab.at = next + size
    return true
  }

  /** The head of an array or a map: 4 bits of length in the type, else 16 or 32 behind it. */
  #head(size: number, short: number, long: number): void {
    if (size < 16) {
      this.#byte(short | size)
      return
    }
    const slab = this.#slab
    slab.reserve(5)
    const width = size < 0x10000 ? 2 : 4
    slab.at = writeTagged(slab.bytes, slab.at, width === 2 ? long : long + 1, width, size)
  }

  #byte(value: number): true {
    const slab = this.#slab
    slab.reserve(1)
    slab.bytes[slab.at++] = value
    return true
  }
}

function hasKeys(record: object): boolean {
  // oxlint-disable-next-line no-underscore-dangle, no-unreachable-loop -- it is not looked at
  for (const _key in record) return true
  return false
}

/** How many bytes stand before a text of so many. */
function textHead(size: number): number {
  return size < 32 ? 1 : size < 0x100 ? 2 : size < 0x10000 ? 3 : 5
}

function writeInteger(bytes: Buffer, at: number, value: number): number {
  if (value >= 0) {
    if (value >= 0x10000) return writeTagged(bytes, at, 0xce, 4, value)
    if (value >= 0x100) return writeTagged(bytes, at, 0xcd, 2, value)
    if (value >= 0x80) return writeTagged(bytes, at, 0xcc, 1, value)
  } else {
    if (value < -0x8000) return writeTagged(bytes, at, 0xd2, 4, value)
    if (value < -0x80) return writeTagged(bytes, at, 0xd1, 2, value)
    if (value < -0x20) return writeTagged(bytes, at, 0xd0, 1, value)
  }
  bytes[at] = value
  return at + 1
}

/** A type byte and the low 1, 2 or 4 bytes of a value, big end first; returns the position after them. */
export function writeTagged(bytes: Buffer, at: number, type: number, width: number, value: number): number {
  bytes[at] = type
  if (width === 4) return writeWord(bytes, at + 1, value)
  if (width === 2) bytes[at + 1] = value >>> 8
  bytes[at + width] = value
  return at + 1 + width
}

function writeWord(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
  return at + 4
}
