import { expect } from 'chai'
import type { Call } from '../../core/call.ts'
import { CallStorage } from '../../core/call-storage.ts'
import { HookSet } from '../../core/hooks.ts'
import { builtIns } from '../../core/introspection.ts'
import type { Kernel } from '../../core/kernel.ts'
import { defaultLimits } from '../../core/limits.ts'
import { createLogger } from '../../core/logger.ts'
import { wireOptions } from '../../core/options.ts'
import { ProcessGauge } from '../../core/process-gauge.ts'
import { ServedCall, type ServedCallOwner } from '../../core/served-call.ts'
import { type ServerStats, ServiceFigures } from '../../core/service-stats.ts'
import { Service } from '../../core/service.ts'
import { CoreStats } from '../../core/stats.ts'
import type { Channel, ChannelListener } from '../../core/wire/channel.ts'
import { WireCounters } from '../../core/wire/counters.ts'
import { type Event, type EventId, EventReader } from '../../core/wire/event.ts'
import { type OnRequest, ServerMultiplexer, type WireOptions } from '../../core/wire/multiplexer.ts'
import type { Peer } from '../../core/wire/peer.ts'
import type { SendResult } from '../../core/wire/socket.ts'
import { TimerWheel } from '../../core/wire/timer-wheel.ts'
import { pack } from '../support/raw-peer.ts'
import { Clock, turn } from './clock.ts'

export const maxChannels = 8
export const maxChannelsPerPeer = 5
const maxCredit = 10_000

/** What is known of one channel from the outside alone. */
interface Conversation {
  readonly channel: Channel
  /** Events the other side has allowed: one, and what it granted. */
  granted: number
  /** Events it was sent, control events apart. */
  sent: number
  ended: boolean
}

/** The end that serves, whose peers are not at the end of a socket but in the hands of the test. */
class InMemoryServer extends ServerMultiplexer {
  readonly opened: Map<string, Conversation> = new Map()
  readonly sent: { peer: string; event: Event }[] = []
  /** What libzmq says of messages to a peer; 'sent' for those that are not named. */
  readonly fates: Map<string, SendResult> = new Map()
  readonly #eyes = new EventReader()

  /** A message of a peer comes in. */
  deliver(peer: string, payload: Buffer): void {
    super.socketListener().onMessage([Buffer.from(peer), Buffer.alloc(0), payload])
  }

  protected override channel(
    peer: Peer,
    id: EventId,
    listener: ChannelListener | undefined,
    now: number,
  ): Channel {
    const channel = super.channel(peer, id, listener, now)
    this.opened.set(`${peer.key}/${id}`, { channel, granted: 1, sent: 0, ended: false })
    return channel
  }

  override async send(frames: (Buffer | string)[]): Promise<SendResult> {
    const peer = (frames[0] as Buffer).toString()
    const fate = this.fates.get(peer) ?? 'sent'
    if (fate === 'sent') {
      this.#eyes.read(frames.at(-1) as Buffer, (event) => {
        expect(event.malformed).to.equal(undefined)
        this.sent.push({ peer, event })
      })
    }
    return fate
  }
}

/** Methods that end at once, later, never, or item by item. */
class Acts {
  readonly pending: PromiseWithResolvers<unknown>[] = []
  started = 0
  stopped = 0

  echo(value: unknown): unknown {
    return value
  }

  fail(): never {
    throw new TypeError('no way')
  }

  odd(): unknown {
    return Symbol('cannot be sent')
  }

  later(): Promise<unknown> {
    const promised = Promise.withResolvers<unknown>()
    this.pending.push(promised)
    return promised.promise
  }

  *items(last: unknown): Generator<number> {
    this.started++
    try {
      for (let item = 1; item <= Number(last); item++) yield item
    } finally {
      this.stopped++
    }
  }

  async *slowItems(): AsyncGenerator {
    this.started++
    try {
      for (;;) yield await this.later()
    } finally {
      this.stopped++
    }
  }

  *failing(): Generator<number> {
    yield 1
    throw new TypeError('no more')
  }
}

export const methods: readonly string[] = [
  'echo',
  'fail',
  'odd',
  'later',
  'items',
  'slowItems',
  'failing',
  'nope',
]

/** One server with its peers, in memory, on a clock of its own. After each step `check` looks at what must hold. */
export class Session implements ServedCallOwner {
  readonly clock: Clock = new Clock()
  readonly server: InMemoryServer
  readonly acts: Acts = new Acts()
  readonly kernel: Kernel
  readonly figures: ServiceFigures = new ServiceFigures()
  readonly streamIdleTimeoutMs: number = defaultLimits.streamIdleTimeoutMs
  readonly builtIns: ReadonlySet<string> = builtIns(true)
  readonly #wheel: TimerWheel
  readonly #ends = new Map<ServedCall, number>()
  readonly #ids = new Map<string, Set<string>>()
  #seen = 0
  #names = 0

  constructor() {
    this.clock.install()
    this.#wheel = new TimerWheel()
    const counters = new WireCounters()
    const log = createLogger({ write: () => undefined })
    this.kernel = {
      hooks: new HookSet<Call, never, never>({ onObserverError: () => undefined }),
      storage: new CallStorage(),
      wheel: this.#wheel,
      counters,
      stats: new CoreStats(),
      gauge: new ProcessGauge(),
      log: () => log,
      nextId: () => String(++this.#names),
      limits: defaultLimits,
      debug: false,
    }
    const service = Service.from(this.acts)
    const onRequest: OnRequest = (channel, request) => {
      const call = new ServedCall(this, service, channel, request)
      this.#ends.set(call, 0)
      call.run()
    }
    const options: WireOptions = {
      ...wireOptions({ maxPendingBytes: 2000 }, 0),
      maxChannels,
      maxChannelsPerPeer,
    }
    this.server = new InMemoryServer(options, this.#wheel, counters, onRequest)
  }

  onEnded(call: ServedCall): void {
    this.#ends.set(call, (this.#ends.get(call) ?? 0) + 1)
  }

  look(): ServerStats {
    throw new Error('nobody asks for it here')
  }

  /** An event of a peer; `to` is the channel it is for, none for one that opens its own. */
  say(peer: string, id: string, to: string | undefined, name: string, args: unknown, zask: boolean): void {
    const header = {
      message_id: id,
      v: 3,
      ...(to === undefined ? {} : { response_to: to }),
      ...(zask ? { zask: 1, heartbeat_ms: 5000 } : {}),
    }
    const ids = this.#ids.get(peer) ?? new Set()
    const before = this.server.opened.get(`${peer}/${token(to ?? id)}`)
    // What waits for room would be taken for an event of the new conversation of that name.
    if (before?.channel.closed === true && to === undefined && this.server.fates.get(peer) === 'full') return
    this.#ids.set(peer, ids.add(token(to ?? id)))
    const wasOpen = before !== undefined && !before.channel.closed
    this.server.deliver(peer, pack(header, name, args))
    const conversation = this.server.opened.get(`${peer}/${token(to ?? id)}`)
    const meant = to === undefined ? conversation !== before : wasOpen
    if (conversation !== undefined && meant && name === '_zpc_more') conversation.granted += granted(args)
  }

  /** What must hold whatever was said. */
  async check(): Promise<void> {
    await turn()
    const { server } = this
    expect(server.openChannels, 'channels of the server').to.be.at.most(maxChannels)
    const open = [...server.opened.values()].filter(({ channel }) => !channel.closed)
    expect(server.openChannels, 'channels counted').to.equal(open.length)
    for (const { channel } of server.opened.values()) {
      expect(channel.peer.channels.size, 'channels of a peer').to.be.at.most(maxChannelsPerPeer)
      expect(channel.credit, 'credit').to.be.within(0, maxCredit)
    }
    for (const { peer, event } of server.sent.slice(this.#seen)) this.#checkSent(peer, event)
    this.#seen = server.sent.length
    for (const count of this.#ends.values()) expect(count, 'ends of one session').to.be.at.most(1)
    const running = [...this.#ends.values()].filter((count) => count === 0).length
    if (open.length === 0 && running === 0) expect(this.#wheel.size, 'timers of nobody').to.equal(0)
  }

  #checkSent(peer: string, { responseTo, name, args }: Event): void {
    const said = `${name} to ${peer}`
    expect(this.#ids.get(peer)?.has(responseTo ?? ''), `${said}: an id it has never used`).to.equal(true)
    const conversation = this.server.opened.get(`${peer}/${responseTo}`)
    // Refused for want of room, without ever having had a channel.
    if (name === 'ERR' && (args as unknown[])[0] === 'Overloaded') return
    if (conversation === undefined) throw new Error(`${said} without a channel`)
    expect(conversation.ended, `${said} after the end`).to.equal(false)
    if (name.startsWith('_')) return
    conversation.sent++
    expect(conversation.sent, `${said}, events against credit`).to.be.at.most(conversation.granted)
    if (name !== 'STREAM') conversation.ended = true
  }

  /** All peers fall silent and all methods come to an end: nothing may be left. */
  async finish(): Promise<void> {
    const { server, clock, acts } = this
    try {
      server.fates.clear()
      await clock.pass(100)
      for (let round = 0; round < 3; round++) {
        for (const promised of acts.pending.splice(0)) promised.resolve(round)
        await this.check()
      }
      for (const peer of this.#ids.keys()) server.fates.set(peer, 'unreachable')
      await clock.pass(120_000, 1000)
      while (acts.pending.length > 0) {
        for (const promised of acts.pending.splice(0)) promised.resolve('late')
        await clock.pass(20_000, 1000)
      }
      await this.check()
      expect(server.openChannels, 'channels at the end').to.equal(0)
      expect(
        [...this.#ends.values()].every((count) => count === 1),
        'each session ended once',
      ).to.equal(true)
      expect(acts.stopped, 'generators that ran their finally').to.equal(acts.started)
      expect(this.#wheel.size, 'timers at the end').to.equal(0)
    } finally {
      clock.restore()
      this.#wheel.close()
      await server.close()
    }
  }
}

/** The token of a short text, as the server keeps ids. */
function token(text: string): EventId {
  return String.fromCharCode(0xa0 | text.length) + text
}

/** How many events a credit allows; none where it is not one. */
function granted(args: unknown): number {
  const given: unknown = Array.isArray(args) ? args[0] : undefined
  return typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= maxCredit ? given : 0
}
