import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy that passes everything on and keeps the bytes, as somebody on the way may do. */
export class ListeningProxy implements AsyncDisposable {
  /** What callers sent, in the pieces that came. */
  readonly sent: Buffer[] = []
  /** What the server sent. */
  readonly heard: Buffer[] = []
  readonly #sockets: Socket[] = []
  readonly #server = createServer((near) => {
    const far = connect(this.#port, '127.0.0.1')
    this.#sockets.push(near, far)
    near.on('data', (bytes: Buffer) => (this.sent.push(bytes), far.write(bytes)))
    far.on('data', (bytes: Buffer) => (this.heard.push(bytes), near.write(bytes)))
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
  })
  readonly #port: number

  private constructor(endpoint: string) {
    this.#port = Number(endpoint.split(':').at(-1))
  }

  static async open(endpoint: string): Promise<ListeningProxy> {
    const proxy = new ListeningProxy(endpoint)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** Where callers connect to. */
  get endpoint(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get bytes(): Buffer {
    return Buffer.concat([...this.sent, ...this.heard])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
