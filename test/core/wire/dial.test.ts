import { expect } from 'chai'
import { Dial } from '../../../core/wire/dial.ts'
import type { MonitorEvent } from '../../../core/wire/monitor.ts'
import { pause, until } from '../../support/raw-peer.ts'

const endpoint = 'tcp://127.0.0.1:4242'
const failed = (kind: string, code?: string): MonitorEvent => ({
  type: `handshake:error:${kind}`,
  address: endpoint,
  error: code === undefined ? {} : { code },
})
const gone: MonitorEvent = { type: 'disconnect', address: endpoint }
const retry: MonitorEvent = { type: 'connect:retry', address: endpoint }
const up: MonitorEvent = { type: 'handshake', address: endpoint }

function hear(dial: Dial, ...events: MonitorEvent[]): void {
  for (const event of events) dial.onEvent(event)
}

describe('a dial', () => {
  let done: string[]
  let seen: string[]
  let dials: Dial[]
  beforeEach(() => ([done, seen, dials] = [[], [], []]))
  afterEach(() => {
    for (const dial of dials) dial.close()
  })

  function make(encrypts = true): Dial {
    const dialler = {
      connect: () => void done.push('connect'),
      disconnect: () => void done.push('disconnect'),
    }
    const listener = {
      onUp: () => void seen.push('up'),
      onDown: () => void seen.push('down'),
      onRefused: (reason: string) => void seen.push(reason),
    }
    const dial = new Dial(dialler, listener, encrypts)
    dials.push(dial)
    return dial
  }

  it('takes an unknown key and another mechanism for a refusal at once', () => {
    for (const [event, reason] of [
      [failed('auth'), 'key'],
      [failed('protocol', 'ERR_ZMTP_MECHANISM_MISMATCH'), 'mechanism'],
    ] as const) {
      const dial = make()
      dial.connect(endpoint)
      hear(dial, event, gone)
      expect(seen.splice(0)).to.deep.equal([reason])
    }
  })

  it('takes a handshake that is cut for a refusal when the next one is cut, too', () => {
    const dial = make()
    dial.connect(endpoint)
    hear(dial, failed('other', 'EPIPE'), gone, retry)
    expect(seen).to.deep.equal([])
    hear(dial, failed('other', 'EPIPE'), gone, retry)
    expect(seen).to.deep.equal(['cut'])
  })

  it('forgets a cut once a handshake has succeeded', () => {
    const dial = make()
    dial.connect(endpoint)
    hear(dial, failed('other'), gone, up, gone, failed('other'), gone)
    expect(seen).to.deep.equal(['up', 'down'])
  })

  it('makes nothing of cut handshakes where it does not encrypt', () => {
    const dial = make(false)
    dial.connect(endpoint)
    for (let count = 0; count < 5; count++) hear(dial, failed('other'), gone, retry)
    expect(seen).to.deep.equal([])
    expect(done).to.deep.equal(['connect'])
  })

  it('makes nothing of strangers that fail to come in where it is bound', () => {
    const dial = make()
    hear(dial, failed('auth'), gone, failed('protocol', 'ERR_ZMTP_MECHANISM_MISMATCH'), gone)
    hear(dial, failed('other'), gone, failed('other'), gone)
    expect(seen).to.deep.equal([])
    expect(done).to.deep.equal([])
  })

  it('leaves a server that refuses it alone for a while, whatever libzmq would do, and then asks again', async () => {
    const dial = make()
    dial.connect(endpoint)
    hear(dial, failed('auth'), gone, retry)
    expect(done).to.deep.equal(['connect', 'disconnect'])
    await until('the next attempt', () => done.length > 2)
    expect(done).to.deep.equal(['connect', 'disconnect', 'disconnect', 'connect'])
    // The second pause is longer than the first.
    hear(dial, failed('auth'), gone, retry)
    await pause(600)
    expect(done).to.have.length(5)
    await until('the attempt after that', () => done.length > 6)
    expect(seen).to.deep.equal(['key', 'key'])
  })

  it('asks nobody any more once it is closed', async () => {
    const dial = make()
    dial.connect(endpoint)
    hear(dial, failed('auth'), gone)
    dial.close()
    hear(dial, failed('auth'), gone)
    await pause(600)
    expect(done).to.deep.equal(['connect', 'disconnect'])
    expect(seen).to.deep.equal(['key'])
  })
})
