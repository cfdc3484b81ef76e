/**
 * Maps whose keys are not written out, between zask peers. In one message the keys of records of a kind are sent once:
 *
 *     c1 80|size key … value …    the keys and values of a map; the keys get the next number of the message, from 0
 *     c1 size number value …      the values of a map that has the keys of that number
 *
 * 0xc1 is the one byte that msgpack never uses. Nothing of it outlasts the message.
 */
export const shapeMark = 0xc1
/** Set in the size of a map that brings its keys. */
export const withKeys = 0x80
/** Maps of more keys are rather tables than records: their keys do not come again. */
export const maxShapeKeys = 32
/** So many numbers a message has; what comes after is written out. */
export const maxShapes = 128

/** A key that the wire has in a head of one byte and its letters, and that stands in an object where it was put. */
const plainKey = /^[!-/:-~][ -~]{0,30}$/

/** Whether records of these keys, in their order, can be a shape. `__proto__` is never a key. */
export function canBeShape(keys: readonly string[]): boolean {
  return (
    keys.length > 0 &&
    keys.length <= maxShapeKeys &&
    keys.every((key) => plainKey.test(key) && key !== '__proto__')
  )
}

/** The keys of a shape as they are written, one after another. */
export function keyBytes(keys: readonly string[]): Buffer {
  return Buffer.from(keys.map((key) => String.fromCharCode(0xa0 | key.length) + key).join(''), 'latin1')
}

/**
 * Says of one in about 16 that it is to be learned: more would cost those that never come again. It is not each 16th, for
 * what comes may have that rhythm itself, and always the same one would be looked at.
 */
export class Sampling {
  #left = 8
  #taken = 0

  isDue(): boolean {
    if (--this.#left > 0) return false
    this.#left = 8 + ((this.#taken++ * 5) & 15)
    return true
  }
}
