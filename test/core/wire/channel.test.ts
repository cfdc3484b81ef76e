import { expect } from 'chai'
import { ZaskError } from '../../../core/errors.ts'
import { Channel, type ChannelListener } from '../../../core/wire/channel.ts'
import type { Event } from '../../../core/wire/event.ts'
import type { Peer } from '../../../core/wire/peer.ts'
import { event, FakeHost } from '../../support/fake-host.ts'
import { pause, until } from '../../support/raw-peer.ts'

class Recorder implements ChannelListener {
  readonly events: Event[] = []
  readonly lost: ZaskError[] = []
  cancels = 0

  onEvent(one: Event): void {
    this.events.push(one)
  }

  onLost(error: ZaskError): void {
    this.lost.push(error)
  }

  onCancel(): void {
    this.cancels++
  }
}

/** The error a promise ends with, or undefined. */
async function failure(promise: Promise<unknown> | undefined): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return undefined
}

const codeOf = (error: unknown): string | undefined => (error instanceof ZaskError ? error.code : undefined)

describe('a channel', () => {
  let host: FakeHost
  let ids: number
  beforeEach(() => {
    host = new FakeHost()
    ids = 0
  })
  afterEach(() => host.wheel.close())

  function open(
    peer: Peer,
    { window = 100, heartbeatMs = null as number | null, activeHeartbeat = false } = {},
  ): { channel: Channel; heard: Recorder } {
    const channel = new Channel(peer, `\xa1${ids++}`, { window, heartbeatMs, activeHeartbeat })
    const heard = new Recorder()
    channel.listener = heard
    peer.channels.add(channel)
    channel.opened(performance.now())
    return { channel, heard }
  }

  /** Reads items as fast as they come, and says after which of them credit was granted, and how much. */
  async function grants(channel: Channel, items: number): Promise<[number, number][]> {
    const seen: [number, number][] = []
    for (let item = 0; item <= items; item++) {
      const before = host.events.length
      channel.beforeRead()
      await new Promise((resolve) => setImmediate(resolve))
      for (const { name, args } of host.events.slice(before)) {
        expect(name).to.equal('_zpc_more')
        seen.push([item, (args as number[])[0] as number])
      }
      if (item < items) {
        channel.receive(event('STREAM', item))
        channel.read()
      }
    }
    return seen
  }

  describe('as a sender', () => {
    it('may send one event, and then as many as were granted', async () => {
      const { channel } = open(host.peer())
      expect(channel.credit).to.equal(1)
      expect(channel.ready()).to.equal(undefined)
      channel.emit('STREAM', 1)
      expect(channel.credit).to.equal(0)
      let ready = false
      const waiting = channel.ready()?.then(() => (ready = true))
      await pause(5)
      expect(ready).to.equal(false)
      channel.receive(event('_zpc_more', [3]))
      await waiting
      expect(channel.credit).to.equal(3)
    })

    it('adds credit to what is left, as zerorpc-python does', () => {
      const { channel } = open(host.peer())
      channel.receive(event('_zpc_more', [100]))
      channel.receive(event('_zpc_more', [51]))
      expect(channel.credit).to.equal(152)
    })

    it('takes no more than 10,000 together: what zerorpc-node grants in bursts adds up far beyond its wish', () => {
      const { channel, heard } = open(host.peer())
      for (let time = 0; time < 300; time++) channel.receive(event('_zpc_more', [100]))
      expect(channel.credit).to.equal(10_000)
      expect(heard.lost).to.deep.equal([])
    })

    const badCredits: [string, unknown][] = [
      ['negative', [-1]],
      ['zero', [0]],
      ['not a number', [NaN]],
      ['infinite', [Infinity]],
      ['above 10,000', [10_001]],
      ['above 2 ** 53', [2n ** 60n]],
      ['a float', [1.5]],
      ['text', ['100']],
      ['bytes', [Buffer.from('100')]],
      ['true', [true]],
      ['nil', [null]],
      ['an array', [[100]]],
      ['missing', []],
      ['not in an array', 100],
      ['nothing at all', null],
    ]
    for (const [what, args] of badCredits) {
      it(`is lost by credit that is ${what}, and it alone`, () => {
        const peer = host.peer()
        const [bad, good] = [open(peer), open(peer)]
        bad.channel.receive(event('_zpc_more', args))
        expect(bad.heard.lost.map(codeOf)).to.deep.equal(['ZASK_WIRE_CREDIT'])
        expect(bad.channel.closed).to.equal(true)
        expect([...peer.channels.values()]).to.deep.equal([good.channel])
        good.channel.receive(event('_zpc_more', [5]))
        expect(good.channel.credit).to.equal(6)
      })
    }

    it('stops waiting for credit when it closes', async () => {
      const { channel } = open(host.peer())
      channel.emit('STREAM', 1)
      const waiting = failure(channel.ready())
      channel.close()
      expect(codeOf(await waiting)).to.equal('ZASK_CALL_CANCELLED')
      expect(codeOf(await failure(channel.ready()))).to.equal('ZASK_CALL_CANCELLED')
    })

    it('keeps its credit when an event cannot be encoded', () => {
      const { channel } = open(host.peer())
      expect(() => channel.emit('STREAM', () => 1)).to.throw(ZaskError)
      expect(channel.credit).to.equal(1)
      expect(host.events).to.deep.equal([])
    })

    it('says nothing once it is closed', () => {
      const { channel } = open(host.peer())
      channel.emit('OK', [1])
      channel.close()
      expect(() => channel.emit('OK', [2])).to.throw(ZaskError)
      channel.beforeRead()
      channel.beforeRead()
      channel.cancel()
      channel.lose(new ZaskError('ZASK_PEER_LOST', 'late'))
      expect(host.said).to.deep.equal([['OK', [1]]])
    })

    it('finds out whether a plain reader that never beats and grants nothing is still there', async () => {
      const { channel } = open(host.peer(), { heartbeatMs: 20 })
      await pause(60)
      expect(host.said).to.deep.equal([])
      channel.emit('STREAM', 1)
      const waiting = channel.ready()
      await until('a beat', () => host.said.length >= 2)
      expect(host.said.slice(0, 2)).to.deep.equal([
        ['STREAM', 1],
        ['_zpc_hb', [0]],
      ])
      channel.receive(event('_zpc_more', [5]))
      await waiting
      const { length } = host.said
      await pause(60)
      expect(host.said).to.have.length(length)
    })
  })

  describe('as a reader', () => {
    it('grants nothing for the answer of a plain call', () => {
      const { channel } = open(host.peer())
      channel.beforeRead()
      channel.receive(event('OK', [1]))
      channel.read()
      expect(host.events).to.deep.equal([])
    })

    it('grants the window at the second read, then what was read whenever it is more than half', async () => {
      const { channel } = open(host.peer())
      expect(await grants(channel, 210)).to.deep.equal([
        [1, 100],
        [52, 51],
        [103, 51],
        [154, 51],
        [205, 51],
      ])
    })

    it('does so in the rhythm of zerorpc-python for other windows too', async () => {
      expect(await grants(open(host.peer(), { window: 10 }).channel, 20)).to.deep.equal([
        [1, 10],
        [7, 6],
        [13, 6],
        [19, 6],
      ])
      expect(await grants(open(host.peer(), { window: 2 }).channel, 6)).to.deep.equal([
        [1, 2],
        [3, 2],
        [5, 2],
      ])
    })

    it('grants nothing while nobody reads, however much arrives', () => {
      const { channel, heard } = open(host.peer(), { window: 10 })
      for (let item = 0; item < 10; item++) channel.receive(event('STREAM', item))
      expect(host.events).to.deep.equal([])
      expect(heard.events).to.have.length(10)
    })

    it('is lost by one unread event more than the window, and it alone', () => {
      const peer = host.peer()
      const [bad, good] = [open(peer, { window: 10 }), open(peer, { window: 10 })]
      for (let item = 0; item < 11; item++) bad.channel.receive(event('STREAM', item))
      expect(bad.heard.lost.map(codeOf)).to.deep.equal(['ZASK_WIRE_CREDIT'])
      expect(bad.heard.events).to.have.length(10)
      expect(good.channel.closed).to.equal(false)
    })

    it('does not count beats and credit as events', () => {
      const { channel, heard } = open(host.peer(), { window: 2 })
      for (let time = 0; time < 20; time++) {
        channel.receive(event('_zpc_hb', [0]))
        channel.receive(event('_zpc_more', [1]))
      }
      expect(heard.events).to.deep.equal([])
      expect(heard.lost).to.deep.equal([])
    })
  })

  describe('given up', () => {
    it('tells a zask peer at once', async () => {
      const { channel } = open(host.peer({ zask: true }))
      channel.cancel()
      await until('the message', () => host.messages.length === 1)
      expect(host.said).to.deep.equal([['_zask_cancel', null]])
      expect(channel.closed).to.equal(true)
    })

    it('tells a plain peer nothing', async () => {
      const { channel } = open(host.peer())
      channel.cancel()
      await pause(5)
      expect(host.said).to.deep.equal([])
    })

    it('by a zask peer is closed and tells its listener; by a plain peer nothing happens', () => {
      const theirs = open(host.peer({ zask: true }))
      theirs.channel.receive(event('_zask_cancel', null))
      expect([theirs.heard.cancels, theirs.channel.closed]).to.deep.equal([1, true])
      const plain = open(host.peer())
      plain.channel.receive(event('_zask_cancel', null))
      expect([plain.heard.cancels, plain.channel.closed]).to.deep.equal([0, false])
      expect(plain.heard.events).to.deep.equal([])
    })
  })

  describe('with a heartbeat', () => {
    const heartbeatMs = 60

    it('beats a zask peer, the first time one interval after it was opened', async () => {
      const start = performance.now()
      const { channel } = open(host.peer({ zask: true }), { heartbeatMs })
      await until('a beat', () => host.messages.length === 1)
      expect(performance.now()).to.be.at.least(start + heartbeatMs)
      expect(host.said).to.deep.equal([['_zpc_hb', [0]]])
      channel.close()
    })

    it('gives a zask peer that never says anything up at the third tick', async () => {
      const start = performance.now()
      const { channel, heard } = open(host.peer({ zask: true }), { heartbeatMs })
      await until('the loss', () => heard.lost.length === 1)
      expect(performance.now()).to.be.at.least(start + 3 * heartbeatMs)
      // One more than zerorpc-python sends: with the second look.
      expect(host.said).to.deep.equal(Array.from({ length: 3 }, () => ['_zpc_hb', [0]]))
      expect(heard.lost.map(codeOf)).to.deep.equal(['ZASK_PEER_LOST'])
      expect(heard.lost[0]).to.include({ sent: true, retryable: false })
      expect(channel.closed).to.equal(true)
      expect(host.wheel.size).to.equal(0)
    })

    it('beats a plain peer only where it is told to, and gives it up as one of zask', async () => {
      const { channel, heard } = open(host.peer(), { heartbeatMs, activeHeartbeat: true })
      const passive = open(host.peer(), { heartbeatMs })
      await until('the loss', () => heard.lost.length === 1)
      expect(host.said).to.deep.equal(Array.from({ length: 3 }, () => ['_zpc_hb', [0]]))
      expect([channel.closed, passive.channel.closed]).to.deep.equal([true, false])
      passive.channel.close()
    })

    it('gives a zask peer up no sooner than two intervals after it was heard last', async () => {
      const { channel, heard } = open(host.peer({ zask: true }), { heartbeatMs })
      let last = 0
      for (let time = 0; time < 5; time++) {
        await pause(heartbeatMs)
        last = performance.now()
        channel.receive(event('_zpc_hb', [0]))
      }
      expect(heard.lost).to.deep.equal([])
      await until('the loss', () => heard.lost.length === 1)
      expect(performance.now()).to.be.at.least(last + 2 * heartbeatMs)
    })

    it('takes any event for a sign of life', async () => {
      const { channel, heard } = open(host.peer({ zask: true }), { heartbeatMs })
      channel.beforeRead()
      for (let time = 0; time < 12; time++) {
        await pause(30)
        channel.receive(event('STREAM', time))
        channel.read()
      }
      expect(heard.lost).to.deep.equal([])
      channel.close()
    })

    it('does not answer the beats of a zask peer: it beats by itself', async () => {
      const { channel } = open(host.peer({ zask: true }), { heartbeatMs: 5000 })
      channel.receive(event('_zpc_hb', [0]))
      await pause(10)
      expect(host.said).to.deep.equal([])
      channel.close()
    })

    it('neither beats nor judges a zask peer that says it sends no beats', async () => {
      const peer = host.peer({ zask: true })
      peer.beatMs = null
      const { channel, heard } = open(peer, { heartbeatMs: 20 })
      await pause(200)
      expect(host.said).to.deep.equal([])
      expect(heard.lost).to.deep.equal([])
      channel.close()
    })

    it('judges a zask peer that says it beats more slowly by that pace', async () => {
      const peer = host.peer({ zask: true })
      peer.beatMs = 150
      const start = performance.now()
      const { heard } = open(peer, { heartbeatMs: 20 })
      await until('the loss', () => heard.lost.length === 1)
      expect(performance.now()).to.be.at.least(start + 2 * 150)
    })

    it('sends a plain peer no beats and never misses any, as long as it sends none', async () => {
      const { channel, heard } = open(host.peer(), { heartbeatMs: 20 })
      await pause(200)
      expect(host.said).to.deep.equal([])
      expect(heard.lost).to.deep.equal([])
      channel.close()
    })

    it('answers each beat of a plain peer, and gives it up when they stop', async () => {
      const { channel, heard } = open(host.peer(), { heartbeatMs })
      let last = 0
      for (let time = 0; time < 4; time++) {
        await pause(heartbeatMs)
        last = performance.now()
        channel.receive(event('_zpc_hb', [0]))
      }
      expect(host.said).to.deep.equal(Array.from({ length: 4 }, () => ['_zpc_hb', [0]]))
      await until('the loss', () => heard.lost.length === 1)
      expect(performance.now()).to.be.at.least(last + 2 * heartbeatMs)
      expect(heard.lost.map(codeOf)).to.deep.equal(['ZASK_PEER_LOST'])
      expect(host.said).to.have.length(4)
    })

    it('does not mind what the arguments of a beat are', () => {
      const { channel, heard } = open(host.peer(), { heartbeatMs: 5000 })
      channel.receive(event('_zpc_hb', null))
      channel.receive(event('_zpc_hb', ['x', {}]))
      expect(heard.lost).to.deep.equal([])
      channel.close()
    })

    it('measures a plain peer that beats more slowly than itself by its own pace', async () => {
      const { channel, heard } = open(host.peer(), { heartbeatMs: 20 })
      for (let time = 0; time < 3; time++) {
        await pause(150)
        channel.receive(event('_zpc_hb', [0]))
      }
      // Two beats read at once after a hold-up do not make it a fast one.
      channel.receive(event('_zpc_hb', [0]))
      const last = performance.now()
      await until('the loss', () => heard.lost.length === 1)
      expect(performance.now()).to.be.at.least(last + 2 * 150)
    })

    it('answers a flood of beats with few', async () => {
      const { channel } = open(host.peer(), { heartbeatMs: 5000 })
      for (let time = 0; time < 10_000; time++) channel.receive(event('_zpc_hb', [0]))
      expect(host.said.length).to.be.within(1, 20)
      channel.close()
    })

    it('loses nobody because its own event loop was held up', async () => {
      const { channel, heard } = open(host.peer({ zask: true }), { heartbeatMs: 40 })
      await pause(50)
      const end = performance.now() + 300
      while (performance.now() < end);
      // What came meanwhile is read after the timers have run.
      setImmediate(() => setImmediate(() => channel.receive(event('_zpc_hb', [0]))))
      await pause(60)
      expect(heard.lost).to.deep.equal([])
      channel.close()
    })

    it('switched off sends none, answers none and misses none', async () => {
      for (const zask of [true, false]) {
        const { channel, heard } = open(host.peer({ zask }), { heartbeatMs: null })
        channel.receive(event('_zpc_hb', [0]))
        await pause(50)
        expect(host.said).to.deep.equal([])
        expect(heard.lost).to.deep.equal([])
        expect(host.wheel.size).to.equal(0)
        channel.close()
      }
    })

    it('leaves no timer behind when it is closed', () => {
      const { channel } = open(host.peer({ zask: true }), { heartbeatMs })
      expect(host.wheel.size).to.equal(1)
      channel.close()
      expect(host.wheel.size).to.equal(0)
    })
  })
})
