import { randomBytes, randomInt } from 'node:crypto'
import type { EventId } from './event-shape.ts'

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

/** Fresh ids. They tell calls apart, they are no secrets. */
export class IdSource {
  // The token of the next id: bin 8, its length, its digits.
  readonly #token: Buffer = Buffer.alloc(34)
  #counter = 0
  // Of the short ones: from a start of our own, so that those of two sources are rarely the same.
  #high = randomInt(2 ** 24)
  #low = 0

  constructor() {
    this.#token[0] = 0xc4
    this.#token[1] = 32
    this.#reseed()
  }

  /** For zask peers a bin of 7 bytes: it is made, written and looked for in a third of the time. */
  nextShort(): EventId {
    if (this.#low > 0xffffffff) {
      this.#high++
      this.#low = 0
    }
    const low = this.#low++
    const high = this.#high
    return String.fromCharCode(
      0xc4,
      7,
      (high >>> 16) & 0xff,
      (high >>> 8) & 0xff,
      high & 0xff,
      low >>> 24,
      (low >>> 16) & 0xff,
      (low >>> 8) & 0xff,
      low & 0xff,
    )
  }

  /**
   * In the shape of zerorpc-python: a bin of 32 ASCII hex digits, 8 of a counter that starts anywhere and 24 that are
   * random per source.
   */
  next(): EventId {
    if (this.#counter > 0xffffffff) this.#reseed()
    const count = this.#counter++
    // Of 256 ids in a row all but the last two digits of the counter are the same.
    if ((count & 0xff) === 0) this.#writeCounter(count)
    const low = hexOfByte[count & 0xff]!
    this.#token[8] = low.charCodeAt(0)
    this.#token[9] = low.charCodeAt(1)
    return this.#token.toString('latin1')
  }

  /** A counter that has run through all its values goes on under other random digits. */
  #reseed(): void {
    this.#counter = randomInt(0, 2 ** 32)
    this.#writeCounter(this.#counter)
    this.#token.write(randomBytes(12).toString('hex'), 10, 'latin1')
  }

  #writeCounter(count: number): void {
    this.#token.write(count.toString(16).padStart(8, '0'), 2, 'latin1')
  }
}
