import { expect } from 'chai'
import { connect } from 'node:net'
import * as zmq from 'zeromq'
import { ZaskError } from '../../../core/errors.ts'
import { type EndOptions, wireOptions } from '../../../core/options.ts'
import type { Channel, ChannelListener } from '../../../core/wire/channel.ts'
import { Connection } from '../../../core/wire/connection.ts'
import { WireCounters } from '../../../core/wire/counters.ts'
import type { Event } from '../../../core/wire/event.ts'
import { ServerMultiplexer } from '../../../core/wire/multiplexer.ts'
import { TimerWheel } from '../../../core/wire/timer-wheel.ts'
import { pack, pause, RawRouter, until } from '../../support/raw-peer.ts'

class Answer implements ChannelListener {
  readonly events: Event[] = []
  readonly lost: ZaskError[] = []

  onEvent(event: Event): void {
    this.events.push(event)
  }

  onLost(error: ZaskError): void {
    this.lost.push(error)
  }
}

/** Opens a channel and says what became of it. */
function call(connection: Connection): Answer {
  const answer = new Answer()
  connection.open(answer, 'method', [1], undefined)
  return answer
}

describe('a connection', () => {
  let wheel: TimerWheel
  let counters: WireCounters
  let toClose: (() => unknown)[]
  let changes: number

  beforeEach(() => {
    wheel = new TimerWheel()
    counters = new WireCounters()
    toClose = []
    changes = 0
  })
  afterEach(async () => {
    for (const close of toClose.toReversed()) await close()
    wheel.close()
  })

  function make(endpoint: string, options: EndOptions = {}): Connection {
    const connection = new Connection(endpoint, wireOptions(options, 0), wheel, counters, {
      onChange: () => changes++,
    })
    toClose.push(() => connection.close(new ZaskError('ZASK_CLIENT_CLOSED', 'closed')))
    return connection
  }

  async function router(endpoint?: string): Promise<{ router: RawRouter; endpoint: string }> {
    const one = new RawRouter()
    toClose.push(() => one.close())
    return { router: one, endpoint: await one.bind(endpoint) }
  }

  async function connected(options: EndOptions = {}): Promise<{
    router: RawRouter
    endpoint: string
    connection: Connection
  }> {
    const server = await router()
    const connection = make(server.endpoint, options)
    connection.connect()
    await until('the connection', () => connection.up)
    return { ...server, connection }
  }

  it('is up once the server has shaken hands, and sends requests as zerorpc does', async () => {
    const { router: server, connection } = await connected()
    expect(changes).to.equal(1)
    connection.open(new Answer(), 'add', [1, 4], { service_name: 'x' })
    const { envelope, events } = await server.next()
    expect(envelope[1]).to.deep.equal(Buffer.alloc(0))
    expect(events).to.have.length(1)
    const { header, name, args } = events[0]!
    expect([name, args]).to.deep.equal(['add', [1, 4]])
    expect(Object.keys(header).slice(0, 3)).to.deep.equal(['message_id', 'v', 'service_name'])
    expect(header['v']).to.equal(3)
    // A bin of 32 hex digits, as zerorpc-python sends it.
    expect(Buffer.from(header['message_id'] as Uint8Array).toString()).to.match(/^[0-9a-f]{32}$/)
  })

  it('routes answers to their channels, whichever comes first', async () => {
    const { router: server, connection } = await connected()
    const answers = [call(connection), call(connection)]
    const requests = [await server.next(), await server.next()]
    await server.reply(requests[1]!, 'OK', ['second'])
    await server.reply(requests[0]!, 'OK', ['first'])
    await until('both', () => answers.every(({ events }) => events.length === 1))
    expect(answers.map(({ events }) => events[0]?.args)).to.deep.equal([['first'], ['second']])
  })

  it('drops answers to nobody, answers of the wrong type of id, and requests', async () => {
    const { router: server, connection } = await connected()
    const answer = call(connection)
    const request = await server.next()
    const id = request.events[0]?.header['message_id'] as Uint8Array
    const text = Buffer.from(id).toString()
    await server.replyRaw(request, pack({ message_id: 'x', v: 3, response_to: text }, 'OK', [1]))
    await server.replyRaw(request, pack({ message_id: 'x', v: 3, response_to: 'nobody' }, 'OK', [1]))
    await server.replyRaw(request, pack({ message_id: 'x', v: 3 }, 'OK', [1]))
    await server.replyRaw(request, Buffer.from('c1', 'hex'))
    await server.reply(request, 'OK', ['right'])
    await until('the answer', () => answer.events.length > 0)
    expect(answer.events.map(({ args }) => args)).to.deep.equal([['right']])
    expect(Object.fromEntries(counters.dropped)).to.deep.equal({
      'unknown channel': 2,
      'request to a client': 1,
      'not msgpack': 1,
    })
  })

  it('leaves no channel behind when a request cannot be encoded', async () => {
    const { connection } = await connected({ heartbeat: { intervalMs: 1000 } })
    expect(() => connection.open(new Answer(), 'm', [() => 1], undefined)).to.throw(ZaskError)
    expect([connection.openChannels, wheel.size]).to.deep.equal([0, 0])
  })

  it('that breaks loses its open calls at once, as sent', async () => {
    const { router: server, connection } = await connected()
    const answers = [call(connection), call(connection)]
    await until('the requests', () => server.seen.length === 2)
    server.close()
    await until('the loss', () => answers.every(({ lost }) => lost.length === 1))
    for (const { lost } of answers)
      expect(lost[0]).to.include({ code: 'ZASK_PEER_LOST', sent: true, retryable: false })
    expect(connection.up).to.equal(false)
    expect([connection.openChannels, counters.lostPeers]).to.deep.equal([0, 1])
  })

  it('that broke loses what could not be sent as not sent', async () => {
    const { router: server, connection } = await connected()
    call(connection)
    await until('the request', () => server.seen.length === 1)
    server.close()
    await until('the end', () => !connection.up)
    // Nobody is there to take it.
    const unsent = new Answer()
    const channel = connection.open(unsent, 'm', [], undefined)
    await pause(20)
    expect(connection.wasSent(channel)).to.equal(false)
    expect(unsent.lost).to.deep.equal([])
  })

  it('gets all answers of a server that closes right after it gave them', async () => {
    for (let time = 0; time < 3; time++) {
      const channels: Channel[] = []
      const server = new ServerMultiplexer(wireOptions({}, 1000), wheel, counters, (channel) => {
        channels.push(channel)
      })
      const connection = make(await server.bind('tcp://127.0.0.1:*'))
      connection.connect()
      await until('the connection', () => connection.up)
      const answers = Array.from({ length: 200 }, () => call(connection))
      await until('the requests', () => channels.length === 200)
      for (const channel of channels) channel.emit('OK', [1])
      await server.close()
      await until('an end', () => answers.every(({ events, lost }) => events.length + lost.length > 0))
      expect(answers.filter(({ events }) => events.length === 1)).to.have.length(200)
    }
  })

  it('comes up again, shows itself again, and knows nothing of who answers now', async () => {
    const { router: first, endpoint, connection } = await connected()
    const answer = call(connection)
    const request = await first.next()
    expect(request.events[0]?.header['zask']).to.equal(1)
    await first.reply(request, 'OK', [1], { zask: 1 })
    await until('the answer', () => answer.events.length === 1)
    for (let index = 0; index < 3; index++) call(connection)
    expect((await first.next()).events).to.have.length(3)
    first.close()
    await until('the end', () => !connection.up)

    const { router: second } = await router(endpoint)
    await until('the connection', () => connection.up)
    for (let index = 0; index < 3; index++) call(connection)
    const requests = [await second.next(), await second.next(), await second.next()]
    expect(requests.map(({ events }) => events.length)).to.deep.equal([1, 1, 1])
    expect(requests.map(({ events }) => events[0]?.header['zask'])).to.deep.equal([1, undefined, undefined])
  })

  it('refuses to open channels when too much waits for a server that does not read', async () => {
    const deaf = new zmq.Router({ receiveHighWaterMark: 1, linger: 0 })
    toClose.push(() => deaf.close())
    await deaf.bind('tcp://127.0.0.1:*')
    const connection = make(deaf.lastEndpoint as string, { maxPendingBytes: 1024 * 1024 })
    connection.connect()
    await until('the connection', () => connection.up)
    const answers: Answer[] = []
    const body = Buffer.alloc(256 * 1024)
    let refusal: unknown
    for (let index = 0; index < 1000 && refusal === undefined; index++) {
      const answer = new Answer()
      try {
        connection.open(answer, 'm', [body], undefined)
        answers.push(answer)
      } catch (error) {
        refusal = error
      }
      if (index % 10 === 0) await pause(1)
    }
    expect(refusal).to.include({ code: 'ZASK_PEER_LOST', sent: false, retryable: true })
    expect(answers.every(({ lost }) => lost[0]?.code === 'ZASK_PEER_LOST')).to.equal(true)
    expect(connection.openChannels).to.equal(0)
    expect(counters.lostPeers).to.equal(1)
  })

  it('that is bound does not mind strangers that come and go', async () => {
    const connection = make('tcp://127.0.0.1:*')
    const endpoint = await connection.bind()
    const server = new zmq.Router({ linger: 0 })
    toClose.push(() => server.close())
    server.connect(endpoint)
    await until('the server', () => connection.up)
    const answer = call(connection)
    const frames = await server.receive()
    const port = Number(endpoint.split(':').at(-1))
    for (const greeting of ['', 'GET / HTTP/1.1\r\n\r\n']) {
      await new Promise<void>((resolve) => {
        const stranger = connect(port, '127.0.0.1', () => stranger.end(greeting))
        stranger.once('close', () => resolve())
        stranger.once('error', () => resolve())
        stranger.resume()
      })
    }
    await pause(100)
    expect(connection.up).to.equal(true)
    expect(answer.lost).to.deep.equal([])
    const id = Buffer.from(frames.at(-1) as Buffer).subarray(13, 47)
    const header = Buffer.concat([
      Buffer.from('9383aa', 'hex'),
      Buffer.from('message_id'),
      Buffer.from('01a17603ab', 'hex'),
      Buffer.from('response_to'),
      id,
      Buffer.from('a24f4b9107', 'hex'),
    ])
    await server.send([frames[0] as Buffer, '', header])
    await until('the answer', () => answer.events.length === 1)
    expect(answer.events[0]?.args).to.deep.equal([7])
  })

  it('that is closed ends its open calls with the reason', async () => {
    const { connection } = await connected()
    const answer = call(connection)
    await connection.close(new ZaskError('ZASK_CLIENT_CLOSED', 'done'))
    expect(answer.lost.map(({ code }) => code)).to.deep.equal(['ZASK_CLIENT_CLOSED'])
    expect(connection.openChannels).to.equal(0)
  })
})
