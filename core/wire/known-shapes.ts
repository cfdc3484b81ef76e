import { canBeShape, keyBytes, Sampling } from './shape.ts'

const placesLog2 = 8
/** Code for a shape is made when so many maps of it were read, which pays for it. */
const compileAfter = 256

type Build = (values: unknown[], base: number) => Record<string, unknown>

/** Keys that maps came with, in their order, and how a record of them is made. */
export class Shape {
  readonly keys: readonly string[]

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  /** A record of the first `size` keys and the values from `base` on, which are forgotten there. */
  build(values: unknown[], base: number, size: number): Record<string, unknown> {
    const record: Record<string, unknown> = {}
    for (let index = 0; index < size; index++) {
      record[this.keys[index]!] = values[base + index]
      values[base + index] = undefined
    }
    return record
  }
}

/**
 * An object literal of the keys, which the engine makes in a third of the time of one assignment after another. Where
 * code may not be made of text (`--disallow-code-generation-from-strings`), there is none.
 */
function literalOf(keys: readonly string[]): Build | undefined {
  const properties = keys.map((key, index) => `${JSON.stringify(key)}: values[base + ${index}]`)
  const forgotten = keys.map((_, index) => `values[base + ${index}] = undefined`)
  const body = `const record = { ${properties.join(', ')} }; ${forgotten.join('; ')}; return record`
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- of keys of letters, quoted, none being __proto__
    return new Function('values', 'base', body) as Build
  } catch {
    return undefined
  }
}

/** A shape that came before, with the bytes its keys came as. */
export class KnownShape extends Shape {
  readonly #bytes: Buffer
  /** Where each key begins in them, and where the last one ends. */
  readonly #starts: Int32Array
  #built = 0
  #literal: Build | undefined

  constructor(keys: readonly string[]) {
    super(keys)
    this.#bytes = keyBytes(keys)
    this.#starts = new Int32Array(keys.length + 1)
    for (const [index, key] of keys.entries()) this.#starts[index + 1] = this.#starts[index]! + 1 + key.length
  }

  override build(values: unknown[], base: number, size: number): Record<string, unknown> {
    if (size === this.keys.length) {
      if (this.#literal !== undefined) return this.#literal(values, base)
      if (++this.#built === compileAfter) this.#literal = literalOf(this.keys)
    }
    return super.build(values, base, size)
  }

  /** The position after the key, if it is the one at `index` that stands at `at`; else -1. */
  endOfKey(index: number, bytes: Buffer, at: number, end: number): number {
    return this.#after(this.#starts[index]!, this.#starts[index + 1]!, bytes, at, end)
  }

  /** The position after the keys, if all of them stand at `at`, one after another; else -1. */
  endOfKeys(bytes: Buffer, at: number, end: number): number {
    return this.#after(0, this.#bytes.length, bytes, at, end)
  }

  #after(from: number, to: number, bytes: Buffer, at: number, end: number): number {
    const size = to - from
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
  readonly #shapes: (KnownShape | undefined)[] = Array.from({ length: 1 << placesLog2 })
  readonly #misses = new Sampling()

  /** What a map of so many keys may be whose first one stands at `from`. */
  find(bytes: Buffer, from: number, size: number): KnownShape | undefined {
    const shape = this.#shapes[placeOf(bytes, from, size)]
    return shape?.keys.length === size ? shape : undefined
  }

  /**
   * Told of a map that none was found for, or another one, by its keys or a record that has them; it had so many, and
   * the first stood at `from`.
   */
  missed(keys: readonly string[] | object, bytes: Buffer, from: number, size: number): void {
    if (!this.#misses.isDue()) return
    const known: readonly string[] = Array.isArray(keys) ? keys : Object.keys(keys)
    // A key that came twice is one in the record.
    if (known.length === size && canBeShape(known))
      this.#shapes[placeOf(bytes, from, size)] = new KnownShape(known)
  }
}

/** By the number of keys and three bytes of the first: its head, its first letter and its last. */
function placeOf(bytes: Buffer, from: number, size: number): number {
  const head = bytes[from]!
  const mixed = size ^ (head << 6) ^ (bytes[from + 1]! << 14) ^ (bytes[from + (head & 0x1f)]! << 22)
  return Math.imul(mixed, 0x9e3779b1) >>> (32 - placesLog2)
}
