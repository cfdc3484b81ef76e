import { canBeShape, keyBytes, Sampling, shapeMark, withKeys } from './shape.ts'

/** Keys in the tree, all shapes together. At so many it begins anew. */
const maxNodes = 4096

/** The keys of records that were sent before, and their number in the message that is written. */
export interface SentShape {
  readonly keys: readonly string[]
  /** What the map begins with that brings the keys: all but its values. */
  readonly head: Uint8Array
  /** The message in which it has its number. */
  message: number
  number: number
}

/** A key after those on the way to it. */
class Node {
  readonly key: string
  /** Of the keys up to here. */
  shape: SentShape | undefined
  #then: Node | undefined
  #others: Map<string, Node> | undefined

  constructor(key: string) {
    this.key = key
  }

  after(key: string): Node | undefined {
    const then = this.#then
    return then !== undefined && then.key === key ? then : this.#others?.get(key)
  }

  add(key: string): Node {
    const node = new Node(key)
    if (this.#then === undefined) this.#then = node
    else (this.#others ??= new Map()).set(key, node)
    return node
  }
}

/** The shapes that a socket's writers know, as a tree of keys: one walk over a record's keys finds its shape. */
export class SentShapes {
  root: Node = new Node('')
  #nodes = 0
  readonly #misses = new Sampling()
  #messages = 0

  /** The number of a new message, unlike all before. */
  newMessage(): number {
    return ++this.#messages
  }

  /** Told of a record that has no shape. */
  missed(record: object): void {
    if (!this.#misses.isDue()) return
    const keys = Object.keys(record)
    if (!canBeShape(keys)) return
    if (this.#nodes >= maxNodes) {
      this.root = new Node('')
      this.#nodes = 0
    }
    let node = this.root
    for (const key of keys) {
      const next = node.after(key)
      if (next === undefined) this.#nodes++
      node = next ?? node.add(key)
    }
    node.shape ??= {
      keys,
      head: Buffer.concat([Buffer.from([shapeMark, withKeys | keys.length]), keyBytes(keys)]),
      message: 0,
      number: 0,
    }
  }
}
