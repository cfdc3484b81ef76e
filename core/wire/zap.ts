import { toZ85 } from './curve.ts'

/** What the handler needs of a ROUTER. */
export interface ZapSocket {
  bindSync(address: string): void
  receive(): Promise<Buffer[]>
  send(frames: (Buffer | string)[]): Promise<void>
}

/** What it needs of a DEALER: to wake itself with. */
export interface ZapWaker {
  connect(address: string): void
  send(frames: (Buffer | string)[]): Promise<void>
}

/** Whom one server lets in. */
export interface Admission {
  /** Must answer at once: while it thinks, no handshake of this process goes on. */
  admits(publicKey: string): boolean
  /** A peer was turned away. */
  onRefused?(publicKey: string, address: string): void
}

/** Where libzmq asks (ZeroMQ RFC 27): one place per zeromq context. */
const zapAddress = 'inproc://zeromq.zap.01'

/**
 * Answers libzmq's question, once per handshake, whether a peer may come in. Each server has a domain, by which its
 * own list is found.
 *
 * What it does not understand it refuses. libzmq refuses, too, where nobody answers (`zapEnforceDomain`).
 *
 * The sockets stay for good: libzmq 4.3.5 ends the process where a handshake is about to ask a socket that closes
 * ("Assertion failed" in pipe.cpp). But nothing is waited for while there is no server, so that the process can end.
 */
export class ZapHandler {
  readonly #make: () => { socket: ZapSocket; waker: ZapWaker }
  readonly #admissions = new Map<string, Admission>()
  #sockets: { socket: ZapSocket; waker: ZapWaker } | undefined
  #answering = false
  #domains = 0

  constructor(make: () => { socket: ZapSocket; waker: ZapWaker }) {
    this.#make = make
  }

  /** Begins to answer for a server; the domain it is to name. */
  open(admission: Admission): string {
    const domain = `zask-${++this.#domains}`
    this.#admissions.set(domain, admission)
    if (this.#sockets === undefined) {
      const { socket, waker } = this.#make()
      socket.bindSync(zapAddress)
      waker.connect(zapAddress)
      this.#sockets = { socket, waker }
    }
    if (!this.#answering) void this.#answer(this.#sockets.socket)
    return domain
  }

  /** Refuses whoever asks for the domain from now on. */
  close(domain: string): void {
    if (!this.#admissions.delete(domain) || this.#admissions.size > 0) return
    // Whatever comes in makes it look whether anybody is left to answer for.
    this.#sockets?.waker.send(['']).catch(() => undefined)
  }

  async #answer(socket: ZapSocket): Promise<void> {
    this.#answering = true
    while (this.#admissions.size > 0) {
      let frames: Buffer[]
      try {
        frames = await socket.receive()
      } catch {
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      const reply = this.#reply(frames)
      // Nobody waits for an answer that cannot be delivered.
      if (reply !== undefined) await socket.send(reply).catch(() => undefined)
    }
    this.#answering = false
  }

  /** Undefined where there is nobody to answer to. */
  #reply(frames: readonly Buffer[]): (Buffer | string)[] | undefined {
    const [route, delimiter, version, request, domain, address, , mechanism, key] = frames
    if (route === undefined || delimiter?.length !== 0 || request === undefined) return undefined
    const answer = (status: '200' | '400' | '500', text: string): (Buffer | string)[] => {
      return [route, '', '1.0', request, status, text, '', '']
    }
    if (String(version) !== '1.0' || frames.length !== 9) return answer('500', 'not a ZAP 1.0 request')
    if (String(mechanism) !== 'CURVE' || key?.length !== 32) return answer('400', 'CURVE only')
    const admission = this.#admissions.get(String(domain))
    if (admission === undefined) return answer('400', 'no such domain')
    const publicKey = toZ85(key)
    let admitted = false
    try {
      admitted = admission.admits(publicKey)
    } catch {
      // Whom nobody can look up is not known.
    }
    if (admitted) return answer('200', 'OK')
    admission.onRefused?.(publicKey, String(address))
    return answer('400', 'unknown key')
  }
}
