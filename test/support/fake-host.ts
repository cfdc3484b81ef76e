import type { ZaskError } from '../../core/errors.ts'
import { WireCounters } from '../../core/wire/counters.ts'
import { type Event, EventWriter, IdSource } from '../../core/wire/event.ts'
import { Peer, type PeerHost } from '../../core/wire/peer.ts'
import { SentShapes } from '../../core/wire/sent-shapes.ts'
import type { SendResult } from '../../core/wire/socket.ts'
import { TimerWheel } from '../../core/wire/timer-wheel.ts'
import { type RawEvent, unpack } from './raw-peer.ts'

/** In place of a socket and its multiplexer: keeps the messages it is to send. */
export class FakeHost implements PeerHost {
  readonly wheel: TimerWheel = new TimerWheel()
  readonly ids: IdSource = new IdSource()
  readonly counters: WireCounters = new WireCounters()
  readonly announcement: Readonly<Record<string, unknown>> = { zask: 1, heartbeat_ms: 5000 }
  coalesce = true
  maxPendingBytes: number = 1024 * 1024
  /** What libzmq says to each message. */
  result: SendResult = 'sent'
  /** Frames of each message that was taken. */
  readonly messages: (Buffer | string)[][] = []
  readonly gone: ZaskError[] = []
  writersOut = 0
  readonly #shapes = new SentShapes()

  peer(options: { zask?: boolean; envelope?: Buffer[]; announces?: boolean } = {}): Peer {
    const peer = new Peer(this, 'peer', options.envelope ?? [], options.announces ?? false)
    peer.isZask = options.zask ?? false
    return peer
  }

  /** Each event is a message of its own here. */
  get receivedAt(): number {
    return performance.now()
  }

  /** The events of all messages, in order. */
  get events(): RawEvent[] {
    return this.messages.flatMap((frames) => unpack(frames.at(-1) as Buffer))
  }

  /** What was said, in short: names with their arguments. */
  get said(): [string, unknown][] {
    return this.events.map(({ name, args }) => [name, args])
  }

  takeWriter(): EventWriter {
    this.writersOut++
    return new EventWriter({}, this.#shapes)
  }

  giveBackWriter(): void {
    this.writersOut--
  }

  onChannelClosed(): void {}

  flushLater(peer: Peer): void {
    setImmediate(() => peer.flush())
  }

  send(frames: (Buffer | string)[]): Promise<SendResult> {
    if (this.result === 'sent') this.messages.push(frames)
    return Promise.resolve(this.result)
  }

  onPeerGone(_peer: Peer, error: ZaskError): void {
    this.gone.push(error)
  }
}

/** An event as the reader would have made it. */
export function event(name: string, args: unknown, more: Partial<Event> = {}): Event {
  return {
    id: undefined,
    responseTo: undefined,
    version: 3,
    headers: {},
    name,
    args,
    malformed: undefined,
    ...more,
  }
}
