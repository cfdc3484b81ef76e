import { randomBytes, randomInt } from 'node:crypto'
import type { EventId } from './event-shape.ts'

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

/**
 * Fresh ids, in the shape of zerorpc-python: a bin of 32 ASCII hex digits, 8 of a counter that starts anywhere and 24
 * that are random per source. They tell calls apart, they are no secrets.
 */
export class IdSource {
  // The token of the next id: bin 8, its length, its digits.
  readonly #token: Buffer = Buffer.alloc(34)
  #counter = 0

  constructor() {
    this.#token[0] = 0xc4
    this.#token[1] = 32
    this.#reseed()
  }

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
