import { type MonitorEvent, type RefusalReason, refusalOf } from './monitor.ts'

/** What is needed of a DEALER. */
export interface Dialler {
  connect(endpoint: string): void
  disconnect(endpoint: string): void
}

export interface DialListener {
  onUp?(address: string): void
  onDown?(address: string): void
  onRefused?(reason: RefusalReason): void
}

/** How long libzmq is given to begin with connecting again before it is told to. */
const revivalMs = 500
/** A server that refuses us is asked again after pauses that double up to this. */
const maxRestMs = 5000
/** One handshake that is cut may be a server that ends at that moment; so many in a row are a refusal. */
const cutsOfRefusal = 2

/** Follows the connections of a DEALER, and keeps them coming where libzmq gives up. */
export class Dial {
  readonly #dialler: Dialler
  readonly #listener: DialListener
  readonly #encrypts: boolean
  #endpoint: string | undefined
  #revival: NodeJS.Timeout | undefined
  #standing = 0
  /** Connections without a handshake that are about to be told of as gone. */
  #strangers = 0
  /** Handshakes cut, and refusals, since one succeeded. */
  #cuts = 0
  #refusals = 0
  #resting = false
  #closed = false

  /** @param encrypts Where we do not, a handshake that is cut says nothing: whoever looks for the right port does it. */
  constructor(dialler: Dialler, listener: DialListener, encrypts: boolean) {
    this.#dialler = dialler
    this.#listener = listener
    this.#encrypts = encrypts
  }

  connect(endpoint: string): void {
    this.#dialler.connect(endpoint)
    this.#endpoint = endpoint
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#revival)
  }

  onEvent(event: MonitorEvent): void {
    const { type, address = '' } = event
    if (type === 'handshake') {
      this.#standing++
      this.#cuts = this.#refusals = 0
      this.#listener.onUp?.(address)
    } else if (type.startsWith('handshake:error:')) {
      // libzmq tells of a disconnect also where there was no handshake: a port scanner that touches a bound client
      // must not end its calls. The failed handshake is told right before, by the same thread.
      this.#strangers++
      this.#weigh(event)
    } else if (type === 'disconnect') {
      if (!this.#resting) this.#reviveAfter(revivalMs)
      if (this.#strangers > 0) this.#strangers--
      else if (this.#standing > 0) {
        this.#standing--
        this.#listener.onDown?.(address)
      }
    } else if (type === 'connect:retry' || type === 'connect:delay') {
      if (!this.#resting) clearTimeout(this.#revival)
    }
  }

  /** Whether a failed handshake means that the server will not have us. */
  #weigh(event: MonitorEvent): void {
    const reason = refusalOf(event)
    // Where we are bound, others failed to come in.
    if (reason === undefined || this.#endpoint === undefined || this.#closed) return
    if (reason === 'cut' && (!this.#encrypts || ++this.#cuts < cutsOfRefusal)) return
    this.#rest(this.#endpoint)
    this.#listener.onRefused?.(reason)
  }

  /** A refused handshake costs the server more than us: libzmq would ask ten times a second, or never again. */
  #rest(endpoint: string): void {
    this.#resting = true
    this.#disconnect(endpoint)
    this.#reviveAfter(Math.min(revivalMs * 2 ** this.#refusals++, maxRestMs))
  }

  /**
   * After a breach of ZMTP, such as a frame larger than allowed or a port where something else answers, libzmq
   * never connects again (session_base.cpp, engine_error), and the endpoint would be dead until the process ends.
   */
  #reviveAfter(delayMs: number): void {
    const endpoint = this.#endpoint
    clearTimeout(this.#revival)
    if (endpoint === undefined || this.#closed) return
    this.#revival = setTimeout(() => {
      this.#resting = false
      this.#disconnect(endpoint)
      this.#dialler.connect(endpoint)
    }, delayMs)
  }

  #disconnect(endpoint: string): void {
    try {
      this.#dialler.disconnect(endpoint)
    } catch {
      // It knows of no connection to end.
    }
  }
}
