import { randomInt } from 'node:crypto'
import type { EventId } from './event-shape.ts'

/** What is kept: it has the id that it is found by. */
interface Identified {
  readonly id: EventId
}

const leastPlaces = 16

/**
 * The open channels of a peer by their ids: a hash table that is never rebuilt while their number stays the same.
 *
 * A `Map` makes itself anew whenever as many entries were deleted as it has room for, and the old table keeps what it
 * held. Under load that is hundreds of times a second; old tables that have left the young generation hold the calls of
 * then, long answered, through one scavenge after another, and collecting took a quarter of the client's time.
 */
export class ChannelTable<C extends Identified> {
  // Peers choose their ids: from outside it cannot be known which of them fall on one place.
  readonly #seed = randomInt(2 ** 31)
  #places: (C | undefined)[] = []
  #hashes: Int32Array = new Int32Array(0)
  #mask = -1
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: EventId): C | undefined {
    return this.#size === 0 ? undefined : this.#places[this.#place(id, this.#hash(id))]
  }

  has(id: EventId): boolean {
    return this.get(id) !== undefined
  }

  /** In the place of what had its id. */
  add(channel: C): void {
    if (this.#size * 2 > this.#mask) this.#grow()
    this.#put(channel, this.#hash(channel.id))
  }

  /** Whether there was one of this id. */
  delete(id: EventId): boolean {
    if (this.#size === 0) return false
    let gap = this.#place(id, this.#hash(id))
    if (this.#places[gap] === undefined) return false
    const [places, hashes, mask] = [this.#places, this.#hashes, this.#mask]
    // What stands behind it moves up, unless that were before its own place: a search ends at the first gap.
    for (let at = (gap + 1) & mask; places[at] !== undefined; at = (at + 1) & mask) {
      const own = hashes[at]! & mask
      if (((at - own) & mask) < ((at - gap) & mask)) continue
      places[gap] = places[at]
      hashes[gap] = hashes[at]!
      gap = at
    }
    places[gap] = undefined
    this.#size--
    return true
  }

  /** As they are now, in no order: whoever goes through them may close them meanwhile. */
  values(): C[] {
    return this.#places.filter((channel) => channel !== undefined)
  }

  /** Where it stands, or the gap where it would. */
  #place(id: EventId, hash: number): number {
    const [places, hashes, mask] = [this.#places, this.#hashes, this.#mask]
    let at = hash & mask
    for (let channel = places[at]; channel !== undefined; channel = places[at]) {
      if (hashes[at] === hash && channel.id === id) break
      at = (at + 1) & mask
    }
    return at
  }

  #put(channel: C, hash: number): void {
    const place = this.#place(channel.id, hash)
    if (this.#places[place] === undefined) this.#size++
    this.#places[place] = channel
    this.#hashes[place] = hash
  }

  #grow(): void {
    const [places, hashes] = [this.#places, this.#hashes]
    const count = Math.max(leastPlaces, places.length * 2)
    this.#places = Array.from({ length: count })
    this.#hashes = new Int32Array(count)
    this.#mask = count - 1
    this.#size = 0
    for (const [at, channel] of places.entries()) if (channel !== undefined) this.#put(channel, hashes[at]!)
    // What is left behind must hold nothing: it may be old, and would keep alive what is young.
    places.fill(undefined)
  }

  /** Units are bytes: four at once, as in MurmurHash, from a start of our own. */
  #hash(id: EventId): number {
    const whole = id.length & ~3
    let hash = this.#seed ^ id.length
    let at = 0
    for (; at < whole; at += 4) {
      const word =
        id.charCodeAt(at) |
        (id.charCodeAt(at + 1) << 8) |
        (id.charCodeAt(at + 2) << 16) |
        (id.charCodeAt(at + 3) << 24)
      hash = mixed(hash, word)
    }
    for (; at < id.length; at++) hash = mixed(hash, id.charCodeAt(at))
    return hash
  }
}

/** A product moves bits up only, and the places are numbered by the low ones. */
function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x5bd1e995)
  return product ^ (product >>> 15)
}
