import { isText } from './scan.ts'

/** Texts up to this many bytes are remembered, in so many places. */
const knownBytes = 32
const placesLog2 = 9

/** Stands in a decoded text where its bytes were no UTF-8, or for itself. */
const replacement = '\ufffd'

/**
 * Makes texts of their UTF-8 bytes. Keys, names and short texts come again and again: one found by its bytes is not
 * made again, and as the key of a property it is one the engine knows already.
 */
export class KnownTexts {
  readonly #texts: string[] = Array.from({ length: 1 << placesLog2 }, () => '')
  readonly #bytes: Buffer = Buffer.alloc(knownBytes << placesLog2)
  readonly #sizes: Uint8Array = new Uint8Array(1 << placesLog2)

  /** The text of the bytes from `from` to `to`, which lie within the frame; undefined where they are not UTF-8. */
  text(bytes: Buffer, from: number, to: number): string | undefined {
    const size = to - from
    if (size === 0) return ''
    if (size > knownBytes) return decoded(bytes, from, to)
    const place = placeOf(bytes, from, size)
    const known = this.#bytes
    const start = place * knownBytes
    if (this.#sizes[place] === size) {
      let same = 0
      while (same < size && known[start + same] === bytes[from + same]) same++
      if (same === size) return this.#texts[place]
    }
    let bits = 0
    for (let index = 0; index < size; index++) {
      const byte = bytes[from + index]!
      bits |= byte
      known[start + index] = byte
    }
    // Until the text is known to be one, nothing may be found there.
    this.#sizes[place] = 0
    const text = bits < 0x80 ? bytes.toString('latin1', from, to) : decoded(bytes, from, to)
    if (text === undefined) return undefined
    this.#texts[place] = text
    this.#sizes[place] = size
    return text
  }
}

function placeOf(bytes: Buffer, from: number, size: number): number {
  const mixed =
    size ^
    (bytes[from]! << 6) ^
    (bytes[from + size - 1]! << 12) ^
    (bytes[from + (size >> 1)]! << 18) ^
    (bytes[from + ((size * 3) >> 2)]! << 24)
  // Knuth's multiplicative hash: what tells texts apart is spread over the highest bits.
  return Math.imul(mixed, 0x9e3779b1) >>> (32 - placesLog2)
}

function decoded(bytes: Buffer, from: number, to: number): string | undefined {
  const text = bytes.toString('utf8', from, to)
  return text.includes(replacement) && !isText(bytes, from, to) ? undefined : text
}
