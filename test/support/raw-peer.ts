import { decodeMulti, encode } from '@msgpack/msgpack'
import * as zmq from 'zeromq'

/** An event as a plain peer sees it. Ids keep their msgpack type: text is a string, bin is bytes. */
export interface RawEvent {
  readonly header: Readonly<Record<string, unknown>>
  readonly name: string
  readonly args: unknown
}

/** One ZeroMQ message: all frames before the payload, the payload, and the events in it. */
export interface RawMessage {
  readonly envelope: readonly Buffer[]
  readonly payload: Buffer
  readonly events: readonly RawEvent[]
}

export function pack(header: object, name: unknown, args: unknown): Buffer {
  return Buffer.from(encode([header, name, args]))
}

export function unpack(payload: Uint8Array): RawEvent[] {
  return [...decodeMulti(payload)].map((event) => {
    const [header, name, args] = event as [Record<string, unknown>, string, unknown]
    return { header, name, args }
  })
}

/** Waits until something holds; says what was waited for when it does not within 5 s. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not seen within 5 s: ${what}`)
    await pause(2)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What both raw sockets have in common: they read all there is and keep it in the order it came. */
abstract class RawSocket<S extends zmq.Dealer | zmq.Router> {
  readonly socket: S
  readonly seen: RawMessage[] = []
  #taken = 0
  #sending: Promise<unknown> = Promise.resolve()

  constructor(socket: S) {
    this.socket = socket
    void this.#read()
  }

  /** The next message not yet taken. */
  async next(): Promise<RawMessage> {
    await until('a message', () => this.seen.length > this.#taken)
    return this.seen[this.#taken++] as RawMessage
  }

  /** The next event not yet taken, of a peer that sends them singly. */
  async nextEvent(): Promise<RawEvent> {
    const { events } = await this.next()
    if (events.length !== 1) throw new Error(`a message with ${events.length} events`)
    return events[0] as RawEvent
  }

  /** All events so far, in order. */
  get events(): RawEvent[] {
    return this.seen.flatMap((message) => message.events)
  }

  /** Sends a message as it is, after those before it. */
  sendFrames(frames: readonly (Buffer | string)[]): Promise<unknown> {
    const sending = this.#sending.then(() => this.socket.send([...frames]))
    this.#sending = sending.catch(() => undefined)
    return sending
  }

  close(): void {
    this.socket.close()
  }

  async #read(): Promise<void> {
    for (;;) {
      let frames: Buffer[]
      try {
        frames = await this.socket.receive()
      } catch {
        return
      }
      const payload = frames.at(-1) as Buffer
      let events: RawEvent[] = []
      try {
        events = unpack(payload)
      } catch {
        // Kept as it is: the test looks at the bytes.
      }
      this.seen.push({ envelope: frames.slice(0, -1), payload, events })
    }
  }
}

/** A client made by hand: a DEALER whose frames the test writes itself. */
export class RawDealer extends RawSocket<zmq.Dealer> {
  #ids = 0

  constructor(endpoint: string, options: zmq.SocketOptions<zmq.Dealer> = {}) {
    super(new zmq.Dealer({ linger: 0, ...options }))
    this.socket.connect(endpoint)
  }

  /** Sends one event as zerorpc does: an empty delimiter, then the event. */
  send(header: object, name: unknown, args: unknown): Promise<unknown> {
    return this.sendFrames(['', pack(header, name, args)])
  }

  /** Sends a request and answers with its id. */
  request(name: string, args: unknown, extra: object = {}): string {
    const id = `raw-${++this.#ids}`
    void this.send({ message_id: id, v: 3, ...extra }, name, args)
    return id
  }

  /** Sends an event of an open channel. */
  say(channel: unknown, name: string, args: unknown, extra: object = {}): Promise<unknown> {
    return this.send({ message_id: `raw-${++this.#ids}`, v: 3, response_to: channel, ...extra }, name, args)
  }

  /** Calls a method and waits for its answer, whatever else comes meanwhile. */
  async call(name: string, args: unknown): Promise<RawEvent> {
    const id = this.request(name, args)
    const find = (): RawEvent | undefined =>
      this.events.find((event) => event.header['response_to'] === id && !event.name.startsWith('_'))
    await until(`the answer of ${name}`, () => find() !== undefined)
    return find() as RawEvent
  }
}

/** A server made by hand: a ROUTER whose frames the test writes itself. */
export class RawRouter extends RawSocket<zmq.Router> {
  #ids = 0

  constructor(options: zmq.SocketOptions<zmq.Router> = {}) {
    super(new zmq.Router({ linger: 0, ...options }))
  }

  async bind(endpoint = 'tcp://127.0.0.1:*'): Promise<string> {
    // Another thread closes sockets: the port of one that was closed just now is free in a moment.
    for (let attempt = 1; ; attempt++) {
      try {
        await this.socket.bind(endpoint)
        return this.socket.lastEndpoint as string
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 50) throw error
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  /** Answers the event that opened a channel, or says something more on it. */
  reply(to: RawMessage, name: string, args: unknown, extra: object = {}): Promise<unknown> {
    const opener = to.events[0]?.header
    const channel = opener?.['response_to'] ?? opener?.['message_id']
    return this.replyRaw(
      to,
      pack({ message_id: `srv-${++this.#ids}`, v: 3, response_to: channel, ...extra }, name, args),
    )
  }

  /** Sends a payload of any bytes back the way a message came. */
  replyRaw(to: RawMessage, payload: Buffer): Promise<unknown> {
    return this.sendFrames([...to.envelope.slice(0, -1), '', payload])
  }
}
