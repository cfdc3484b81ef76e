import { ZaskError } from '../errors.ts'
import type { Event, EventId } from './event.ts'
import { TimerEntry } from './timer-wheel.ts'
import type { Peer } from './peer.ts'

/** Says that its sender is there. */
export const beatEvent = '_zpc_hb'
/** Grants the other end so many more events. */
const creditEvent = '_zpc_more'
/** Gives a call up, from either end; only zask knows it. */
export const cancelEvent = '_zask_cancel'

/** The events that are answered by the channel itself; they need no credit and use none. */
export const controlEvents: ReadonlySet<string> = new Set([beatEvent, creditEvent, cancelEvent])

export interface ChannelListener {
  /** Each event but the control events, in the order they came. */
  onEvent(event: Event): void
  /** The conversation is over for a reason of the peer or the wire. The channel is closed already. */
  onLost(error: ZaskError): void
  /** The peer that made the call has given it up. Only zask peers say so. Where this is missing, they cannot. */
  onCancel?(): void
  /** The peer that serves the call has given it up, and says why as in an ERR. As above. */
  onGivenUp?(event: Event): void
}

export interface ChannelOptions {
  /** Milliseconds between beats; null: none are sent, none are missed. */
  heartbeatMs: number | null
  /** Whether plain peers are beaten and judged from the start, as zask peers are. */
  activeHeartbeat: boolean
  /** How many unread events this side takes; the credit it grants is counted from it. */
  window: number
}

/** Credit a peer may pile up, and take in one event. More is an attack or a peer gone wrong. */
const maxCredit = 10_000
/** A flood of beats is answered at most so often. */
const minBeatAnswerMs = 50
/** Credit given to a plain peer in all, as long as its streams are fewer than a quarter of this. */
const plainCredit = 800
/**
 * Who was found silent is looked at once more after so long, at most: while the event loop was held up the beats
 * may have come and lie unread in the socket.
 */
const secondLookMs = 100
/** A time that has not come. Not 0: the engine would lay a field out for integers, and anew for the first time. */
const never = -Infinity
/** How often a plain peer that grants no credit is asked whether it is there, where heartbeats are off. */
const probeMs = 5_000

/**
 * One conversation: heartbeat, credit, close, lost remote.
 *
 * Credit counts events, one per direction to begin with (zerorpc-python channel.py:173). Sender and receiver keep
 * zerorpc-python's books: credit is added, and granted again as events are read, when less than half the window
 * is left (channel.py:239-260). A Python receiver dies of one event too many, so credit is never exceeded.
 */
export class Channel extends TimerEntry {
  readonly id: EventId
  readonly peer: Peer
  listener: ChannelListener | undefined
  closed = false
  /** Position of the opening event among all that went to this peer: tells whether it was ever sent. */
  openedAt = 0
  /** When it was opened, on the clock of `performance.now()`. */
  openedMs: number = never

  readonly #options: ChannelOptions
  // credit for what we send
  #credit = 1
  #waiter: { resolve: () => void; reject: (error: ZaskError) => void } | undefined
  // books of what we receive
  #reserved = 1
  #unread = 0
  #receives = 0
  // heartbeat
  #heardMs = never
  #beatenMs = never
  #answeredMs = never
  #peerIntervalMs = never
  #suspected = false

  constructor(peer: Peer, id: EventId, options: ChannelOptions) {
    super()
    this.peer = peer
    this.id = id
    this.#options = options
  }

  /** Events that may be sent now without waiting. */
  get credit(): number {
    return this.#credit
  }

  /** @internal The multiplexer has put the channel into its table. */
  opened(now: number): void {
    const { heartbeatMs } = this.#options
    this.openedMs = now
    if (heartbeatMs !== null) this.peer.wheel.schedule(this, heartbeatMs, now)
  }

  /**
   * Sends one event, taking one credit. The caller has made sure of credit by `ready()`, except for the first
   * event of each direction, which always has it.
   * Throws what cannot be encoded; nothing is sent then. Throws also where this event was the one too many that
   * waited for a slow peer: the channel is lost then.
   */
  emit(name: string, args: unknown, extra?: Readonly<Record<string, unknown>>): void {
    if (this.closed) throw closedError()
    this.peer.emit(this.id, name, args, extra)
    this.#credit--
    if (this.closed) throw closedError()
  }

  /** Waits for credit; nothing to wait for: undefined. Rejects when the channel closes meanwhile. */
  ready(): Promise<void> | undefined {
    if (this.#credit > 0 && !this.closed) return undefined
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(closedError())
      this.#waiter = { resolve, reject }
      if (this.#options.heartbeatMs === null) this.peer.wheel.schedule(this, probeMs)
    })
  }

  /** The reader is about to take an event: gives credit back in zerorpc-python's rhythm. */
  beforeRead(): void {
    const { isZask, channels } = this.peer
    // All streams of a plain connection together must stay below what its ROUTER holds before it drops (HWM 1000).
    const share = isZask ? Infinity : Math.max(4, Math.floor(plainCredit / channels.size))
    const window = Math.min(this.#options.window, share)
    if (this.#receives++ > 0 && this.#reserved < Math.floor(window / 2) && !this.closed) {
      const grant = window - this.#reserved
      this.#reserved += grant
      this.peer.emit(this.id, creditEvent, [grant])
    }
  }

  /** The reader has taken an event. */
  read(): void {
    this.#reserved--
    this.#unread--
  }

  /** @internal An event was routed here. */
  receive(event: Event): void {
    const { name } = event
    // Any sign of life counts, not beats alone. The answer of a plain call ends it: no need to note the time.
    if (name.charCodeAt(0) === 95 || this.#receives > 0) this.#heardMs = this.peer.receivedAt
    if (name.charCodeAt(0) === 95 && controlEvents.has(name)) {
      this.#control(event)
      return
    }
    // zerorpc never exceeds what was granted; a peer that does would fill the memory.
    if (++this.#unread > this.#options.window) {
      this.peer.counters.met.window++
      this.lose(
        new ZaskError(
          'ZASK_WIRE_CREDIT',
          `The peer sent more than the ${this.#options.window} events granted.`,
        ),
      )
      return
    }
    this.listener?.onEvent(event)
  }

  /** Ends the conversation on this side; nothing is said to the peer, as zerorpc has no event for it. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.peer.wheel.cancel(this)
    this.peer.forget(this)
    this.#waiter?.reject(closedError())
    this.#waiter = undefined
  }

  /**
   * Gives the conversation up: a zask peer is told at once, and why, a plain one notices that the beats have stopped.
   * Throws what cannot be encoded.
   */
  cancel(why: readonly string[] | null = null, extra?: Readonly<Record<string, unknown>>): void {
    if (this.closed) return
    if (this.peer.isZask) this.peer.emit(this.id, cancelEvent, why, extra)
    this.close()
  }

  /** @internal The conversation broke. */
  lose(error: ZaskError): void {
    if (this.closed) return
    const { listener } = this
    this.close()
    listener?.onLost(error)
  }

  /** The tick of the heartbeat (zerorpc-python heartbeat.py:73-102): judge, then beat. */
  override onTimer(): void {
    if (this.closed) return
    const { heartbeatMs, activeHeartbeat } = this.#options
    if (heartbeatMs === null) return this.#probe(probeMs)
    const now = performance.now()
    const { isZask, beatMs } = this.peer
    const active = (isZask || activeHeartbeat) && beatMs !== null
    // Grace begins at the first tick, for a peer that has said nothing yet.
    if (active && this.#heardMs === never) this.#heardMs = now
    const judged = active || this.#beatenMs > 0
    // Whoever beats slower than we do is measured by its own pace.
    const patienceMs = 2 * Math.max(heartbeatMs, active && isZask ? (beatMs ?? 0) : this.#peerIntervalMs)
    const silent = judged && now > this.#heardMs + patienceMs
    if (silent && this.#suspected) {
      this.peer.counters.missedBeats++
      this.lose(
        new ZaskError('ZASK_PEER_LOST', `Lost remote after ${patienceMs / 1000}s heartbeat`, {
          sent: true,
          retryable: false,
          details: { silentMs: Math.round(now - this.#heardMs) },
        }),
      )
      return
    }
    this.#suspected = silent
    const nextMs = silent ? Math.min(secondLookMs, heartbeatMs / 2) : heartbeatMs
    if (!active) return this.#probe(nextMs)
    // Beaten also where the peer is suspected: if the machine stood still, it may be about to judge us.
    this.peer.emit(this.id, beatEvent, [0])
    this.peer.wheel.schedule(this, nextMs)
  }

  /**
   * A plain peer that never beats and grants nothing may be gone without a trace, and a stream would wait for it for
   * ever. A beat finds out: every peer takes it, and libzmq knows when there is nobody to take it.
   */
  #probe(intervalMs: number): void {
    if (this.#waiter !== undefined) this.peer.emit(this.id, beatEvent, [0])
    if (this.#waiter !== undefined || this.#options.heartbeatMs !== null)
      this.peer.wheel.schedule(this, intervalMs)
  }

  #control(event: Event): void {
    if (event.name === beatEvent) this.#onBeat()
    else if (event.name === creditEvent) this.#onCredit(event.args)
    else if (this.peer.isZask) this.#onPeerCancels(event)
  }

  /** Who made a call cancels it without a word, who serves it with a reason: each means nothing from the other side. */
  #onPeerCancels(event: Event): void {
    const { listener } = this
    const isServing = Array.isArray(event.args)
    if (listener === undefined || listener[isServing ? 'onGivenUp' : 'onCancel'] === undefined) return
    this.close()
    if (isServing) listener.onGivenUp?.(event)
    else listener.onCancel?.()
  }

  /** Towards a peer not known to be zask we are passive: each beat is answered, and only who beats is judged. */
  #onBeat(): void {
    if (this.#options.heartbeatMs === null) return
    const now = performance.now()
    // The longest so far: beats that were read late all at once say nothing about the pace.
    const sinceLastMs = now - (this.#beatenMs > 0 ? this.#beatenMs : this.openedMs)
    this.#peerIntervalMs = Math.max(this.#peerIntervalMs, sinceLastMs)
    this.#beatenMs = now
    if (!this.peer.isZask && now - this.#answeredMs >= minBeatAnswerMs) {
      this.#answeredMs = now
      this.peer.emit(this.id, beatEvent, [0])
    }
  }

  #onCredit(args: unknown): void {
    const given: unknown = Array.isArray(args) ? args[0] : undefined
    // zerorpc-python's sum for a zerorpc-node client runs far above what was meant, so the sum is cut, not refused.
    if (typeof given !== 'number' || !Number.isInteger(given) || given < 1 || given > maxCredit) {
      this.peer.counters.met.credit++
      this.lose(
        new ZaskError('ZASK_WIRE_CREDIT', `The peer granted a credit that is no number of 1..${maxCredit}.`),
      )
      return
    }
    this.#credit = Math.min(this.#credit + given, maxCredit)
    if (this.#credit > 0) {
      this.#waiter?.resolve()
      this.#waiter = undefined
    }
  }
}

function closedError(): ZaskError {
  return new ZaskError('ZASK_CALL_CANCELLED', 'The conversation is closed.')
}
