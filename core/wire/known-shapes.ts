const placesLog2 = 8
/** Maps of more keys are rather tables than records: their keys do not come again. */
const maxKeys = 32
/** One in so many maps whose keys were not foreseen is remembered: more would cost those that never come again. */
const rememberOneIn = 16

/** A key that the wire has in a head of one byte and its letters, and that stands in an object where it was put. */
const plainKey = /^[!-/:-~][ -~]{0,30}$/

/** The keys of a map that came before, in their order, and the bytes they came as. */
export class Shape {
  readonly keys: readonly string[]
  readonly #bytes: Buffer
  /** Where each key begins in them, and where the last one ends. */
  readonly #starts: Int32Array

  constructor(keys: readonly string[]) {
    this.keys = keys
    this.#bytes = Buffer.from(
      keys.map((key) => String.fromCharCode(0xa0 | key.length) + key).join(''),
      'latin1',
    )
    this.#starts = new Int32Array(keys.length + 1)
    for (const [index, key] of keys.entries()) this.#starts[index + 1] = this.#starts[index]! + 1 + key.length
  }

  /** The position after the key, if it is the one at `index` that stands at `at`; else -1. */
  endOfKey(index: number, bytes: Buffer, at: number, end: number): number {
    const from = this.#starts[index]!
    const size = this.#starts[index + 1]! - from
    if (at + size > end) return -1
    const known = this.#bytes
    for (let offset = 0; offset < size; offset++) {
      if (known[from + offset] !== bytes[at + offset]) return -1
    }
    return at + size
  }
}

/**
 * Foresees the keys of a map. Records of one kind have the same keys in the same order: to see that the next key is the
 * expected one takes a third of the time of finding out which it is.
 */
export class KnownShapes {
  readonly #shapes: (Shape | undefined)[] = Array.from({ length: 1 << placesLog2 })
  #misses = 0

  /** What a map of so many keys may be whose first one stands at `from`. */
  find(bytes: Buffer, from: number, size: number): Shape | undefined {
    const shape = this.#shapes[placeOf(bytes, from, size)]
    return shape?.keys.length === size ? shape : undefined
  }

  /** Told of a map that none was found for, or another one; it had so many keys, and its first stood at `from`. */
  missed(record: object, bytes: Buffer, from: number, size: number): void {
    if (++this.#misses % rememberOneIn !== 0 || size > maxKeys) return
    const keys = Object.keys(record)
    // A key that came twice is one in the record.
    if (keys.length !== size || !keys.every((key) => plainKey.test(key))) return
    this.#shapes[placeOf(bytes, from, size)] = new Shape(keys)
  }
}

/** By the number of keys and three bytes of the first: its head, its first letter and its last. */
function placeOf(bytes: Buffer, from: number, size: number): number {
  const head = bytes[from]!
  const mixed = size ^ (head << 6) ^ (bytes[from + 1]! << 14) ^ (bytes[from + (head & 0x1f)]! << 22)
  return Math.imul(mixed, 0x9e3779b1) >>> (32 - placesLog2)
}
