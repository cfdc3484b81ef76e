import { ZaskError } from '../errors.ts'
import {
  beatEvent,
  cancelEvent,
  Channel,
  type ChannelListener,
  type ChannelOptions,
  controlEvents,
} from './channel.ts'
import type { WireCounters } from './counters.ts'
import type { CurveClientKeys, CurveServerKeys } from './curve.ts'
import { copyOf, envelopeKey, isEnvelope, maxEnvelopeFrames } from './envelope.ts'
import { type Event, type EventId, type EventLimits, EventReader, EventWriter, IdSource } from './event.ts'
import { Farewell, readEvent } from './farewell.ts'
import { awaitRequest } from './patience.ts'
import { announcementKey, beatKey, flushBytes, Peer, type PeerHost } from './peer.ts'
import { SentShapes } from './sent-shapes.ts'
import { release, type SendResult, type SocketListener, WireSocket } from './socket.ts'
import type { TimerWheel } from './timer-wheel.ts'
import { withdrawnKey } from './withdrawal.ts'

export interface WireOptions {
  /** Milliseconds between beats, null for none. */
  readonly heartbeatMs: number | null
  /** Whether plain peers are beaten and judged from the start. */
  readonly activeHeartbeat: boolean
  /** Events of a stream this side takes before it has read the first. */
  readonly window: number
  /** Several events in one message, towards peers that show that they read it. */
  readonly coalesce: boolean
  readonly events: EventLimits
  /** Open channels of one socket, and of one peer of it. */
  readonly maxChannels: number
  readonly maxChannelsPerPeer: number
  /** Bytes that may wait for one peer. */
  readonly maxPendingBytes: number
  /** How long a new connection has for the handshake of ZeroMQ, in milliseconds. */
  readonly handshakeTimeoutMs: number
  readonly lingerMs: number
  /** Encrypts the connections: a server's keys for the end that is called, a client's for the other. */
  readonly curve?: CurveServerKeys | CurveClientKeys | undefined
}

/** Peers that are remembered without an open channel, for what they have shown. */
const maxIdlePeers = 10_000
const maxPooledWriters = 64
/** Frames that were read are held until the turn ends, but no more of them than this. */
const maxSpentBytes = 1024 * 1024

/**
 * Events to channels and back, for one socket.
 *
 * Channels are kept per peer and by the raw token of the id: another connection that knows an id cannot touch the
 * channel, and a text never matches bytes of the same letters (zerorpc-python compares them so, too).
 */
export abstract class Multiplexer implements PeerHost {
  readonly wheel: TimerWheel
  readonly ids: IdSource = new IdSource()
  readonly maxPendingBytes: number
  readonly coalesce: boolean
  readonly announcement: Readonly<Record<string, unknown>>
  readonly counters: WireCounters
  /** @internal Never opened. While it lives, the engine keeps its code for channels (docs/decisions/hidden-classes.md). */
  readonly specimen: Channel
  protected readonly socket: WireSocket
  protected readonly options: WireOptions
  readonly #channelOptions: ChannelOptions
  readonly #reader: EventReader
  readonly #writers: EventWriter[] = []
  readonly #shapes = new SentShapes()
  #dirty: Peer[] = []
  /** Frames of this turn of the event loop that were read and that nobody needs any more, and their bytes. */
  #spent: Buffer[] = []
  #spentBytes = 0
  #isTurnEndAwaited = false
  /** The peer whose message is being read, and how many events that message held so far. */
  #from: Peer | undefined
  #eventsInMessage = 0
  #malformed: string | undefined
  #openChannels = 0
  /** When the message was read whose events are given out, on the clock of `performance.now()`: one look for all. */
  receivedAt = 0

  constructor(kind: 'router' | 'dealer', options: WireOptions, wheel: TimerWheel, counters: WireCounters) {
    this.options = options
    this.wheel = wheel
    this.counters = counters
    this.maxPendingBytes = options.maxPendingBytes
    this.coalesce = options.coalesce
    this.announcement = { [announcementKey]: 1, [beatKey]: options.heartbeatMs }
    const { heartbeatMs, activeHeartbeat, window } = options
    this.#channelOptions = { heartbeatMs, activeHeartbeat, window }
    this.specimen = new Channel(new Peer(this, '', [], false), '', this.#channelOptions)
    this.#reader = new EventReader(options.events)
    this.socket = new WireSocket(kind, this.socketListener(), {
      maxFrameBytes: options.events.maxBytes + flushBytes,
      handshakeTimeoutMs: options.handshakeTimeoutMs,
      lingerMs: options.lingerMs,
      heartbeatMs: options.heartbeatMs,
      curve: options.curve,
    })
  }

  protected abstract socketListener(): SocketListener
  /** An event that belongs to no channel of the peer. */
  protected abstract onUnrouted(peer: Peer, event: Event): void
  /** Whether what comes in now tells of the connection that stands. */
  protected abstract believes(): boolean
  /** A peer has shown that it is zask. */
  protected abstract onShown(peer: Peer): void
  abstract onPeerGone(peer: Peer, error: ZaskError): void

  /** Reads one body frame that came from a peer. */
  protected receive(peer: Peer, payload: Buffer): void {
    this.receivedAt = performance.now()
    this.#from = peer
    this.#eventsInMessage = 0
    this.#malformed = undefined
    let complaint: string | undefined
    try {
      complaint = this.#reader.read(payload, this.#route)
      if (!this.#reader.lends) this.#spend(payload)
    } catch {
      // Listeners do not throw. If one has a fault, it must not end the reading for all other peers.
      complaint = 'fault in a listener'
    }
    this.#from = undefined
    if (complaint !== undefined) this.counters.drop(complaint, this.#malformed)
  }

  protected channel(peer: Peer, id: EventId, listener: ChannelListener | undefined, now: number): Channel {
    const channel = new Channel(peer, id, this.#channelOptions)
    channel.listener = listener
    peer.channels.add(channel)
    this.#openChannels++
    channel.opened(now)
    return channel
  }

  get openChannels(): number {
    return this.#openChannels
  }

  onChannelClosed(): void {
    this.#openChannels--
  }

  /** Sends what this turn has collected now. */
  flush(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const peer of dirty) peer.flush()
  }

  readonly #route = (event: Event): void => {
    const peer = this.#from as Peer
    this.counters.eventsIn++
    this.counters.watcher?.({ direction: 'in', peer: peer.key, name: event.name })
    // Several events in one message show it as well as the header key does.
    if (!peer.isZask && (event.headers[announcementKey] !== undefined || this.#eventsInMessage > 0))
      this.#show(peer, event.headers[beatKey])
    this.#eventsInMessage++
    if (event.malformed !== undefined) {
      this.#malformed = event.malformed
      this.counters.unreadable(event.malformed)
    }
    if (event.responseTo !== undefined) {
      const channel = peer.channels.get(event.responseTo)
      if (channel !== undefined) {
        channel.receive(event)
        return
      }
    }
    this.onUnrouted(peer, event)
  }

  #show(peer: Peer, beatMs: unknown): void {
    if (peer.viaProxy || !this.believes()) return
    peer.isZask = true
    if (beatMs === null || (typeof beatMs === 'number' && beatMs > 0)) peer.beatMs = beatMs
    this.onShown(peer)
  }

  // what peers ask for

  takeWriter(): EventWriter {
    return this.#writers.pop() ?? new EventWriter(this.options.events, this.#shapes)
  }

  giveBackWriter(writer: EventWriter): void {
    if (this.#writers.length < maxPooledWriters) this.#writers.push(writer)
  }

  flushLater(peer: Peer): void {
    this.#dirty.push(peer)
    this.#awaitTurnEnd()
  }

  /** What a frame has led to is sent first, and then its memory given back; but a turn can be long. */
  #spend(frame: Buffer): void {
    this.#spent.push(frame)
    this.#spentBytes += frame.length
    if (this.#spentBytes > maxSpentBytes) this.#release()
    else this.#awaitTurnEnd()
  }

  #release(): void {
    const spent = this.#spent
    if (spent.length === 0) return
    this.#spent = []
    this.#spentBytes = 0
    for (const frame of spent) release(frame)
  }

  #awaitTurnEnd(): void {
    if (this.#isTurnEndAwaited) return
    this.#isTurnEndAwaited = true
    this.socket.atTurnEnd(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    this.#isTurnEndAwaited = false
    this.flush()
    this.#release()
  }

  send(frames: (Buffer | string)[]): Promise<SendResult> {
    return this.socket.send(frames)
  }
}

/** Called for each request that a peer makes; the listener it returns hears the rest of the conversation. */
export type OnRequest = (channel: Channel, request: Event) => void

/** Called for each connection that was turned away; of one with an unknown key it says whose it was. */
export type OnStranger = (reason: string, publicKey?: string, address?: string) => void

/** The end that is called: one ROUTER. */
export class ServerMultiplexer extends Multiplexer {
  readonly #peers = new Map<string, Peer>()
  readonly #onRequest: OnRequest
  readonly #onStranger: OnStranger | undefined
  #farewell: Farewell | undefined

  constructor(
    options: WireOptions,
    wheel: TimerWheel,
    counters: WireCounters,
    onRequest: OnRequest,
    onStranger?: OnStranger,
  ) {
    super('router', options, wheel, counters)
    this.#onRequest = onRequest
    this.#onStranger = onStranger
  }

  bind(endpoint: string): Promise<string> {
    return this.socket.bind(endpoint)
  }

  connect(endpoint: string): void {
    this.socket.connect(endpoint)
  }

  async close(): Promise<void> {
    this.flush()
    for (const peer of this.#peers.values()) for (const channel of peer.channels.values()) channel.close()
    // The linger time of the socket holds for what libzmq has taken; give it the rest first.
    const until = performance.now() + this.options.lingerMs
    while (this.#hasPending() && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5))
    this.#farewell = new Farewell(this.#peers.values())
    await this.#farewell.wait(until, () => this.flush())
    await this.socket.close()
  }

  #hasPending(): boolean {
    for (const peer of this.#peers.values()) if (peer.pendingBytes > 0) return true
    return false
  }

  protected override socketListener(): SocketListener {
    return {
      onMessage: (frames) => this.#onMessage(frames),
      onStranger: (reason, publicKey, address) => {
        this.counters.refuse(reason)
        this.#onStranger?.(reason, publicKey, address)
      },
    }
  }

  /**
   * The last frame is the payload, the one before it a delimiter that may be missing and is not looked at
   * (zerorpc-python events.py:354-369), all before that the way back.
   */
  #onMessage(frames: Buffer[]): void {
    const payload = frames.at(-1) as Buffer
    const envelopeLength = frames.length > 2 ? frames.length - 2 : 1
    if (envelopeLength > maxEnvelopeFrames) return this.counters.drop('too many parts')
    if (frames.length < 2 || !isEnvelope(frames, envelopeLength))
      return this.counters.drop('routing envelope')
    const key =
      envelopeLength === 1 ? (frames[0] as Buffer).toString('latin1') : envelopeKey(frames, envelopeLength)
    this.receive(this.#peer(key, frames, envelopeLength), payload)
  }

  #peer(key: string, frames: Buffer[], envelopeLength: number): Peer {
    const known = this.#peers.get(key)
    if (known !== undefined) return known
    const envelope = frames.slice(0, envelopeLength).map(copyOf)
    // We show ourselves only to those who have shown themselves.
    const peer = new Peer(this, key, envelope, false)
    if (this.#peers.size >= maxIdlePeers) this.#dropIdlePeers()
    this.#peers.set(key, peer)
    return peer
  }

  #dropIdlePeers(): void {
    let excess = this.#peers.size - maxIdlePeers / 2
    // Maps keep the order of insertion: the oldest go first.
    for (const peer of this.#peers.values()) {
      if (excess <= 0) break
      if (peer.channels.size > 0 || peer.pendingBytes > 0) continue
      this.#peers.delete(peer.key)
      excess--
    }
  }

  protected override believes(): boolean {
    // A ROUTER gives each connection an identity of its own.
    return true
  }

  protected override onShown(peer: Peer): void {
    peer.announced = false
    setImmediate(() => this.#announce(peer))
  }

  /** A caller can cancel only once it knows us for zask: where the first answer takes its time, a beat says so. */
  #announce(peer: Peer): void {
    if (peer.announced) return
    const [channel] = peer.channels.values()
    if (channel !== undefined) peer.emit(channel.id, beatEvent, [0])
  }

  protected override onUnrouted(peer: Peer, event: Event): void {
    const { id, name } = event
    if (event.responseTo !== undefined) {
      if (name === readEvent && this.#farewell !== undefined) this.#farewell.done(peer)
      // Late beats and credit for a call that has ended: normal, and zerorpc drops them as well.
      else this.counters.drop('unknown channel')
      return
    }
    if (id === undefined) {
      if (event.headers[withdrawnKey] === undefined) this.counters.drop('no message_id')
      return
    }
    if (peer.channels.has(id)) {
      this.counters.drop('duplicate message_id')
      return
    }
    if (name === cancelEvent) {
      this.counters.drop('unknown channel')
      return
    }
    const { maxChannels, maxChannelsPerPeer } = this.options
    if (peer.channels.size >= maxChannelsPerPeer || this.openChannels >= maxChannels) {
      this.counters.drop('too many channels')
      this.counters.met[peer.channels.size >= maxChannelsPerPeer ? 'maxChannelsPerPeer' : 'maxChannels']++
      if (!controlEvents.has(name)) this.#refuse(peer, id, event.version)
      return
    }
    const channel = this.channel(peer, id, undefined, this.receivedAt)
    if (controlEvents.has(name)) awaitRequest(channel, event, this.#onRequest)
    else this.#onRequest(channel, event)
  }

  #refuse(peer: Peer, id: EventId, version: number): void {
    const text = 'Too many calls are open on this connection or at this server. Try again later.'
    const args = version < 2 ? [`Overloaded: ${text}`] : ['Overloaded', text, '']
    peer.emit(id, 'ERR', args, { code: 'ZASK_SERVER_OVERLOADED', retryable: true })
  }

  override onPeerGone(peer: Peer, error: ZaskError): void {
    this.#peers.delete(peer.key)
    this.#farewell?.done(peer)
    this.counters.lostPeers++
    for (const channel of peer.channels.values()) channel.lose(error)
  }
}
