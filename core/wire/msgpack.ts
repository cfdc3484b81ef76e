import {
  Decoder,
  decodeTimestampExtension,
  Encoder,
  encodeTimestampExtension,
  ExtensionCodec,
} from '@msgpack/msgpack'
import { keyOf, narrow } from './received.ts'

/** What an encoder or decoder may keep allocated between values. */
const keepBytes = 1024 * 1024

const nil: Buffer = Buffer.from([0xc0])

// The timestamp of the library, but for dates JavaScript does not have: it makes them an Invalid Date.
const extensions = new ExtensionCodec()
extensions.register({
  type: -1,
  encode: encodeTimestampExtension,
  decode(data) {
    const date = decodeTimestampExtension(data)
    if (Number.isNaN(date.getTime())) throw new RangeError('a timestamp is outside the range of Date')
    return date
  },
})

/** Decodes any value of msgpack; only what a `Scanner` went over may be given to it. */
export class AnyDecoder {
  readonly #decoder = new Decoder({ extensionCodec: extensions, mapKeyConverter: keyOf })
  #bigDecoder: Decoder | undefined

  /**
   * @param hasUnsafeIntegers whether it holds integers that are to become a BigInt.
   * @throws what keeps the value from being had in JavaScript.
   */
  decode(bytes: Uint8Array, hasUnsafeIntegers: boolean): unknown {
    if (hasUnsafeIntegers) {
      this.#bigDecoder ??= new Decoder({
        extensionCodec: extensions,
        mapKeyConverter: keyOf,
        useBigInt64: true,
      })
    }
    const decoder = hasUnsafeIntegers ? this.#bigDecoder! : this.#decoder
    try {
      const value = decoder.decode(bytes)
      return hasUnsafeIntegers ? narrow(value) : value
    } finally {
      // The decoder keeps what it was given last.
      if (bytes.length > keepBytes) decoder.decode(nil)
    }
  }
}

/** Encodes whatever a `Sendable` has prepared. */
export class AnyEncoder {
  readonly #maxDepth: number
  #encoder: Encoder
  #bigEncoder: Encoder | undefined

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth
    this.#encoder = this.#newEncoder(false)
  }

  /** The value's bytes, in memory that the next call writes over. Throws what a getter of the value throws. */
  encode(value: unknown, hasBigInts: boolean): Uint8Array {
    if (hasBigInts) this.#bigEncoder ??= this.#newEncoder(true)
    const bytes = (hasBigInts ? this.#bigEncoder! : this.#encoder).encodeSharedRef(value)
    if (bytes.buffer.byteLength > keepBytes) {
      if (hasBigInts) this.#bigEncoder = undefined
      else this.#encoder = this.#newEncoder(false)
    }
    return bytes
  }

  #newEncoder(useBigInt64: boolean): Encoder {
    // It counts a scalar as a level; what is too deep was refused before it is asked.
    return new Encoder({ extensionCodec: extensions, useBigInt64, maxDepth: this.#maxDepth + 1 })
  }
}
