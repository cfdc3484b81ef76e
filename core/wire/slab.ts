const smallest = 8 * 1024
const largest = 128 * 1024
const none: Buffer = Buffer.alloc(0)

/**
 * Memory that is written once. It is handed out from the front of a slab to its end and never again: what was taken
 * may be in the hands of a socket that does not copy, for as long as the peer is slow.
 */
export class Slab {
  bytes: Buffer = none
  /** Where what counts ends. Beyond it is a draft, which `commit` makes count and `discard` forgets. */
  end = 0
  /** Where to write next, within what room was made for. */
  at = 0

  #start = 0
  /** Bytes taken at once: the most of late, as far as a slab is made for them. */
  #usual = 0

  /** Bytes that count and were not taken. */
  get byteLength(): number {
    return this.end - this.#start
  }

  /** Makes room for so many bytes at `at`, which may move with all that is not taken. */
  reserve(room: number): void {
    if (this.bytes.length - this.at < room) this.#grow(room)
  }

  commit(): void {
    this.end = this.at
  }

  discard(): void {
    this.at = this.end
    // An event refused for its size must not leave its size behind.
    if (this.bytes.length > largest && this.byteLength === 0) this.#clear()
  }

  /** What counts and was not taken yet. */
  take(): Buffer {
    const taken = this.bytes.subarray(this.#start, this.end)
    this.#start = this.end
    // What is begun where it has no room is copied when that shows; and a slab of which much stays unused counts in
    // full as memory in use until the collector has found it.
    this.#usual = Math.min(largest, Math.max(taken.length, this.#usual * 0.9))
    const rest = this.bytes.length - this.end
    if (this.bytes.length > largest || rest < Math.max(256, this.#usual)) this.#clear()
    return taken
  }

  #grow(room: number): void {
    const used = this.at - this.#start
    const size = Math.min(largest, Math.max(smallest, Math.ceil(this.#usual * 1.125)))
    const bytes = Buffer.allocUnsafeSlow(Math.max(size, used + Math.max(room, used)))
    this.bytes.copy(bytes, 0, this.#start, this.at)
    this.bytes = bytes
    this.end -= this.#start
    this.at = used
    this.#start = 0
  }

  #clear(): void {
    this.bytes = none
    this.#start = 0
    this.end = 0
    this.at = 0
  }
}
