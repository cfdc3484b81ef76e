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
    const place = this.#find(id, this.#hash(id))
    return place < 0 ? undefined : this.#places[place]
  }

  has(id: EventId): boolean {
    return this.get(id) !== undefined
  }

  /** In the place of what had its id. */
  add(channel: C): void {
    if (this.#size * 2 > this.#mask) this.#grow()
    const hash = this.#hash(channel.id)
    const place = this.#find(channel.id, hash)
    if (place >= 0) this.#places[place] = channel
    else this.#put(channel, hash)
  }

  /** Whether there was one of this id. */
  delete(id: EventId): boolean {
    let gap = this.#find(id, this.#hash(id))
    if (gap < 0) return false
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

  /** Where it stands, or -1. */
  #find(id: EventId, hash: number): number {
    if (this.#size === 0) return -1
    const [places, hashes, mask] = [this.#places, this.#hashes, this.#mask]
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const channel = places[at]
      if (channel === undefined) return -1
      if (hashes[at] === hash && channel.id === id) return at
    }
  }

  #put(channel: C, hash: number): void {
    let at = hash & this.#mask
    while (this.#places[at] !== undefined) at = (at + 1) & this.#mask
    this.#places[at] = channel
    this.#hashes[at] = hash
    this.#size++
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

  /** FNV-1a over the UTF-16 units, from a start of our own. */
  #hash(id: EventId): number {
    let hash = this.#seed
    for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193)
    // The places are numbered by the low bits, which the last units have hardly reached yet.
    return hash ^ (hash >>> 15)
  }
}
