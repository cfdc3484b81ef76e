import { unlink } from 'node:fs/promises'
import * as zmq from 'zeromq'
import { describeThrown, ZaskError } from '../errors.ts'
import { Arrivals } from './arrivals.ts'
import type { CurveClientKeys, CurveServerKeys } from './curve.ts'
import { Dial, type DialListener } from './dial.ts'
import { bindError, checkEndpoint, endpointForms, isInproc, releaseStalePath } from './endpoint.ts'
import { follow } from './monitor.ts'
import { ZapHandler } from './zap.ts'

export interface SocketOptions {
  /** Largest frame taken from a peer, in bytes; libzmq cuts the connection of one that sends more. */
  maxFrameBytes: number
  /** How long a new connection has for ZeroMQ's handshake, in milliseconds. */
  handshakeTimeoutMs: number
  /** How long closing waits for unsent messages, in milliseconds. */
  lingerMs: number
  /** Milliseconds between the beats of a channel, null for none: ZeroMQ's own beats are as quick, or quicker. */
  heartbeatMs: number | null
  /** Encrypts all connections, which are not those over inproc: a ROUTER is the server, a DEALER the client. */
  curve?: CurveServerKeys | CurveClientKeys | undefined
}

/** What a DEALER tells of its connections comes from its `Dial`. */
export interface SocketListener extends DialListener {
  /** A whole message, all its frames. */
  onMessage(frames: Buffer[]): void
  /** A connection did not come about; of one with an unknown CURVE key, whose it was. Routers only. */
  onStranger?(reason: string, publicKey?: string, address?: string): void
}

/** What became of a message given to the socket. */
export type SendResult = 'sent' | 'full' | 'unreachable'

/** Milliseconds between ZeroMQ's own beats, at most and at least; a connection that has missed three is cut. */
const maxBeatMs = 2000
const minBeatMs = 200
/**
 * How long after its lingering a closed socket has told that it is watched no more. At times libzmq does not, and the
 * process would not end for waiting; but whoever stops listening before has libzmq wait for him for ever.
 */
const monitorGraceMs = 1000

/**
 * For each zeromq context, which is one per process and thread, where its CURVE servers live: in a context of their
 * own, because libzmq asks for admission at one address per context, and in the first one that may be another's.
 * Never more than one: a context keeps two threads until the process ends.
 */
const gatehouses = new WeakMap<zmq.Context, Gatehouse>()

class Gatehouse {
  readonly context = new zmq.Context({ blocky: false })
  readonly zap = new ZapHandler(() => {
    const options = { context: this.context, sendTimeout: 0, linger: 0 }
    return { socket: new zmq.Router({ ...options }), waker: new zmq.Dealer({ ...options }) }
  })
}

function gatehouse(): Gatehouse {
  let found = gatehouses.get(zmq.context)
  if (found === undefined) gatehouses.set(zmq.context, (found = new Gatehouse()))
  return found
}

/** Frames up to this many bytes zeromq.js copies; the memory of larger ones is that of libzmq. */
const copiedBytes = 128

/**
 * Gives the memory of a received frame back to libzmq; the frame is empty from then on. The garbage collector would do
 * it, too, but late: until then the frames count as memory in use, and have it look through the whole heap many times
 * a second for what are a few megabytes of frames.
 */
export function release(frame: Buffer): void {
  const memory = frame.buffer
  if (frame.length > copiedBytes && memory instanceof ArrayBuffer && memory.byteLength === frame.length) {
    memory.transfer(0)
  }
}

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
  /** Of a DEALER, and of a ROUTER: what becomes of connections. */
  readonly #dial: Dial | undefined
  readonly #arrivals: Arrivals | undefined
  /** Of a CURVE server: ends what it has with the ZAP handler. */
  readonly #leave: (() => void) | undefined
  #closed = false
  #unwatch: (() => void) | undefined
  readonly #lingerMs: number
  #reading: Promise<void> | undefined
  /** A small frame as libzmq gives them: while it lives, the engine keeps its code for frames. */
  #specimen: Buffer | undefined
  /** No message lay there when the last one was asked for. */
  #idle = true
  /** What is to be done at the end of this turn of the event loop. */
  #atTurnEnd: (() => void)[] = []

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
    this.#lingerMs = options.lingerMs
    const { curve } = options
    if (kind === 'dealer') {
      const client = curve !== undefined && 'serverKey' in curve ? curve : undefined
      const dealer = new zmq.Dealer({
        ...common,
        immediate: true,
        reconnectInterval: 100,
        // Once a second at most: a server that is back is to be found as soon as that.
        reconnectMaxInterval: 1000,
        ...(client && {
          curveServerKey: client.serverKey,
          curvePublicKey: client.publicKey,
          curveSecretKey: client.secretKey,
        }),
      })
      this.#dial = new Dial(dealer, listener, client !== undefined)
      this.#socket = dealer
      return
    }
    this.#arrivals = new Arrivals(options.handshakeTimeoutMs, (reason) => listener.onStranger?.(reason))
    const server = { ...common, mandatory: true, backlog: 1024 }
    if (curve === undefined || !('admits' in curve)) {
      this.#socket = new zmq.Router(server)
      return
    }
    const { context, zap } = gatehouse()
    const domain = zap.open({
      admits: (publicKey) => curve.admits(publicKey),
      onRefused: (publicKey, address) => listener.onStranger?.('unknown key', publicKey, address),
    })
    this.#leave = () => zap.close(domain)
    this.#socket = new zmq.Router({
      ...server,
      context,
      curveServer: true,
      curveSecretKey: curve.secretKey,
      zapDomain: domain,
      // Without it libzmq lets everybody in where nobody answers for the domain.
      zapEnforceDomain: true,
    })
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
    // Not before: telling of a failure, libzmq forgets what it was, and the port seems to be in use no more.
    if (this.#dial === undefined) this.#watch(endpoint)
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
      ;(this.#dial ?? this.#socket).connect(endpoint)
    } catch (error) {
      throw new ZaskError(
        'ZASK_ENDPOINT_INVALID',
        `Cannot connect to '${endpoint}': ${describeThrown(error).message}. ${endpointForms}`,
        { details: { endpoint }, cause: error },
      )
    }
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

  /**
   * Calls back after the microtasks of this turn of the event loop, when all is there that a message has led to. An
   * immediate would wait for the callbacks of other sockets as well, which a lone call pays with 10 µs each way; and
   * there is one `nextTick` for all, because it costs a microsecond where the code is cold.
   */
  atTurnEnd(callback: () => void): void {
    if (this.#atTurnEnd.push(callback) === 1) process.nextTick(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    const callbacks = this.#atTurnEnd
    this.#atTurnEnd = []
    for (const callback of callbacks) callback()
  }

  /** Closes; messages libzmq has taken are sent within the linger time. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#dial?.close()
    this.#arrivals?.close()
    this.#socket.close()
    this.#unwatch?.()
    await this.#reading
    this.#leave?.()
    // libzmq leaves the file of an ipc endpoint behind.
    for (const path of this.#ipcPaths) await unlink(path).catch(() => undefined)
  }

  #prepare(endpoint: string): void {
    if (endpoint.includes('[')) this.#socket.ipv6 = true
    if (this.#dial !== undefined) this.#watch(endpoint)
  }

  #watch(endpoint: string): void {
    // There are no monitor events for inproc; and a monitored socket whose inproc address nobody ever binds keeps
    // libzmq, and so the process, from ending.
    if (this.#unwatch !== undefined || isInproc(endpoint)) return
    const observer = new zmq.Observer(this.#socket)
    const followed = follow(observer, (event) => (this.#dial ?? this.#arrivals)?.onEvent(event))
    this.#unwatch = () => {
      const timer = setTimeout(() => observer.close(), this.#lingerMs + monitorGraceMs).unref()
      void followed.then(() => clearTimeout(timer))
    }
  }

  #startReading(): void {
    this.#reading ??= this.#read()
  }

  async #read(): Promise<void> {
    const socket = this.#socket
    const listener = this.#listener
    const settled = Promise.resolve()
    const setIdle = (): void => void (this.#idle = true)
    const afterOneMore = (): void => void settled.then(setIdle)
    const turnEnd = (resolve: () => void): void => this.atTurnEnd(resolve)
    while (!this.#closed) {
      let frames: Buffer[]
      this.#idle = false
      try {
        const receiving = socket.receive()
        // For a message that lay there we go on with the next microtask, before the one that says it did not.
        void settled.then(afterOneMore)
        frames = await receiving
      } catch {
        // EAGAIN on close; a message that could not be received whole is no reason to stop reading.
        if (this.#closed || socket.closed) return
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      if (this.#specimen === undefined) this.#specimen = frames.find(({ length }) => length <= copiedBytes)
      const wasIdle = this.#idle
      listener.onMessage(frames)
      // What a lone message has led to is sent first: to ask libzmq for the next one takes some microseconds. Where
      // several lie there they are read on, and what they lead to is sent together.
      if (wasIdle) await new Promise<void>(turnEnd)
    }
  }
}
