import type { MonitorEvent } from './monitor.ts'

/** Why a connection to a server did not come about, in the words of the counters. */
export type StrangerReason =
  /** There was no file descriptor for it. libzmq tries again at once, and tells of each try. */
  | 'not accepted'
  /** It took longer than its handshake may. */
  | 'handshake timeout'
  /** The other side ended it half-way. */
  | 'unfinished handshake'
  | 'other mechanism'
  | 'wrong server key'
  /** It breaks ZMTP, or is something else. */
  | 'malformed handshake'

/** What is told of a handshake has been read so long after it was told, unless the event loop was held up. */
const readingMs = 500

/**
 * Follows the connections that come to a ROUTER, and tells of each that did not come about. Those that the list of keys
 * keeps out are told of by whoever has that list.
 */
export class Arrivals {
  readonly #handshakeTimeoutMs: number
  readonly #onStranger: (reason: StrangerReason) => void
  /** Handshakes, and how many of them are known to have succeeded or failed. */
  #begun = 0
  #ended = 0
  /** Failures that were told, whose disconnect is told next: by the same thread, and right after. */
  #failed = 0
  #timer: NodeJS.Timeout | undefined

  constructor(handshakeTimeoutMs: number, onStranger: (reason: StrangerReason) => void) {
    this.#handshakeTimeoutMs = handshakeTimeoutMs
    this.#onStranger = onStranger
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  onEvent(event: MonitorEvent): void {
    const { type } = event
    if (type === 'accept') this.#begun++
    else if (type === 'handshake') this.#end()
    else if (type === 'accept:error') this.#onStranger('not accepted')
    else if (type.startsWith('handshake:error:')) {
      this.#failed++
      this.#end()
      const reason = failureOf(event)
      if (reason !== undefined) this.#onStranger(reason)
    } else if (type === 'disconnect') {
      if (this.#failed > 0) this.#failed--
      else if (this.#begun > this.#ended) this.#lookLater()
    }
  }

  /** Those that came before anybody followed have not begun. */
  #end(): void {
    if (this.#ended < this.#begun) this.#ended++
  }

  /**
   * What breaks ZMTP before it has named a mechanism is cut without a word of why (seen with libzmq 4.3.5), and looks
   * like a connection that stood and has ended. It is told apart when every handshake of that time must have ended;
   * who speaks ZMTP 1.0, without any, is taken for one of them then.
   */
  #lookLater(): void {
    if (this.#timer === undefined) this.#look(this.#begun, this.#handshakeTimeoutMs + readingMs)
  }

  /** @param begun How many had begun when something ended that is not known to have stood. */
  #look(begun: number, inMs: number): void {
    const due = performance.now() + inMs
    this.#timer = setTimeout(() => {
      if (performance.now() - due > readingMs / 2) return this.#look(begun, readingMs)
      for (let cut = begun - this.#ended; cut > 0; cut--) {
        this.#ended++
        this.#onStranger('malformed handshake')
      }
      this.#timer = undefined
      if (this.#begun > this.#ended) this.#lookLater()
    }, inMs).unref()
  }
}

/** By the code of what libzmq's thread met last, which for a time that is over is nothing new to read. */
const nothingToRead = 'EAGAIN'

function failureOf({ type, error }: MonitorEvent): StrangerReason | undefined {
  if (type === 'handshake:error:auth') return undefined
  if (type === 'handshake:error:other') {
    return error?.code === nothingToRead ? 'handshake timeout' : 'unfinished handshake'
  }
  if (error?.code === 'ERR_ZMTP_MECHANISM_MISMATCH') return 'other mechanism'
  return error?.code === 'ERR_ZMTP_CRYPTOGRAPHIC' ? 'wrong server key' : 'malformed handshake'
}
