import { expect } from 'chai'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZaskError } from '../../../core/errors.ts'
import { checkEndpoint } from '../../../core/wire/endpoint.ts'
import { type SocketListener, WireSocket } from '../../../core/wire/socket.ts'
import { until } from '../../support/raw-peer.ts'

async function failure(run: () => unknown): Promise<ZaskError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof ZaskError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('a socket', () => {
  let sockets: WireSocket[]
  let folder: string
  beforeEach(() => {
    sockets = []
    folder = mkdtempSync(join(tmpdir(), 'zask-'))
  })
  afterEach(async () => {
    for (const socket of sockets) await socket.close()
    rmSync(folder, { recursive: true })
  })

  function make(kind: 'router' | 'dealer', listener: Partial<SocketListener> = {}): WireSocket {
    const socket = new WireSocket(
      kind,
      { onMessage: () => undefined, ...listener },
      {
        maxFrameBytes: 1024 * 1024,
        handshakeTimeoutMs: 2000,
        lingerMs: 0,
        heartbeatMs: 5000,
      },
    )
    sockets.push(socket)
    return socket
  }

  it('takes messages apart into frames, both ways', async () => {
    const [there, back]: [Buffer[][], Buffer[][]] = [[], []]
    const router = make('router', {
      onMessage: (frames) => {
        there.push(frames)
        void router.send([frames[0] as Buffer, '', 'answer'])
      },
    })
    const endpoint = await router.bind('tcp://127.0.0.1:*')
    let up = false
    const dealer = make('dealer', { onMessage: (frames) => back.push(frames), onUp: () => (up = true) })
    dealer.connect(endpoint)
    await until('the connection', () => up)
    expect(await dealer.send(['', Buffer.from('question')])).to.equal('sent')
    await until('the answer', () => back.length === 1)
    expect(there[0]?.slice(1).map(String)).to.deep.equal(['', 'question'])
    expect(back[0]?.map(String)).to.deep.equal(['', 'answer'])
  })

  it('says so when nobody has the address of a message', async () => {
    const router = make('router')
    await router.bind('tcp://127.0.0.1:*')
    expect(await router.send(['nobody', '', 'x'])).to.equal('unreachable')
  })

  it('keeps nothing for a server that is not there', async () => {
    const dealer = make('dealer')
    dealer.connect('tcp://127.0.0.1:9')
    expect(await dealer.send(['', 'x'])).to.equal('full')
  })

  it('never rejects, also when it is closed', async () => {
    const dealer = make('dealer')
    dealer.connect('tcp://127.0.0.1:9')
    await dealer.close()
    await dealer.close()
    expect(dealer.closed).to.equal(true)
    expect(await dealer.send(['', 'x'])).to.equal('unreachable')
  })

  it('tells of each connection that comes and goes', async () => {
    const router = make('router')
    const endpoint = await router.bind('tcp://127.0.0.1:*')
    const seen: string[] = []
    const dealer = make('dealer', { onUp: () => seen.push('up'), onDown: () => seen.push('down') })
    dealer.connect(endpoint)
    await until('up', () => seen.length === 1)
    await router.close()
    await until('down', () => seen.length === 2)
    const again = make('router')
    await again.bind(endpoint)
    await until('up again', () => seen.length === 3)
    expect(seen).to.deep.equal(['up', 'down', 'up'])
  })

  it('comes back after what libzmq takes for the end: something else answered at the address', async () => {
    // Speaks ZMTP up to the handshake, which it breaks: a Ready whose metadata runs beyond its end.
    const greeting = Buffer.alloc(64)
    greeting.write('ff00000000000000017f0300', 'hex')
    greeting.write('NULL', 12)
    const ready = Buffer.from('\x04\x0a\x05READY\xff\xff\xff\xff', 'latin1')
    const stranger = createServer((socket) => {
      socket.on('error', () => undefined).resume()
      socket.write(Buffer.concat([greeting, ready]))
    })
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    const { port } = stranger.address() as AddressInfo
    let met = false
    stranger.on('connection', () => (met = true))
    const seen: string[] = []
    const dealer = make('dealer', { onUp: () => seen.push('up'), onDown: () => seen.push('down') })
    dealer.connect(`tcp://127.0.0.1:${port}`)
    await until('the stranger', () => met)
    await new Promise((resolve) => stranger.close(resolve))
    await make('router').bind(`tcp://127.0.0.1:${port}`)
    await until('up', () => seen.length > 0)
    expect(seen).to.deep.equal(['up'])
  })

  it('resolves port 0 and * to the real port', async () => {
    for (const port of ['*', '0'])
      expect(await make('router').bind(`tcp://127.0.0.1:${port}`)).to.match(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/)
  })

  it('says that an endpoint is in use, and what to do', async () => {
    const endpoint = await make('router').bind('tcp://127.0.0.1:*')
    const error = await failure(() => make('router').bind(endpoint))
    expect(error.code).to.equal('ZASK_ENDPOINT_IN_USE')
    expect(error.message).to.contain(endpoint).and.contain('port *')
  })

  it('says that an address is not of this machine', async () => {
    const error = await failure(() => make('router').bind('tcp://192.0.2.1:4242'))
    expect(error.code).to.equal('ZASK_ENDPOINT_INVALID')
    expect(error.message).to.contain('192.0.2.1').and.contain('address of this machine')
  })

  describe('on a path', () => {
    it('removes its file when it is closed', async () => {
      const path = join(folder, 'a.sock')
      const router = make('router')
      await router.bind(`ipc://${path}`)
      expect(existsSync(path)).to.equal(true)
      await router.close()
      expect(existsSync(path)).to.equal(false)
    })

    it('does not steal the path of a socket that lives', async () => {
      const path = join(folder, 'a.sock')
      await make('router').bind(`ipc://${path}`)
      const error = await failure(() => make('router').bind(`ipc://${path}`))
      expect(error.code).to.equal('ZASK_ENDPOINT_IN_USE')
      expect(existsSync(path)).to.equal(true)
    })

    it('takes the path over from a process that died', async () => {
      const path = join(folder, 'dead.sock')
      const dead = createServer()
      await new Promise<void>((resolve) => dead.listen(path, resolve))
      // Closing would remove the file; renaming leaves one that nobody listens on.
      const { renameSync } = await import('node:fs')
      renameSync(path, `${path}.kept`)
      await new Promise((resolve) => dead.close(resolve))
      renameSync(`${path}.kept`, path)
      const router = make('router')
      await router.bind(`ipc://${path}`)
      expect(existsSync(path)).to.equal(true)
    })

    it('does not overwrite a file that is no socket', async () => {
      const path = join(folder, 'data')
      writeFileSync(path, 'precious')
      const error = await failure(() => make('router').bind(`ipc://${path}`))
      expect(error.code).to.equal('ZASK_ENDPOINT_INVALID')
      expect(error.message).to.contain('no socket')
      expect(existsSync(path)).to.equal(true)
    })
  })

  const bad: [string, string][] = [
    ['127.0.0.1:4242', 'transport'],
    ['http://127.0.0.1:4242', 'transport'],
    ['udp://127.0.0.1:4242', 'transport'],
    ['tcp://127.0.0.1', 'port'],
    ['tcp://127.0.0.1:', 'port'],
    ['tcp://127.0.0.1:http', 'port'],
    [`ipc:///${'x'.repeat(120)}`, '100 bytes'],
    ['ipc://*', 'random'],
  ]
  for (const [endpoint, reason] of bad) {
    it(`refuses the endpoint ${endpoint.slice(0, 30)}: ${reason}`, async () => {
      for (const run of [
        () => checkEndpoint(endpoint),
        () => make('router').bind(endpoint),
        () => make('dealer').connect(endpoint),
      ]) {
        const error = await failure(run)
        expect(error.code).to.equal('ZASK_ENDPOINT_INVALID')
        expect(error.message).to.contain(endpoint).and.contain(reason).and.contain('tcp://127.0.0.1:4242')
      }
    })
  }
})
