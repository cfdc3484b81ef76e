import { ZaskError } from '../errors.ts'
import { beatEvent, cancelEvent, type Channel, type ChannelListener } from './channel.ts'
import type { WireCounters } from './counters.ts'
import type { CurveClientKeys } from './curve.ts'
import { isInproc } from './endpoint.ts'
import { maxEnvelopeFrames } from './envelope.ts'
import type { Event } from './event.ts'
import { readEvent } from './farewell.ts'
import type { RefusalReason } from './monitor.ts'
import { Multiplexer, type WireOptions } from './multiplexer.ts'
import { Peer } from './peer.ts'
import type { SocketListener } from './socket.ts'
import type { TimerWheel } from './timer-wheel.ts'

/**
 * Answers that were on their way when the connection broke may still lie unread in the socket: so long they are
 * waited for before the open calls are given up. Of many libzmq keeps only some: see `Farewell`.
 */
const drainMs = 25

export interface ConnectionListener {
  /** The endpoint can be reached, or cannot any more, or refuses us. */
  onChange(): void
}

/** The end that calls: one DEALER to one endpoint, so that a broken connection means exactly its own calls. */
export class Connection extends Multiplexer {
  readonly endpoint: string
  readonly #remote: Peer
  readonly #listener: ConnectionListener
  /** How many connections stand. More than one only where the socket is bound and servers dial in. */
  #up = 0
  /** Why the server would not have us when it was tried last. */
  #refused: RefusalReason | undefined

  constructor(
    endpoint: string,
    options: WireOptions,
    wheel: TimerWheel,
    counters: WireCounters,
    listener: ConnectionListener,
  ) {
    super('dealer', options, wheel, counters)
    this.endpoint = endpoint
    this.#listener = listener
    this.#remote = new Peer(this, endpoint, [], true)
  }

  /** The endpoint answers: its handshake is done and it has not gone since. */
  get up(): boolean {
    return this.#up > 0
  }

  /** Milliseconds between the beats of a zask peer, null where it sends none; undefined of any other. */
  get beatMs(): number | null | undefined {
    return this.#remote.beatMs
  }

  /** What a call comes to while the server will not have us; undefined where it may yet. */
  get refusal(): ZaskError | undefined {
    if (this.#refused === undefined || this.up) return undefined
    const keys = this.options.curve
    const client = keys !== undefined && 'serverKey' in keys ? keys : undefined
    return refusalError(this.endpoint, this.#refused, client)
  }

  connect(): void {
    this.socket.connect(this.endpoint)
    // libzmq has no monitor events for inproc; such a connection stands at once.
    if (isInproc(this.endpoint)) this.#onUp()
  }

  /** The other way round: waits for a server that connects out to us. Who dials in is not known apart. */
  async bind(): Promise<string> {
    this.#remote.announced = true
    const real = await this.socket.bind(this.endpoint)
    if (isInproc(this.endpoint)) this.#onUp()
    return real
  }

  /**
   * Opens a channel with its request. Throws what cannot be encoded, and `ZASK_PEER_LOST` where too much waits for
   * the peer already.
   */
  open(
    listener: ChannelListener,
    name: string,
    args: readonly unknown[],
    headers: Readonly<Record<string, unknown>> | undefined,
    now: number = performance.now(),
  ): Channel {
    const remote = this.#remote
    const id = remote.newId()
    // The listener comes last: while this call has not returned, nobody could make sense of what it is told.
    const channel = this.channel(remote, id, undefined, now)
    channel.openedAt = remote.emitted + 1
    try {
      remote.emitOpening(id, name, args, headers)
    } catch (error) {
      channel.close()
      throw error
    }
    if (channel.closed) {
      throw new ZaskError(
        'ZASK_PEER_LOST',
        `${this.endpoint} reads too slowly: what waited for it was dropped.`,
        {
          sent: false,
          retryable: true,
        },
      )
    }
    channel.listener = listener
    return channel
  }

  /** Takes a request back that waits in this process still; then it provably never leaves it. */
  withdraw(channel: Channel): boolean {
    return channel.openedAt > 0 && this.#remote.withdraw(channel.openedAt)
  }

  /** False only where the channel's request provably never left this process. */
  wasSent(channel: Channel): boolean {
    return channel.openedAt <= this.#remote.sent
  }

  /** Ends the open calls, the error being theirs, and tells a zask server that nobody waits for it any more. */
  async close(error: ZaskError): Promise<void> {
    const remote = this.#remote
    if (remote.isZask) for (const { id } of remote.channels.values()) remote.emit(id, cancelEvent, null)
    this.flush()
    this.#loseAll(this.#remote.channels.values(), error)
    await this.socket.close()
  }

  protected override socketListener(): SocketListener {
    return {
      onMessage: (frames) => {
        // A delimiter that may be missing, and the payload; what a proxy leaves of a way back is no longer.
        if (frames.length > maxEnvelopeFrames + 2) this.counters.drop('too many parts')
        else this.receive(this.#remote, frames.at(-1) as Buffer)
      },
      onUp: () => this.#onUp(),
      onDown: () => this.#onDown(),
      onRefused: (reason) => {
        this.#refused = reason
        this.#listener.onChange()
      },
    }
  }

  protected override believes(): boolean {
    // What lay unread when the connection broke was said by somebody who may be another one now.
    return this.#up > 0
  }

  protected override onShown(_peer: Peer): void {
    // We have shown ourselves with our first request.
  }

  protected override onUnrouted(peer: Peer, event: Event): void {
    const { id, responseTo, name } = event
    if (peer.isZask && name === readEvent && responseTo === undefined && id !== undefined) {
      peer.emit(id, readEvent, null)
      return
    }
    // The call was cancelled before we knew its server for zask, which still works on it.
    if (peer.isZask && responseTo !== undefined && (name === beatEvent || name === 'STREAM')) {
      peer.emit(responseTo, cancelEvent, null)
    }
    this.counters.drop(event.responseTo === undefined ? 'request to a client' : 'unknown channel')
  }

  override onPeerGone(peer: Peer, error: ZaskError): void {
    this.counters.lostPeers++
    this.#loseAll(peer.channels.values(), error)
  }

  #onUp(): void {
    this.#up++
    this.#refused = undefined
    this.#listener.onChange()
  }

  #onDown(): void {
    if (this.#up > 0) this.#up--
    const broken = this.#remote.channels.values()
    const unsent = broken.filter((channel) => !this.wasSent(channel))
    // Counting begins anew: what is waited for still must not look unsent to the next count.
    for (const channel of broken) channel.openedAt = 0
    this.#remote.reset()
    if (broken.length > 0) this.counters.lostPeers++
    this.#loseAll(
      unsent,
      new ZaskError('ZASK_PEER_LOST', `${this.endpoint} is gone.`, { sent: false, retryable: true }),
    )
    const lost = new ZaskError('ZASK_PEER_LOST', `Lost remote: the connection to ${this.endpoint} broke.`, {
      sent: true,
    })
    if (broken.length > 0) setTimeout(() => this.#loseAll(broken, lost), drainMs)
    this.#listener.onChange()
  }

  #loseAll(channels: readonly Channel[], error: ZaskError): void {
    for (const channel of channels) channel.lose(error)
  }
}

function refusalError(endpoint: string, reason: RefusalReason, keys: CurveClientKeys | undefined): ZaskError {
  const says =
    reason === 'key'
      ? keys?.ephemeral === true
        ? 'it lets in known keys only, and this client has no key pair of its own. Make one with `zask keygen`, give ' +
          'the client its secret key, and list its public key at the server.'
        : `it does not know the key of this client. List ${keys?.publicKey} among those the server allows.`
      : reason === 'cut'
        ? 'it cut the handshake: the server key given here is not that of the server, or what answers there is no ' +
          'CURVE server.'
        : keys === undefined
          ? 'it takes encrypted connections only. Give the client the public key of the server: ' +
            "{ curve: { serverKey: '…' } }."
          : 'it does not encrypt, and this client was given a server key. Start the server with CURVE, or leave the ' +
            'server key out.'
  return new ZaskError('ZASK_PEER_REFUSED', `${endpoint} refuses the connection: ${says}`, {
    sent: false,
    // What cut the handshake may be a proxy whose server is about to start.
    retryable: reason === 'cut',
    details: { endpoint, reason },
  })
}
