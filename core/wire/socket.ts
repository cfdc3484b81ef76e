import { lstat, unlink } from 'node:fs/promises'
import { connect as connectLocal } from 'node:net'
import * as zmq from 'zeromq'
import { describeThrown, ZaskError } from '../errors.ts'

export interface SocketOptions {
  /** Largest frame taken from a peer, in bytes; libzmq cuts the connection of one that sends more. */
  maxFrameBytes: number
  /** How long a new connection has for ZeroMQ's handshake, in milliseconds. */
  handshakeTimeoutMs: number
  /** How long closing waits for unsent messages, in milliseconds. */
  lingerMs: number
  /** Milliseconds between the beats of a channel, null for none: ZeroMQ's own beats are as quick, or quicker. */
  heartbeatMs: number | null
}

export interface SocketListener {
  /** A whole message, all its frames. */
  onMessage(frames: Buffer[]): void
  /** A connection has passed the handshake. Dealers only. */
  onUp?(address: string): void
  /** A connection is gone. Dealers only. */
  onDown?(address: string): void
}

/** What became of a message given to the socket. */
export type SendResult = 'sent' | 'full' | 'unreachable'

/** How long libzmq is given to begin with connecting again before it is told to. */
const revivalMs = 500
/** Milliseconds between ZeroMQ's own beats, at most and at least; a connection that has missed three is cut. */
const maxBeatMs = 2000
const minBeatMs = 200

/**
 * A ROUTER or a DEALER. The only place that knows zeromq.
 *
 * `sendTimeout: 0` makes `send` settle at once and never answer EBUSY; `mandatory` and `immediate` make what it says
 * true: without them libzmq takes messages for peers that do not exist, and delivers calls whose callers gave up.
 */
export class WireSocket {
  readonly #socket: zmq.Router | zmq.Dealer
  readonly #listener: SocketListener
  readonly #ipcPaths: string[] = []
  #closed = false
  #watched = false
  #connectedTo: string | undefined
  #revival: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  /** No message lay there when the last one was asked for. */
  #idle = true

  constructor(kind: 'router' | 'dealer', listener: SocketListener, options: SocketOptions) {
    // A process ends although a message for a dead peer is still unsent; `linger` bounds what it waits for.
    zmq.context.blocky = false
    const beatMs = Math.round(
      Math.min(maxBeatMs, Math.max(minBeatMs, (options.heartbeatMs ?? Infinity) * 0.4)),
    )
    const common = {
      sendTimeout: 0,
      linger: options.lingerMs,
      maxMessageSize: options.maxFrameBytes,
      // In messages, however large: what libzmq has taken for a peer that does not read cannot be had back.
      sendHighWaterMark: 32,
      // ZeroMQ's own beats find dead hosts and cut cables; the beats of zerorpc find blocked event loops.
      heartbeatInterval: beatMs,
      heartbeatTimeout: 3 * beatMs,
      handshakeInterval: options.handshakeTimeoutMs,
    }
    this.#listener = listener
    if (kind === 'router') {
      this.#socket = new zmq.Router({ ...common, mandatory: true, backlog: 1024 })
    } else {
      this.#socket = new zmq.Dealer({
        ...common,
        immediate: true,
        reconnectInterval: 100,
        // Once a second at most: a server that is back is to be found as soon as that.
        reconnectMaxInterval: 1000,
      })
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Binds, and answers with the real endpoint: port 0 and `*` resolved. */
  async bind(endpoint: string): Promise<string> {
    checkEndpoint(endpoint)
    const ipcPath =
      endpoint.startsWith('ipc://') && !endpoint.startsWith('ipc://@') ? endpoint.slice(6) : undefined
    if (ipcPath !== undefined) await releaseStalePath(ipcPath, endpoint)
    this.#prepare(endpoint)
    // A socket that was just closed holds its port for a moment longer: closing is done by another thread.
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#socket.bind(endpoint.replace(/^(tcp:\/\/.*):0$/, '$1:*'))
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt >= 10)
          throw bindError(endpoint, error)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    if (ipcPath !== undefined) this.#ipcPaths.push(ipcPath)
    const real = this.#socket.lastEndpoint ?? endpoint
    this.#startReading()
    return real
  }

  connect(endpoint: string): void {
    checkEndpoint(endpoint)
    if (/^tcp:.*:(0|\*)$/.test(endpoint)) {
      throw new ZaskError(
        'ZASK_ENDPOINT_INVALID',
        `Cannot connect to '${endpoint}': port 0 and * mean a free port to bind. Connect to the endpoint that start ` +
          'has answered with.',
        { details: { endpoint } },
      )
    }
    this.#prepare(endpoint)
    try {
      this.#socket.connect(endpoint)
    } catch (error) {
      throw new ZaskError(
        'ZASK_ENDPOINT_INVALID',
        `Cannot connect to '${endpoint}': ${describeThrown(error).message}. ${endpointForms}`,
        { details: { endpoint }, cause: error },
      )
    }
    this.#connectedTo = endpoint
    this.#startReading()
  }

  /**
   * Gives a message to libzmq. The frames must never be written again: they are sent without a copy.
   * Never rejects.
   */
  async send(frames: (Buffer | string)[]): Promise<SendResult> {
    try {
      await this.#socket.send(frames)
      return 'sent'
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return code === 'EAGAIN' || code === 'EBUSY' ? 'full' : 'unreachable'
    }
  }

  /** Closes; messages libzmq has taken are sent within the linger time. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#revival)
    this.#socket.close()
    await this.#reading
    // libzmq leaves the file of an ipc endpoint behind.
    for (const path of this.#ipcPaths) await unlink(path).catch(() => undefined)
  }

  #prepare(endpoint: string): void {
    if (endpoint.includes('[')) this.#socket.ipv6 = true
    // There are no monitor events for inproc; and a monitored socket whose inproc address nobody ever binds keeps
    // libzmq, and so the process, from ending.
    if (this.#watched || endpoint.startsWith('inproc://')) return
    this.#watched = true
    if (this.#socket instanceof zmq.Dealer) this.#watch(this.#socket)
  }

  #watch(dealer: zmq.Dealer): void {
    const { events } = dealer
    let standing = 0
    events.on('handshake', ({ address }) => {
      standing++
      this.#listener.onUp?.(address)
    })
    // libzmq tells of a disconnect also where there was no handshake: a port scanner that touches a bound client
    // must not end its calls. The failed handshake is told right before, by the same thread.
    let strangers = 0
    const onStranger = (): void => {
      strangers++
    }
    events.on('handshake:error:other', onStranger)
    events.on('handshake:error:protocol', onStranger)
    events.on('handshake:error:auth', onStranger)
    events.on('disconnect', ({ address }) => {
      this.#reviveLater(dealer)
      if (strangers > 0) strangers--
      else if (standing > 0) {
        standing--
        this.#listener.onDown?.(address)
      }
    })
    events.on('connect:retry', () => clearTimeout(this.#revival))
    events.on('connect:delay', () => clearTimeout(this.#revival))
  }

  /**
   * After a breach of ZMTP, such as a frame larger than allowed or a port where something else answers, libzmq
   * never connects again (session_base.cpp, engine_error), and the endpoint would be dead until the process ends.
   */
  #reviveLater(dealer: zmq.Dealer): void {
    const endpoint = this.#connectedTo
    clearTimeout(this.#revival)
    if (endpoint === undefined || this.#closed) return
    this.#revival = setTimeout(() => {
      try {
        dealer.disconnect(endpoint)
      } catch {
        // It knows of no connection to end.
      }
      dealer.connect(endpoint)
    }, revivalMs)
  }

  #startReading(): void {
    this.#reading ??= this.#read()
  }

  readonly #setIdle = (): void => {
    this.#idle = true
  }

  async #read(): Promise<void> {
    const socket = this.#socket
    const listener = this.#listener
    while (!this.#closed) {
      let frames: Buffer[]
      this.#idle = false
      process.nextTick(this.#setIdle)
      try {
        frames = await socket.receive()
      } catch {
        // EAGAIN on close; a message that could not be received whole is no reason to stop reading.
        if (this.#closed || socket.closed) return
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      const wasIdle = this.#idle
      listener.onMessage(frames)
      // What a lone message has led to is sent first: to ask libzmq for the next one takes some microseconds. Where
      // several lie there they are read on, and what they lead to is sent together.
      if (wasIdle) await new Promise<void>((resolve) => process.nextTick(resolve))
    }
  }
}

const endpointForms =
  "Endpoints look like 'tcp://127.0.0.1:4242', 'ipc:///run/users.sock' or 'inproc://users'."

/** Throws `ZASK_ENDPOINT_INVALID` for what libzmq would refuse without saying why, or accept without working. */
export function checkEndpoint(endpoint: string): void {
  const wrong = !/^(tcp|ipc|inproc):\/\/./.test(endpoint)
    ? 'it names no transport of tcp, ipc or inproc'
    : endpoint.startsWith('tcp://') && !/:(\d{1,5}|\*)$/.test(endpoint)
      ? 'it ends without a port'
      : Number(/^tcp:.*:(\d+)$/.exec(endpoint)?.[1]) > 65_535
        ? 'its port is above 65535'
        : endpoint.startsWith('ipc://') && Buffer.byteLength(endpoint) > 6 + 100
          ? 'its path is longer than the 100 bytes a socket file may have'
          : endpoint === 'ipc://*'
            ? 'a random socket file would lie in the working directory'
            : undefined
  if (wrong === undefined) return
  throw new ZaskError(
    'ZASK_ENDPOINT_INVALID',
    `Endpoint '${endpoint}' cannot be used: ${wrong}. ${endpointForms}`,
    {
      details: { endpoint },
    },
  )
}

function bindError(endpoint: string, cause: unknown): ZaskError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return inUse(endpoint, cause)
  const hint =
    code === 'ENODEV' || code === 'EADDRNOTAVAIL'
      ? "A server binds to an address of this machine: an IP address, an interface's name, or * for all."
      : code === 'EACCES'
        ? 'Ports below 1024 and other users’ folders need more rights.'
        : endpointForms
  return new ZaskError(
    'ZASK_ENDPOINT_INVALID',
    `Cannot bind to '${endpoint}': ${describeThrown(cause).message}. ${hint}`,
    { details: { endpoint }, cause },
  )
}

function inUse(endpoint: string, cause?: unknown): ZaskError {
  return new ZaskError(
    'ZASK_ENDPOINT_IN_USE',
    `Cannot bind to '${endpoint}': another socket is bound there. Stop that one, or choose another endpoint ` +
      `(port * takes a free one).`,
    { details: { endpoint }, cause },
  )
}

/** A second bind on the path of a living ipc socket would succeed and steal it, so the path is asked first. */
async function releaseStalePath(path: string, endpoint: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new ZaskError(
      'ZASK_ENDPOINT_INVALID',
      `Cannot bind to '${endpoint}': there is a file that is no socket.`,
      {
        details: { endpoint },
      },
    )
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connectLocal(path)
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (alive) throw inUse(endpoint)
  await unlink(path).catch(() => undefined)
}
