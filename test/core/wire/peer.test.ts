import { expect } from 'chai'
import { ZaskError } from '../../../core/errors.ts'
import type { Peer } from '../../../core/wire/peer.ts'
import { type Event, EventReader } from '../../../core/wire/event.ts'
import { FakeHost } from '../../support/fake-host.ts'
import { pause, unpack, until } from '../../support/raw-peer.ts'

const channel = '\xa1c'
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

const record = (value: number): object => ({ sku: 'x', quantity: value })

const emitMany = (peer: Peer, count: number, value: unknown = 0): void => {
  for (let index = 0; index < count; index++) peer.emit(channel, 'STREAM', value)
}

describe('a peer', () => {
  let host: FakeHost
  beforeEach(() => (host = new FakeHost()))
  afterEach(() => host.wheel.close())

  const eventsPerMessage = (): number[] =>
    host.messages.map((frames) => unpack(frames.at(-1) as Buffer).length)

  it('that is plain gets one event in each message, in order', async () => {
    const peer = host.peer()
    for (let index = 0; index < 50; index++) peer.emit(channel, 'STREAM', index)
    await turn()
    expect(eventsPerMessage()).to.deep.equal(Array.from({ length: 50 }, () => 1))
    expect(host.events.map(({ args }) => args)).to.deep.equal(Array.from({ length: 50 }, (_, index) => index))
  })

  it('that is zask gets the events of one turn of the event loop in one message', async () => {
    const peer = host.peer({ zask: true })
    emitMany(peer, 30)
    expect(host.messages).to.deep.equal([])
    await turn()
    emitMany(peer, 3)
    await turn()
    expect(eventsPerMessage()).to.deep.equal([30, 3])
  })

  it('that is zask gets many events in parts, the first before the turn is over', async () => {
    const peer = host.peer({ zask: true })
    emitMany(peer, 50)
    expect(eventsPerMessage()).to.deep.equal([32])
    await turn()
    expect(eventsPerMessage()).to.deep.equal([32, 18])
  })

  it('that is zask gets a message as soon as it holds 64 KiB', () => {
    const peer = host.peer({ zask: true })
    emitMany(peer, 5, Buffer.alloc(15_000))
    expect(eventsPerMessage()).to.deep.equal([5])
  })

  it('that is zask gets one event in each message where coalescing is off', () => {
    host.coalesce = false
    const peer = host.peer({ zask: true })
    emitMany(peer, 1)
    expect(eventsPerMessage()).to.deep.equal([1])
  })

  it('gets what was collected before it turned out to be zask first', async () => {
    const peer = host.peer()
    peer.emit(channel, 'STREAM', 1)
    peer.isZask = true
    peer.emit(channel, 'STREAM', 2)
    peer.emit(channel, 'STREAM', 3)
    await turn()
    expect(host.events.map(({ args }) => args)).to.deep.equal([1, 2, 3])
    expect(eventsPerMessage()).to.deep.equal([1, 2])
  })

  it('gets an empty delimiter and its whole envelope', () => {
    const envelope = [Buffer.from('proxy'), Buffer.from('client')]
    const peer = host.peer({ envelope })
    peer.emit(channel, 'OK', [1])
    expect(host.messages[0]?.slice(0, -1)).to.deep.equal([...envelope, ''])
    expect(peer.viaProxy).to.equal(true)
  })

  it('is shown what we are with the first event only, and again when the connection is a new one', async () => {
    const peer = host.peer({ announces: true })
    emitMany(peer, 2)
    await turn()
    peer.reset()
    emitMany(peer, 2)
    await turn()
    const shown = host.events.map(({ header }) => [header['zask'], header['heartbeat_ms']])
    expect(shown).to.deep.equal([
      [1, 5000],
      [undefined, undefined],
      [1, 5000],
      [undefined, undefined],
    ])
  })

  it('is shown what we are although the first event could not be encoded', () => {
    const peer = host.peer({ announces: true })
    expect(() => peer.emit(channel, 'OK', [() => 1])).to.throw(ZaskError)
    expect(peer.emitted).to.equal(0)
    peer.emit(channel, 'OK', [1])
    expect(host.events[0]?.header['zask']).to.equal(1)
    expect(host.writersOut).to.equal(0)
  })

  it('keeps what was collected when a later event of the turn cannot be encoded', async () => {
    const peer = host.peer({ zask: true })
    peer.emit(channel, 'STREAM', 1)
    expect(() => peer.emit(channel, 'STREAM', Symbol('x'))).to.throw(ZaskError)
    peer.emit(channel, 'STREAM', 2)
    await turn()
    expect(host.events.map(({ args }) => args)).to.deep.equal([1, 2])
    expect(host.writersOut).to.equal(0)
  })

  it('that is full keeps its events in order until there is room', async () => {
    const peer = host.peer()
    host.result = 'full'
    for (let index = 0; index < 20; index++) peer.emit(channel, 'STREAM', index)
    await pause(20)
    expect(host.messages).to.deep.equal([])
    expect(peer.pendingBytes).to.be.above(0)
    expect([peer.emitted, peer.sent]).to.deep.equal([20, 0])
    host.result = 'sent'
    await until('all events', () => host.messages.length === 20)
    expect(host.events.map(({ args }) => args)).to.deep.equal(Array.from({ length: 20 }, (_, index) => index))
    expect([peer.emitted, peer.sent, peer.pendingBytes]).to.deep.equal([20, 20, 0])
    expect(host.counters.messagesOut).to.equal(20)
  })

  it('is given up, and what waits for it dropped, when more than the allowed bytes wait', async () => {
    host.maxPendingBytes = 10_000
    const peer = host.peer()
    host.result = 'full'
    emitMany(peer, 9, Buffer.alloc(1000))
    expect(host.gone).to.deep.equal([])
    emitMany(peer, 1, Buffer.alloc(1000))
    expect(host.gone.map(({ code }) => code)).to.deep.equal(['ZASK_PEER_LOST'])
    expect(peer.pendingBytes).to.equal(0)
    host.result = 'sent'
    await pause(60)
    expect(host.messages).to.deep.equal([])
  })

  it('may get one event that alone is larger than the allowed bytes', async () => {
    host.maxPendingBytes = 10_000
    const peer = host.peer()
    emitMany(peer, 1, Buffer.alloc(50_000))
    await turn()
    expect(host.messages).to.have.length(1)
    expect(host.gone).to.deep.equal([])
  })

  for (const zask of [true, false]) {
    it(`that is ${zask ? 'zask' : 'plain'} never gets an event that was taken back, and all others in order`, async () => {
      const peer = host.peer({ zask })
      host.result = 'full'
      const many = zask ? 70 : 7
      for (let index = 1; index <= many; index++) peer.emit(channel, 'STREAM', index)
      await turn()
      // libzmq may have taken the first message; the next ones wait here, the last of a zask peer in a writer.
      for (let index = many + 1; index <= many + 3; index++) peer.emit(channel, 'STREAM', index)
      const gone = zask ? [34, 40, 35, 71, 73] : [2, 3, many, many + 2]
      for (const position of gone) expect(peer.withdraw(position), String(position)).to.equal(true)
      host.result = 'sent'
      await until('all the others', () => host.events.length === many + 3 - gone.length)
      const all = Array.from({ length: many + 3 }, (_, index) => index + 1)
      expect(host.events.map(({ args }) => args)).to.deep.equal(all.filter((one) => !gone.includes(one)))
      await until('the count', () => peer.sent === many + 3)
      expect([peer.emitted, peer.pendingBytes]).to.deep.equal([many + 3, 0])
      expect(peer.withdraw(1)).to.equal(false)
      await turn()
      expect(host.writersOut).to.equal(0)
    })
  }

  it('that is zask gets the keys of records also where the event that brought them was taken back', async () => {
    const peer = host.peer({ zask: true })
    const events: Event[] = []
    const reader = new EventReader()
    const read = async (count: number): Promise<unknown[]> => {
      host.result = 'sent'
      await until('the count', () => peer.sent === count)
      events.length = 0
      for (const frames of host.messages.splice(0))
        reader.read(frames.at(-1) as Buffer, (one) => events.push(one))
      return events.filter(({ id }) => id !== undefined).map(({ args }) => args)
    }
    for (let index = 1; index <= 40; index++) peer.emitOpening('\xa1a', 'm', record(index))
    await read(40)
    // Three messages: one that may be gone, one that waits, one that is still written.
    host.result = 'full'
    for (let index = 41; index <= 41 + 70; index++) peer.emitOpening('\xa1a', 'm', record(index))
    await turn()
    for (let index = 112; index <= 115; index++) peer.emitOpening('\xa1a', 'm', record(index))
    const gone = [73, 74, 112, 115]
    for (const position of gone) expect(peer.withdraw(position), String(position)).to.equal(true)
    const all = Array.from({ length: 75 }, (_, index) => index + 41)
    expect(await read(115)).to.deep.equal(all.filter((one) => !gone.includes(one)).map(record))
    // The last one of its message was cut off.
    const marked = events.filter(({ id }) => id === undefined)
    expect(marked.map(({ headers, malformed }) => [Object.keys(headers), malformed])).to.deep.equal([
      [['_withdrawn'], undefined],
      [['_withdrawn'], undefined],
      [['_withdrawn'], undefined],
    ])
    expect(peer.pendingBytes).to.equal(0)
  })

  it('is shown what we are again where the event that was to show it was taken back', async () => {
    const peer = host.peer({ announces: true })
    host.result = 'full'
    peer.emitOpening('\xa1a', 'one', [])
    peer.emitOpening('\xa1b', 'two', [])
    await turn()
    expect([peer.withdraw(1), peer.withdraw(2)]).to.deep.equal([true, true])
    peer.emitOpening('\xa1c', 'three', [])
    host.result = 'sent'
    await until('the third', () => host.events.length === 1)
    expect(host.events[0]).to.deep.include({ name: 'three' })
    expect(host.events[0]?.header).to.include({ zask: 1 })
  })

  it('that cannot be reached is given up', async () => {
    const peer = host.peer()
    host.result = 'unreachable'
    emitMany(peer, 3)
    await until('the loss', () => host.gone.length > 0)
    expect(host.gone.map(({ code }) => code)).to.deep.equal(['ZASK_PEER_LOST'])
    expect(peer.pendingBytes).to.equal(0)
  })

  it('gets nothing of an earlier connection on the next', async () => {
    const peer = host.peer({ zask: true })
    host.result = 'full'
    peer.emit(channel, 'STREAM', 'queued')
    peer.flush()
    peer.emit(channel, 'STREAM', 'collected')
    peer.reset()
    expect(peer.isZask).to.equal(false)
    expect([peer.emitted, peer.sent, peer.pendingBytes]).to.deep.equal([0, 0, 0])
    host.result = 'sent'
    peer.emit(channel, 'STREAM', 'new')
    await until('the new event', () => host.messages.length > 0)
    await pause(30)
    expect(host.events.map(({ args }) => args)).to.deep.equal(['new'])
    expect(peer.sent).to.equal(1)
    expect(host.writersOut).to.equal(0)
  })
})
