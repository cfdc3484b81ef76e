import { ZaskError } from '../errors.ts'
import type { Channel } from './channel.ts'
import { ChannelTable } from './channel-table.ts'
import type { WireCounters } from './counters.ts'
import type { EventId, EventWriter, IdSource } from './event.ts'
import type { SendResult } from './socket.ts'
import type { TimerWheel } from './timer-wheel.ts'
import { withoutEvent } from './withdrawal.ts'

/** What a peer needs of the socket it is reached by. */
export interface PeerHost {
  readonly wheel: TimerWheel
  readonly ids: IdSource
  readonly counters: WireCounters
  /** Header keys that show what we are. */
  readonly announcement: Readonly<Record<string, unknown>>
  /** Whether zask peers get several events in one message. */
  readonly coalesce: boolean
  /** Bytes that may wait for one peer before it is given up. */
  readonly maxPendingBytes: number
  /** When the message was read whose events are given out, on the clock of `performance.now()`. */
  readonly receivedAt: number
  takeWriter(): EventWriter
  giveBackWriter(writer: EventWriter): void
  onChannelClosed(): void
  /** Calls `peer.flush()` at the end of this turn of the event loop. */
  flushLater(peer: Peer): void
  send(frames: (Buffer | string)[]): Promise<SendResult>
  /** The peer cannot be reached any more, or is too slow to be kept. */
  onPeerGone(peer: Peer, error: ZaskError): void
}

/** A message is sent at the latest when it holds so much; it holds at most this and one event more. */
export const flushBytes: number = 64 * 1024
/** The header key by which a peer shows that it reads several events from one message. */
export const announcementKey = 'zask'
/** The header key that comes with it: milliseconds between the peer's beats, nil where it sends none. */
export const beatKey = 'heartbeat_ms'

/**
 * One peer of a socket, and the way out to it: a queue of its own, so that a slow one holds up nobody else.
 *
 * Between zask peers the events of one turn of the event loop travel in one message: a ZeroMQ message costs
 * ten times what an event costs. A plain peer ignores all but the first event of a message, so it gets them singly.
 */
export class Peer {
  readonly key: string
  readonly channels: ChannelTable<Channel> = new ChannelTable()
  /** The peer has shown that it is zask, on this connection. */
  isZask = false
  /** Of a zask peer: milliseconds between its beats, null where it sends none, undefined where it did not say. */
  beatMs: number | null | undefined = undefined
  /** Nothing is left to show: we have shown the peer what we are, on this connection, or must not. */
  announced: boolean
  /** Events given to the outbox, and events libzmq has taken, since the connection began. */
  emitted = 0
  sent = 0
  /** When libzmq has taken a message for it last, on the clock of `performance.now()`. */
  sentAt: number = -Infinity

  readonly #host: PeerHost
  readonly #envelope: readonly Buffer[]
  readonly #announces: boolean
  #writer: EventWriter | undefined
  #queue: Waiting[] = []
  #pendingBytes = 0
  #pumping = false
  /** libzmq has the first message of the queue in its hands: it may be gone. */
  #handing = false
  /** libzmq had no room for the first message of the queue. */
  #blocked = false
  /** Counts connections: what was queued for an earlier one must not be sent on the next. */
  #epoch = 0

  constructor(host: PeerHost, key: string, envelope: readonly Buffer[], announces: boolean) {
    this.#host = host
    this.key = key
    this.#envelope = envelope
    this.#announces = announces
    this.announced = !announces
  }

  /** Between us and the peer stands something that forwards messages: who answers next may be somebody else. */
  get viaProxy(): boolean {
    return this.#envelope.length > 1
  }

  get wheel(): TimerWheel {
    return this.#host.wheel
  }

  get receivedAt(): number {
    return this.#host.receivedAt
  }

  get counters(): WireCounters {
    return this.#host.counters
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Sends an event of an open channel. Throws `ZASK_WIRE_NOT_ENCODABLE` and `ZASK_WIRE_TOO_LARGE`. */
  emit(responseTo: EventId, name: string, args: unknown, extra?: Readonly<Record<string, unknown>>): void {
    this.#write(this.isZask ? undefined : this.#host.ids.next(), responseTo, name, args, extra)
  }

  /** For the event that opens a channel. */
  newId(): EventId {
    return this.isZask ? this.#host.ids.nextShort() : this.#host.ids.next()
  }

  /** Sends the event that opens a channel; its id becomes the channel's. */
  emitOpening(id: EventId, name: string, args: unknown, extra?: Readonly<Record<string, unknown>>): void {
    this.#write(id, undefined, name, args, extra)
  }

  /** Sends an event that belongs to no channel, and is answered by one of the same name. */
  ask(name: string): void {
    this.#write(this.newId(), undefined, name, null, undefined)
  }

  forget(channel: Channel): void {
    if (this.channels.delete(channel.id)) this.#host.onChannelClosed()
  }

  /** The connection is a new one: nothing is known of who answers there, and nothing old may be sent to it. */
  reset(): void {
    this.#epoch++
    this.isZask = false
    this.beatMs = undefined
    this.announced = !this.#announces
    this.emitted = this.sent = 0
    this.#queue = []
    this.#pendingBytes = 0
    this.#blocked = false
    if (this.#writer !== undefined) {
      this.#writer.take()
      this.#host.giveBackWriter(this.#writer)
      this.#writer = undefined
    }
  }

  /** Hands over what the turn of the event loop has collected. */
  flush(): void {
    const writer = this.#writer
    if (writer === undefined) return
    // While libzmq has no room, more company costs nothing: few large messages get through sooner than many small.
    if (this.#blocked && writer.byteLength < flushBytes) return
    this.#writer = undefined
    const events = writer.count
    this.#push(writer.take(), events)
    this.#host.giveBackWriter(writer)
  }

  /**
   * Takes back an event that waits here still, by its number among all that were emitted; false where it may have
   * been sent. Nobody wants to wait for the answer any more, and what is sent would run nevertheless.
   */
  withdraw(position: number): boolean {
    if (position <= this.sent) return false
    // It may be the one that was to show what we are.
    if (this.#announces && !this.isZask) this.announced = false
    const writer = this.#writer
    if (writer !== undefined && position > this.emitted - writer.count) {
      this.#writer = undefined
      const events = writer.count
      const last: Waiting = { payload: writer.take(), events, gone: [] }
      this.#host.giveBackWriter(writer)
      takeOut(last, position - (this.emitted - events))
      this.#pushWaiting(last)
      return true
    }
    let before = this.sent
    for (const [index, waiting] of this.#queue.entries()) {
      if (position <= before + waiting.events) {
        if (index === 0 && this.#handing) return false
        const bytes = waiting.payload.byteLength
        takeOut(waiting, position - before)
        this.#pendingBytes += waiting.payload.byteLength - bytes
        return true
      }
      before += waiting.events
    }
    return false
  }

  #write(
    id: EventId | undefined,
    responseTo: EventId | undefined,
    name: string,
    args: unknown,
    extra: Readonly<Record<string, unknown>> | undefined,
  ): void {
    const announcing = !this.announced
    if (announcing) extra = { ...extra, ...this.#host.announcement }
    const collected = this.#writer
    const writer = collected ?? this.#host.takeWriter()
    try {
      writer.write({ id, responseTo, extra }, name, args, this.isZask)
    } catch (error) {
      if (collected === undefined) this.#host.giveBackWriter(writer)
      this.#host.counters.unsendable(error)
      throw error
    }
    if (announcing) this.announced = true
    this.#host.counters.watcher?.({ direction: 'out', peer: this.key, name })
    this.emitted++
    if (!this.isZask || !this.#host.coalesce) {
      this.#writer = undefined
      this.#push(writer.take(), 1)
      this.#host.giveBackWriter(writer)
    } else if (collected === undefined) {
      this.#writer = writer
      this.#host.flushLater(this)
    } else if (writer.byteLength >= flushBytes || writer.count >= this.#batch()) this.flush()
  }

  /**
   * All calls in one message would have peer and us take turns, one idle while the other works; in about four parts
   * both work at once. Smaller parts than this cost more than they gain.
   */
  #batch(): number {
    return Math.max(32, this.channels.size / 4)
  }

  #push(payload: Buffer, events: number): void {
    this.#pushWaiting({ payload, events, gone: [] })
  }

  #pushWaiting(waiting: Waiting): void {
    const { payload } = waiting
    this.#pendingBytes += payload.byteLength
    if (this.#pendingBytes > this.#host.maxPendingBytes && this.#queue.length > 0) {
      const seen = this.#pendingBytes
      this.#host.counters.met.maxPendingBytes++
      this.reset()
      this.#host.onPeerGone(
        this,
        new ZaskError('ZASK_PEER_LOST', `The peer reads too slowly: ${seen} bytes were waiting for it.`, {
          sent: true,
          details: { pendingBytes: seen },
        }),
      )
      return
    }
    this.#queue.push(waiting)
    if (!this.#pumping) void this.#pump()
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    let since = 0
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const epoch = this.#epoch
      let result: SendResult = 'sent'
      if (first.payload.byteLength > 0) {
        this.#handing = true
        result = await this.#host.send([...this.#envelope, '', first.payload])
        this.#handing = false
      }
      if (epoch !== this.#epoch) continue
      if (result === 'sent') {
        this.#queue.shift()
        this.#pendingBytes -= first.payload.byteLength
        this.sent += first.events
        this.sentAt = performance.now()
        this.#host.counters.messagesOut++
        if (this.#blocked && this.#queue.length === 0) {
          this.#blocked = false
          this.flush()
        }
      } else if (result === 'full') {
        if (!this.#blocked) since = performance.now()
        this.#blocked = true
        await retryAfter(performance.now() - since)
      } else {
        this.reset()
        this.#host.onPeerGone(this, new ZaskError('ZASK_PEER_LOST', 'The peer is gone.', { sent: true }))
      }
    }
    this.#pumping = false
  }
}

/** A message that waits for libzmq: how many events it was made of, and which of them are gone from it again. */
interface Waiting {
  payload: Buffer
  events: number
  readonly gone: number[]
}

/** @param place Which of its events, from 1. */
function takeOut(waiting: Waiting, place: number): void {
  const gone = waiting.gone.filter((one) => one < place).length
  const before = waiting.payload.length
  waiting.payload = withoutEvent(waiting.payload, place - 1 - gone)
  if (waiting.payload.length < before) waiting.gone.push(place)
}

/**
 * libzmq says nothing when there is room again. A peer that reads makes room within a turn or two of the event loop;
 * one that has not for a while is asked less and less often.
 */
function retryAfter(blockedMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (blockedMs < 2) setImmediate(resolve)
    else setTimeout(resolve, Math.min(blockedMs / 2, 20))
  })
}
