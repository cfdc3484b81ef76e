import { isUtf8 } from 'node:buffer'
import { maxShapeKeys, withKeys } from './shape.ts'

/** Texts up to this many bytes are checked for UTF-8 here; for longer ones the native check is worth its call. */
const shortText = 48

/** The decoder hands texts longer than this to a TextDecoder, which swallows a byte order mark at their start. */
const textDecoderFrom = 200

/**
 * Walks over one msgpack value without building it: finds its end, and refuses what would cost more memory than its
 * own bytes. Only what passed here may be given to the decoder, which reserves whatever an array announces (5 bytes
 * can claim 256 MB), follows any depth, and turns bad UTF-8 into other text.
 *
 * One pass, no allocation. The fields tell of the last `scan`.
 */
export class Scanner {
  /** Why the last scan returned -1. */
  reason = ''
  /** Elements met: every element of an array, every key and every value of a map. */
  nodes = 0
  /** Whether decoding would yield views on the memory of the frame (bin, ext). */
  hasViews = false
  /** Whether a 64-bit integer is there that a number cannot hold exactly. */
  hasUnsafeIntegers = false
  /** Whether a map is there whose keys are not written out, or that brings them for others. */
  hasShapes = false
  /** Where long texts begin that start with a byte order mark. */
  readonly marks: number[] = []

  // How many elements each open container still expects.
  readonly #open: Float64Array

  constructor(maxDepth: number) {
    this.#open = new Float64Array(maxDepth + 1)
  }

  /**
   * @returns the position after the value at `from`, or -1 with `reason` set.
   * @param maxNodes how many elements the value may have, all levels together.
   */
  scan(bytes: Buffer, from: number, end: number, maxNodes: number): number {
    const open = this.#open
    const maxDepth = open.length - 1
    let at = from
    let depth = 0
    let expected = 1
    // Elements announced and not yet seen, in all open containers. Each takes a byte at least, so more of them than
    // bytes left is a lie: this is what stops a chain of arrays that each claim all the rest.
    let outstanding = 1
    let nodes = 0
    this.hasViews = false
    this.hasUnsafeIntegers = false
    this.hasShapes = false
    if (this.marks.length > 0) this.marks.length = 0

    for (;;) {
      while (expected === 0) {
        if (depth === 0) {
          this.nodes = nodes
          return at
        }
        expected = open[--depth]!
      }
      expected--
      outstanding--
      if (at >= end) return this.#refuse('truncated')
      const type = bytes[at++]!
      if (type < 0x80 || type >= 0xe0) continue

      let elements = -1
      let text = -1
      if (type < 0x90) elements = (type & 0x0f) * 2
      else if (type < 0xa0) elements = type & 0x0f
      else if (type < 0xc0) text = type & 0x1f
      else {
        switch (type) {
          case 0xc0: // nil
          case 0xc2: // false
          case 0xc3: // true
            continue
          case 0xc4: // bin 8, 16, 32
          case 0xc5:
          case 0xc6: {
            const width = 1 << (type - 0xc4)
            if (at + width > end) return this.#refuse('truncated')
            this.hasViews = true
            at += width + length(bytes, at, width)
            break
          }
          case 0xc7: // ext 8, 16, 32: the length is followed by the type
          case 0xc8:
          case 0xc9: {
            const width = 1 << (type - 0xc7)
            if (at + width > end) return this.#refuse('truncated')
            this.hasViews = true
            at += width + 1 + length(bytes, at, width)
            break
          }
          case 0xca: // float 32, 64
            at += 4
            break
          case 0xcb:
            at += 8
            break
          case 0xcc: // uint 8, 16, 32
          case 0xd0: // int 8, 16, 32
            at += 1
            break
          case 0xcd:
          case 0xd1:
            at += 2
            break
          case 0xce:
          case 0xd2:
            at += 4
            break
          case 0xcf: // uint 64
          case 0xd3: // int 64
            if (at + 8 > end) return this.#refuse('truncated')
            if (isUnsafe(bytes, at, type === 0xd3)) this.hasUnsafeIntegers = true
            at += 8
            break
          case 0xd4: // fixext 1, 2, 4, 8, 16
          case 0xd5:
          case 0xd6:
          case 0xd7:
          case 0xd8:
            this.hasViews = true
            at += 1 + (1 << (type - 0xd4))
            break
          case 0xd9: // str 8, 16, 32
          case 0xda:
          case 0xdb: {
            const width = 1 << (type - 0xd9)
            if (at + width > end) return this.#refuse('truncated')
            text = length(bytes, at, width)
            at += width
            break
          }
          case 0xdc: // array 16, 32
          case 0xdd: {
            const width = type === 0xdc ? 2 : 4
            if (at + width > end) return this.#refuse('truncated')
            elements = length(bytes, at, width)
            at += width
            break
          }
          case 0xde: // map 16, 32
          case 0xdf: {
            const width = type === 0xde ? 2 : 4
            if (at + width > end) return this.#refuse('truncated')
            elements = length(bytes, at, width) * 2
            at += width
            break
          }
          default: {
            // 0xc1, the one byte msgpack never uses: a shape, or nothing that can be read.
            if (at >= end) return this.#refuse('truncated')
            const head = bytes[at++]!
            const size = head & ~withKeys
            if (size === 0 || size > maxShapeKeys) return this.#refuse('not msgpack')
            this.hasShapes = true
            elements = size
            if (head >= withKeys) elements *= 2
            else {
              at++
              // Keys that stand elsewhere count as well.
              nodes += size
            }
          }
        }
      }

      if (text >= 0) {
        const stop = at + text
        if (stop > end) return this.#refuse('truncated')
        if (!isText(bytes, at, stop)) return this.#refuse('text is not UTF-8')
        if (text > textDecoderFrom && startsWithMark(bytes, at)) this.marks.push(at)
        at = stop
      } else if (elements >= 0) {
        nodes += elements
        if (nodes > maxNodes) return this.#refuse('too many nodes')
        outstanding += elements
        if (outstanding > end - at) return this.#refuse('truncated')
        if (depth === maxDepth) return this.#refuse('too deep')
        open[depth++] = expected
        expected = elements
      } else if (at > end) return this.#refuse('truncated')
    }
  }

  #refuse(reason: string): -1 {
    this.reason = reason
    return -1
  }
}

/** Whether the bytes are UTF-8, for a text that lies wholly within the frame. */
export function isText(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > shortText) return isUtf8(bytes.subarray(from, to))
  for (let at = from; at < to; at++) {
    if (bytes[at]! >= 0x80) return isUtf8(bytes.subarray(at, to))
  }
  return true
}

/** An unsigned big-endian integer of 1, 2 or 4 bytes. */
export function length(bytes: Buffer, at: number, width: number): number {
  if (width === 1) return bytes[at]!
  if (width === 2) return bytes[at]! * 0x100 + bytes[at + 1]!
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
}

/** Whether the 64-bit integer is one that a number does not hold exactly. */
export function isUnsafe(bytes: Buffer, at: number, signed: boolean): boolean {
  const high = signed ? length(bytes, at, 4) | 0 : length(bytes, at, 4)
  if (high > 0x1fffff || high < -0x200000) return true
  // -(2 ** 53) itself is not safe.
  return high === -0x200000 && length(bytes, at + 4, 4) === 0
}

function startsWithMark(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf
}
