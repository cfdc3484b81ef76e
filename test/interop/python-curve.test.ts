import { expect } from 'chai'
import { curveKeyPair } from '../../core/index.ts'
import { Cores, failure } from '../support/cores.ts'
import { hashOf, PythonServer, requirePython, runScript } from './python-peer.ts'

class Facing {
  add(a: number, b: number): number {
    return a + b
  }

  *count(n: number): Generator<number> {
    for (let i = 0; i < n; i++) yield i
  }

  fail(): never {
    throw new RangeError('on purpose')
  }
}

/** Methods of `Service` in zerorpc_peer.py. */
interface Service {
  add(a: number, b: number): number
  stream(n: number): Generator<number>
  fail(message: string): never
}

describe('interop: encrypted, with pyzmq', () => {
  before(function () {
    requirePython(this)
  })

  const cores = new Cores()
  afterEach(() => cores.close())
  const [server, known, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()]

  it('zask serves a Python caller whose key is listed', async () => {
    const curve = { secretKey: server.secretKey, allow: [known.publicKey] }
    const { core, endpoint } = await cores.serve(new Facing(), { curve })
    const { steps, ...end } = await runScript(
      endpoint,
      [{ call: 'add', args: [2, 3] }, { call: 'count', args: [1000] }, { call: 'fail' }],
      { curve: { ...known, serverKey: server.publicKey } },
    )
    expect(steps[0]?.value).to.equal(5)
    expect(steps[1]).to.include({ count: 1000, hash: hashOf(Array.from({ length: 1000 }, (_, i) => i)) })
    expect(steps[2]?.error?.slice(0, 2)).to.deep.equal(['RangeError', 'on purpose'])
    expect(end).to.deep.include({ violations: [], open: 0, lost: 0 })
    expect(core.stats.wire.refused).to.deep.equal({})
  })

  it('zask lets no Python caller in whose key is not listed', async () => {
    const curve = { secretKey: server.secretKey, allow: [known.publicKey] }
    const { core, endpoint } = await cores.serve(new Facing(), { curve })
    const { steps } = await runScript(endpoint, [{ call: 'add', args: [2, 3], timeout: 0.5 }], {
      curve: { ...stranger, serverKey: server.publicKey },
    })
    expect(steps[0]?.failed?.[0]).to.equal('TimeoutExpired')
    expect(core.stats.wire).to.include({ eventsIn: 0 })
    expect(core.stats.wire.refused['unknown key']).to.be.at.least(1)
  })

  it('zask calls a Python server that lets it in, and is told where it does not', async () => {
    const python = await PythonServer.start({ curve: { ...server, allow: [known.publicKey] } })
    const keys = { serverKey: server.publicKey, ...known }
    const { client } = await cores.client<Service>(python.endpoint, { curve: keys })
    expect(await client.add(2, 3)).to.equal(5)
    const items: number[] = []
    for await (const item of client.stream(500)) items.push(item)
    expect(items).to.deep.equal(Array.from({ length: 500 }, (_, i) => i))
    expect(await failure(client.fail('no'))).to.include({ remoteName: 'ValueError', message: 'no' })
    for (const curve of [{ ...keys, ...stranger }, { ...keys, serverKey: stranger.publicKey }, undefined]) {
      const { client: other } = await cores.client<Service>(python.endpoint, curve && { curve })
      expect(await failure(other.add(2, 3))).to.include({ code: 'ZASK_PEER_REFUSED', sent: false })
    }
    expect((await python.stop()).violations).to.deep.equal([])
  })
})
