import { decode } from '@msgpack/msgpack'
import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { RemoteError } from 'zask'
import {
  pack,
  pause,
  type RawDealer,
  type RawEvent,
  type RawMessage,
  unpack,
  until,
} from '../../support/raw-peer.ts'
import { World } from '../../support/world.ts'

/** One message of a recorded session, between a real client and a real server of other implementations. */
interface Recorded {
  readonly dir: 'c2s' | 's2c'
  readonly client: number
  readonly payload: Buffer
  readonly event: RawEvent
}

/** All messages of one call in order. */
interface Conversation {
  /** The id of the channel, as msgpack type and bytes. */
  readonly id: string
  readonly client: number
  readonly request: Recorded
  readonly messages: Recorded[]
}

const tokenOf = (id: unknown): string =>
  id instanceof Uint8Array ? `bin ${Buffer.from(id).toString('hex')}` : `${typeof id} ${String(id)}`

function load(name: string): Conversation[] {
  const text = readFileSync(new URL(`../../fixtures/${name}.jsonl`, import.meta.url), 'utf8')
  const conversations = new Map<string, Conversation>()
  for (const line of text.trim().split('\n')) {
    const { dir, client, frames } = JSON.parse(line) as {
      dir: 'c2s' | 's2c'
      client: number
      frames: string[]
    }
    expect(frames).to.have.length(2)
    expect(frames[0]).to.equal('')
    const payload = Buffer.from(frames[1] as string, 'hex')
    const [event] = unpack(payload) as [RawEvent]
    const message = { dir, client, payload, event }
    const to = event.header['response_to']
    const id = tokenOf(to ?? event.header['message_id'])
    if (to === undefined) conversations.set(id, { id, client, request: message, messages: [message] })
    else conversations.get(id)?.messages.push(message)
  }
  return [...conversations.values()]
}

const isControl = ({ event }: { event: RawEvent }): boolean => event.name.startsWith('_zpc_')
const answersOf = ({ messages }: Conversation): Recorded[] =>
  messages.filter((message) => message.dir === 's2c' && !isControl(message))
const grantsOf = ({ messages }: Conversation): Recorded[] =>
  messages.filter(({ dir, event }) => dir === 'c2s' && event.name === '_zpc_more')

/** What follows the header: name and args, byte for byte. */
function body(payload: Buffer): string {
  // The header is found by its end: from which byte on the rest is the name and the args.
  const [, name, args] = decode(payload) as [unknown, string, unknown]
  const tail = pack({}, name, args).subarray(2)
  const real = payload.subarray(payload.length - tail.length)
  // Where the other side packs in another form (a float for an integer), the tail of our form does not match.
  return real.equals(tail) ? tail.toString('hex') : payload.subarray(bodyStart(payload)).toString('hex')
}

function bodyStart(payload: Buffer): number {
  for (let at = 1; at < payload.length; at++) {
    try {
      const header = decode(payload.subarray(1, at))
      if (typeof header === 'object') return at
    } catch {
      // Not the whole header yet.
    }
  }
  throw new Error('no header')
}

/** The service that was recorded, written in TypeScript. */
class PeerService {
  static readonly service: string = 'PeerService'

  add(a: number, b = 1): number {
    return a + b
  }

  echo(value: unknown): unknown {
    return value
  }

  raise_value_error(message: string): never {
    throw new ValueError(message)
  }

  tuple3(): unknown[] {
    return [1, 'two', 3]
  }

  *counter(count: number): Generator<number> {
    for (let item = 0; item < count; item++) yield item
  }

  *empty_stream(): Generator<never> {
    // Nothing to send.
  }

  *stream_values(): Generator {
    yield* [null, [], [1, 2], { k: 'v' }, 'str', Buffer.from('bin'), 0, false]
  }

  *stream_error(count: number): Generator<number> {
    yield* this.counter(count)
    throw new ValueError(`stream broke after ${count}`)
  }

  async slow(seconds: number): Promise<string> {
    // The recording took its time; the answer is the same sooner.
    await pause(seconds * 10)
    return `slept ${seconds}`
  }

  hello(): string {
    return 'world'
  }

  fail(): never {
    throw new ValueError('zask boom')
  }
}

class ValueError extends Error {}

/** What plugins, other services or Python's way of looking into itself had a part in. */
const notOurs = new Set([
  'whoami',
  'relay',
  '_zerorpc_inspect',
  '_zerorpc_list',
  '_zerorpc_args',
  '_zerorpc_help',
])
const refusals = new Set(['VersionNotMatchException', 'NoSuchAccessKeyException', 'MissingConfigException'])
const replayable = (name: string): Conversation[] =>
  load(name).filter(
    (one) =>
      !notOurs.has(one.request.event.name) &&
      !refusals.has((answersOf(one)[0]?.event.args as unknown[] | undefined)?.[0] as string),
  )

const title = ({ request: { event } }: Conversation): string =>
  `${event.name}(${JSON.stringify(event.args).slice(1, -1)})`

/** Sends what the client had sent, not sooner than it had: a grant follows so and so many answers. */
async function replay({ messages, id }: Conversation, dealer: RawDealer, from: number): Promise<void> {
  let answers = 0
  const seen = (): number =>
    dealer.seen
      .slice(from)
      .filter(
        ({ events }) =>
          !events[0]?.name.startsWith('_zpc_') && tokenOf(events[0]?.header['response_to']) === id,
      ).length
  for (const message of messages) {
    if (message.dir === 'c2s') {
      // Grants to a call that is over are normal; what the service makes of them is silence.
      await dealer.sendFrames(['', message.payload])
    } else if (!isControl(message)) {
      answers++
      await until(`answer ${answers} of ${message.event.name}`, () => seen() >= answers)
    }
  }
}

function compare(conversation: Conversation, answer: RawMessage, recorded: Recorded, session: string): void {
  const [event] = answer.events as [RawEvent]
  const what = `${title(conversation)}: ${event.name}`
  expect(event.name, what).to.equal(recorded.event.name)
  expect(Object.keys(event.header), what).to.include.members(['message_id', 'v', 'response_to'])
  expect(event.header['response_to'], what).to.deep.equal(recorded.event.header['response_to'])
  expect(event.header['v'], what).to.equal(3)
  if (event.name === 'ERR') {
    const [name, message, traceback] = event.args as string[]
    const [recordedName, recordedMessage] = recorded.event.args as string[]
    // zerorpc-node has no class names: its errors are all `Error`.
    expect(name, what).to.equal(session.endsWith('-node') ? 'ValueError' : recordedName)
    expect(message, what).to.equal(recordedMessage)
    expect(traceback, what).to.be.a('string')
  } else if (conversation.request.event.name === '_zerorpc_ping') {
    expect((event.args as unknown[][])[0]?.[0], what).to.equal('pong')
  } else if (event.name === 'STREAM_DONE') {
    expect(event.args, what).to.equal(null)
  } else if (conversation.request.event.name === 'tuple3') {
    // JavaScript has one kind of number: Python's 3.0 is 3.
    expect(event.args, what).to.deep.equal(recorded.event.args)
  } else if (hasWholeFloats(conversation.request.event)) {
    expect(event.args, what).to.deep.equal(recorded.event.args)
  } else {
    expect(body(answer.payload), what).to.equal(body(recorded.payload))
    if (recorded.event.header['message_id'] instanceof Uint8Array) {
      // All but the fresh message_id.
      expect(withoutId(answer.payload), what).to.equal(withoutId(recorded.payload))
    }
  }
}

describe('a recorded session', () => {
  let world: World
  beforeEach(() => (world = new World()))
  afterEach(() => world.close())

  describe('replayed to a zask service', () => {
    for (const session of ['python-python', 'node-python', 'python-node', 'zask-zask']) {
      it(`of ${session.replace('-', ' to ')} has the recorded answers, byte for byte`, async () => {
        const { core, endpoint } = await world.serve(new PeerService())
        const conversations = replayable(session)
        expect(conversations.length).to.be.at.least(7)
        const clients = new Map<number, RawDealer>()
        for (const conversation of conversations) {
          const dealer = clients.get(conversation.client) ?? world.dealer(endpoint)
          clients.set(conversation.client, dealer)
          const said = dealer.seen.length
          const expected = answersOf(conversation)
          await replay(conversation, dealer, said)
          const mine = dealer.seen.slice(said)
          const seen = mine.filter(({ events }) => !events[0]?.name.startsWith('_zpc_'))
          // A call that timed out at its client has its answer all the same.
          expect(seen.length, title(conversation)).to.equal(expected.length)
          for (const [index, answer] of seen.entries()) {
            compare(conversation, answer, expected[index] as Recorded, session)
          }
        }
        expect(core.stats.now.channels).to.equal(0)
        expect(core.stats.wire.lostPeers).to.equal(0)
      })
    }
  })

  describe('played back to a zask client', () => {
    for (const session of ['python-python', 'node-python', 'python-node', 'zask-zask']) {
      it(`of ${session.replace('-', ' to ')} gives it the recorded values, streams and errors`, async () => {
        const { router, endpoint } = await world.router()
        const { core, client } = await world.client(endpoint)
        const { client: narrow } = await world.client(endpoint, { window: 10 })
        for (const conversation of load(session)) {
          const { event } = conversation.request
          const recorded = answersOf(conversation)
          if (recorded.length === 0) continue
          const what = title(conversation)
          const slots = (grantsOf(conversation)[0]?.event.args as number[] | undefined)?.[0]
          const from = router.seen.length
          const items: unknown[] = []
          const reading = read(
            (slots === 10 ? narrow : client).$call(event.name, event.args as unknown[]),
            items,
          )
          await until('the request', () => router.seen.length > from)
          const request = router.seen[from] as RawMessage
          expect([request.events[0]?.name, request.events[0]?.args], what).to.deep.equal([
            event.name,
            event.args,
          ])
          if (!hasWholeFloats(event))
            expect(body(request.payload), what).to.equal(body(conversation.request.payload))

          // As the server had sent it, held back by the client's own credit.
          const given = (): number =>
            router.seen
              .slice(from + 1)
              .reduce((sum, { events }) => sum + Number((events[0] as RawEvent).args), 1)
          for (const [index, { payload }] of recorded.entries()) {
            // An answer sent sooner than its predecessor was read would end the stream before the last grant.
            await until(
              `credit for answer ${index} of ${what}`,
              () => given() > index && items.length === index,
            )
            await router.replyRaw(request, retarget(payload, conversation, request))
          }
          const result = await reading
          const names = recorded.map((one) => one.event.name)
          if (names[0] === 'OK') {
            expect(result.value, what).to.deep.equal(
              plain(((recorded[0] as Recorded).event.args as unknown[])[0]),
            )
          } else {
            const sent = recorded.filter((one) => one.event.name === 'STREAM').map((one) => one.event.args)
            expect(items, what).to.deep.equal(sent.map(plain))
          }
          const last = recorded.at(-1)?.event as RawEvent
          if (last.name === 'ERR') {
            const [name, message, traceback] = last.args as string[]
            expect(result.error, what).to.be.instanceOf(RemoteError)
            expect(result.error, what).to.include({ remoteName: name, message, remoteTraceback: traceback })
          } else expect(result.error, what).to.equal(undefined)

          // zerorpc-python's rhythm of credit; zerorpc-node has another.
          if (!session.startsWith('node')) {
            const grants = (): unknown[] =>
              router.seen.slice(from + 1).map(({ events }) => [events[0]?.name, events[0]?.args])
            const theirs = grantsOf(conversation).map((one) => [one.event.name, one.event.args])
            await until('the last grant', () => grants().length >= theirs.length)
            expect(grants(), what).to.deep.equal(theirs)
          }
        }
        expect(core.stats.now).to.include({ channels: 0, calling: 0 })
        expect(core.stats.wire.dropped).to.deep.equal({})
      })
    }
  })
})

/** What a call comes to: a value, or items; and the error it ends with. */
async function read(call: Promise<unknown>, items: unknown[]): Promise<{ value?: unknown; error?: Error }> {
  try {
    const value = await call
    if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return { value }
    for await (const item of value as AsyncIterable<unknown>) items.push(item)
    return {}
  } catch (error) {
    return { error: error as Error }
  }
}

/** The same payload with the id of another request in `response_to`; both are found by their bytes. */
function retarget(payload: Buffer, { request: from }: Conversation, to: RawMessage): Buffer {
  const [old, fresh] = [from.event.header['message_id'], to.events[0]?.header['message_id']]
  const key = Buffer.concat([Buffer.from([0xab]), Buffer.from('response_to')])
  const start = payload.indexOf(key) + key.length
  const size = old instanceof Uint8Array ? 2 + old.length : 2 + Buffer.byteLength(old as string)
  const bytes = Buffer.from(fresh as Uint8Array)
  return Buffer.concat([
    payload.subarray(0, start),
    Buffer.from([0xc4, bytes.length]),
    bytes,
    payload.subarray(start + size),
  ])
}

/** All of a payload but the value of its message_id, which is a bin of 32 bytes. */
function withoutId(payload: Buffer): string {
  const at = payload.indexOf('message_id') + 10
  return payload.subarray(0, at).toString('hex') + payload.subarray(at + 34).toString('hex')
}

/** Whether a float without fraction is among the args, as zerorpc-node sends integers above 32 bits. */
function hasWholeFloats({ args }: RawEvent): boolean {
  return (args as unknown[]).some(
    (arg) => typeof arg === 'number' && Number.isInteger(arg) && Math.abs(arg) >= 2 ** 31,
  )
}

/** Bytes are Buffers here and Uint8Arrays there. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  return value
}
