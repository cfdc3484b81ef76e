const smallest = 8 * 1024
const largest = 128 * 1024
const none: Buffer = Buffer.alloc(0)

/**
 * Memory that is written once. It is handed out from the front of a slab to its end and never again: what was taken
 * may be in the hands of a socket that does not copy, for as long as the peer is slow.
 */
export class Slab {
  /** Where to write, from `end` on, what room was made for. */
  bytes: Buffer = none
  end = 0

  #start = 0
  #size = smallest

  /** Bytes written and not taken. */
  get byteLength(): number {
    return this.end - this.#start
  }

  /** Makes room for so many bytes at `end`; what is written and not taken moves along. */
  reserve(room: number): void {
    if (this.bytes.length - this.end >= room) return
    const pending = this.byteLength
    const bytes = Buffer.allocUnsafeSlow(Math.max(this.#size, pending + Math.max(room, pending)))
    this.bytes.copy(bytes, 0, this.#start, this.end)
    this.bytes = bytes
    this.#start = 0
    this.end = pending
  }

  /** What was written since the last call. */
  take(): Buffer {
    const taken = this.bytes.subarray(this.#start, this.end)
    this.#start = this.end
    // The next slab should hold a few of what is usual here; an idle writer should not hold the rest of a large one.
    this.#size = Math.min(largest, Math.max(smallest, taken.length * 2))
    if (this.bytes.length > largest || this.bytes.length - this.end < 256) this.clear()
    return taken
  }

  /** Lets go of the slab, and of what was not taken. */
  clear(): void {
    this.bytes = none
    this.#start = 0
    this.end = 0
  }
}
