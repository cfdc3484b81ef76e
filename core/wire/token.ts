import { isText, length } from './scan.ts'

/**
 * Reads the small tokens most events are made of, without the decoder and without looking at the rest of the frame.
 * Each method leaves the position after what it read in `next`, or -1 where something else stands there.
 */
export class TokenReader {
  next = -1

  // Names of methods and header keys come again and again: found by their bytes, they need not be made again.
  readonly #known: ({ readonly bytes: Buffer; readonly text: string } | undefined)[] = Array.from({
    length: 64,
  })

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

  /** The text of a span that is known to be UTF-8. */
  text(bytes: Buffer, from: number, to: number): string {
    const size = to - from
    if (size === 0) return ''
    if (size > 32) return bytes.toString('utf8', from, to)
    const slot = (size * 7 + bytes[from]! + bytes[to - 1]! * 3) & 63
    const known = this.#known[slot]
    if (known !== undefined && isSame(bytes, from, to, known.bytes)) return known.text
    const text = bytes.toString('utf8', from, to)
    this.#known[slot] = { bytes: Buffer.from(text, 'utf8'), text }
    return text
  }

  /** A text, an integer up to 32 bits, nil or a boolean, or an array of up to 15 of them. */
  value(bytes: Buffer, at: number, end: number): unknown {
    const type = at < end ? bytes[at]! : 0
    if (type < 0x90 || type > 0x9f) return this.#scalar(bytes, at, end)
    const items: unknown[] = []
    this.next = at + 1
    for (let left = type & 0x0f; left > 0; left--) {
      const item = this.#scalar(bytes, this.next, end)
      if (this.next < 0) return undefined
      items.push(item)
    }
    return items
  }

  #scalar(bytes: Buffer, at: number, end: number): unknown {
    this.next = -1
    if (at >= end) return undefined
    const type = bytes[at]!
    if (type < 0x80 || type >= 0xe0) {
      this.next = at + 1
      return type < 0x80 ? type : type - 0x100
    }
    if ((type >= 0xa0 && type < 0xc0) || (type >= 0xd9 && type < 0xdc)) {
      const from = this.span(bytes, at, end)
      const to = this.next
      this.next = -1
      if (from < 0 || !isText(bytes, from, to)) return undefined
      this.next = to
      return to === from ? '' : bytes.toString('utf8', from, to)
    }
    if (type === 0xc0 || type === 0xc2 || type === 0xc3) {
      this.next = at + 1
      return type === 0xc0 ? null : type === 0xc3
    }
    if (type >= 0xcc && type <= 0xce) {
      const width = 1 << (type - 0xcc)
      if (at + 1 + width > end) return undefined
      this.next = at + 1 + width
      return length(bytes, at + 1, width)
    }
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

/** How many bytes nil, a boolean or a number of this type takes; 0 for all that is none of these. */
export function scalarBytes(type: number): number {
  if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return 1
  if (type === 0xca) return 5
  if (type === 0xcb) return 9
  if (type >= 0xcc && type <= 0xcf) return 1 + (1 << (type - 0xcc))
  if (type >= 0xd0 && type <= 0xd3) return 1 + (1 << (type - 0xd0))
  return 0
}

/** Longest text `simpleSize` takes: it measures by the worst case, which is to be no burden. */
const simpleText = 16 * 1024

/**
 * How many bytes `writeSimple` may need for a value, or -1 where it is not a scalar, a short text or a short array of
 * those. Only values are looked at that cannot run code of the caller.
 */
export function simpleSize(value: unknown): number {
  if (!Array.isArray(value)) return scalarSize(value)
  if (value.length > 15) return -1
  let size = 1
  for (let index = 0; index < value.length; index++) {
    const item = scalarSize(value[index])
    if (item < 0) return -1
    size += item
  }
  return size
}

function scalarSize(value: unknown): number {
  switch (typeof value) {
    case 'number':
      return (value | 0) === value ? 5 : -1
    case 'string':
      return value.length <= simpleText ? textSize(value) : -1
    case 'boolean':
    case 'undefined':
      return 1
    default:
      return value === null ? 1 : -1
  }
}

/** Writes what `simpleSize` measured, in the shortest form there is, and returns the position after it. */
export function writeSimple(bytes: Buffer, at: number, value: unknown): number {
  if (!Array.isArray(value)) return writeScalar(bytes, at, value)
  bytes[at++] = 0x90 | value.length
  for (let index = 0; index < value.length; index++) at = writeScalar(bytes, at, value[index])
  return at
}

function writeScalar(bytes: Buffer, at: number, value: unknown): number {
  switch (typeof value) {
    case 'number':
      return writeInteger(bytes, at, value)
    case 'string':
      return writeText(bytes, at, value)
    case 'boolean':
      bytes[at] = value ? 0xc3 : 0xc2
      return at + 1
    default:
      bytes[at] = 0xc0
      return at + 1
  }
}

/** Writes an integer of 32 bits with a sign. Negative zero becomes zero. */
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

/** How many bytes `writeText` may need. */
export function textSize(text: string): number {
  return 5 + text.length * 3
}

/** Writes a str. Half a surrogate pair becomes U+FFFD: there are no bytes for it that a Python peer would accept. */
export function writeText(bytes: Buffer, at: number, text: string): number {
  const units = text.length
  if (units < 32) {
    let index = 0
    for (; index < units; index++) {
      const unit = text.charCodeAt(index)
      if (unit >= 0x80) break
      bytes[at + 1 + index] = unit
    }
    if (index === units) {
      bytes[at] = 0xa0 | units
      return at + 1 + units
    }
  }
  const size = Buffer.byteLength(text, 'utf8')
  if (size < 32) bytes[at++] = 0xa0 | size
  else if (size < 0x100) at = writeTagged(bytes, at, 0xd9, 1, size)
  else if (size < 0x10000) at = writeTagged(bytes, at, 0xda, 2, size)
  else at = writeTagged(bytes, at, 0xdb, 4, size)
  return at + bytes.write(text, at, 'utf8')
}

/** A type byte and the low 1, 2 or 4 bytes of a value, big end first. */
export function writeTagged(bytes: Buffer, at: number, type: number, width: number, value: number): number {
  bytes[at++] = type
  if (width === 4) {
    bytes[at++] = value >>> 24
    bytes[at++] = value >>> 16
  }
  if (width >= 2) bytes[at++] = value >>> 8
  bytes[at++] = value
  return at
}
