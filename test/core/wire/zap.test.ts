import { expect } from 'chai'
import * as zmq from 'zeromq'
import { curveKeyPair, toZ85 } from '../../../core/wire/curve.ts'
import { type Admission, ZapHandler } from '../../../core/wire/zap.ts'
import { pause } from '../../support/raw-peer.ts'

const address = 'inproc://zeromq.zap.01'
const key = Buffer.alloc(32, 7)

/** Asks as libzmq does. */
class Asker {
  readonly socket: zmq.Dealer

  constructor(context: zmq.Context) {
    this.socket = new zmq.Dealer({ context, linger: 0, receiveTimeout: 3000 })
    this.socket.connect(address)
  }

  async ask(frames: readonly (string | Buffer)[]): Promise<string[]> {
    await this.socket.send(['', ...frames])
    return (await this.socket.receive()).slice(1).map(String)
  }

  status = async (
    domain: string,
    more: Partial<Record<'version' | 'mechanism', string>> = {},
    bytes = key,
  ) => {
    const { version = '1.0', mechanism = 'CURVE' } = more
    return (await this.ask([version, '1', domain, '10.0.0.5', '', mechanism, bytes]))[2]
  }
}

describe('the ZAP handler', () => {
  // Neither it nor its sockets are ever closed: see its comment.
  const context = new zmq.Context({ blocky: false })
  let made = 0
  const handler = new ZapHandler(() => {
    made++
    const options = { context, linger: 0, sendTimeout: 0 }
    return { socket: new zmq.Router({ ...options }), waker: new zmq.Dealer({ ...options }) }
  })
  let asker: Asker
  const domains: string[] = []
  beforeEach(() => (asker = new Asker(context)))
  afterEach(() => {
    asker.socket.close()
    for (const domain of domains.splice(0)) handler.close(domain)
    expect(made).to.equal(1)
  })

  function admit(admits: (publicKey: string) => boolean, more: Partial<Admission> = {}): string {
    const domain = handler.open({ admits, ...more })
    domains.push(domain)
    return domain
  }

  it('asks the list of the domain, and no other', async () => {
    const [yes, no] = [admit(() => true), admit(() => false)]
    expect([await asker.status(yes), await asker.status(no)]).to.deep.equal(['200', '400'])
    expect(await asker.status('zask-999')).to.equal('400')
  })

  it('gives the request id back as it was, so that libzmq knows which peer is meant', async () => {
    const domain = admit(() => true)
    const answer = await asker.ask(['1.0', 'any id', domain, '10.0.0.5', '', 'CURVE', key])
    expect(answer).to.deep.equal(['1.0', 'any id', '200', 'OK', '', ''])
  })

  it('tells whom it turned away', async () => {
    const seen: unknown[] = []
    const domain = admit(() => false, { onRefused: (...who) => void seen.push(who) })
    await asker.status(domain)
    expect(seen).to.have.length(1)
    expect(seen[0]).to.deep.equal([toZ85(key), '10.0.0.5'])
  })

  it('refuses whom it cannot look up, and goes on', async () => {
    const domain = admit(() => {
      throw new Error('no list')
    })
    expect(await asker.status(domain)).to.equal('400')
    expect(await asker.status(admit(() => true))).to.equal('200')
  })

  it('survives requests that are none, and refuses them where there is somebody to answer', async () => {
    const domain = admit(() => true)
    await asker.socket.send(['no delimiter', 'x'])
    await asker.socket.send([''])
    await asker.socket.send(['', '1.0'])
    expect((await asker.ask(['1.0', 'id']))[2]).to.equal('500')
    expect((await asker.ask(['1.0', 'id', domain, 'a', '', 'CURVE']))[2]).to.equal('500')
    expect((await asker.ask(['1.0', 'id', domain, 'a', '', 'CURVE', key, 'more']))[2]).to.equal('500')
    expect(await asker.status(domain, { version: '2.0' })).to.equal('500')
    expect(await asker.status(domain, { mechanism: 'NULL' })).to.equal('400')
    expect(await asker.status(domain, { mechanism: 'PLAIN' })).to.equal('400')
    expect(await asker.status(domain, {}, Buffer.alloc(31))).to.equal('400')
    expect(await asker.status(domain)).to.equal('200')
  })

  it('answers nobody when the last server has gone, and the next one at once', async () => {
    for (let round = 0; round < 20; round++) {
      const [first, second] = [admit(() => true), admit(() => true)]
      handler.close(first)
      expect(await asker.status(first)).to.equal('400')
      expect(await asker.status(second)).to.equal('200')
      handler.close(second)
      // Half of the time the last one is quite gone before the next one comes.
      if (round % 2 === 0) await pause(5)
      const third = admit(() => true)
      expect(await asker.status(second)).to.equal('400')
      expect(await asker.status(third)).to.equal('200')
      handler.close(third)
    }
  })

  it('answers a thousand questions, however long the list is', async () => {
    const list = new Set(Array.from({ length: 2000 }, () => curveKeyPair().publicKey))
    const domain = admit((publicKey) => list.has(publicKey))
    for (let count = 0; count < 1000; count++) expect(await asker.status(domain)).to.equal('400')
  })
})
