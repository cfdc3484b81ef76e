import { createServer, type Server, type Socket, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is done to the bytes of a connection; nothing by default. `cutAfter` and `resetAfter` count both ways. */
export interface Weather {
  /** Each chunk arrives so many milliseconds later. */
  readonly delayMs?: number
  readonly bytesPerSecond?: number
  /** Chunks are taken apart into pieces of so many bytes. */
  readonly pieceBytes?: number
  /** The connection is closed once so many bytes have gone from the client to the server. */
  readonly cutAfter?: number
  /** As `cutAfter`, by a TCP reset. */
  readonly resetAfter?: number
  /** This chunk of the client's, counted from 0, is sent twice. */
  readonly duplicate?: number
}

/** One connection of a client, and the one made for it to the server. */
interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Nothing passes any more, and nobody is told: a cable that was pulled. */
  dark: boolean
  readonly weather: Weather
}

/**
 * A TCP proxy that does to connections what networks do. `weather` holds for connections made from then on; a
 * connection keeps that of its beginning.
 */
export class TcpProxy {
  weather: Weather = {}
  /** Connections so far. */
  accepted = 0
  readonly #target: number
  readonly #server: Server
  readonly #pairs = new Set<Pair>()

  /** @param endpoint of the server, `tcp://127.0.0.1:…` */
  constructor(endpoint: string, weather: Weather = {}) {
    this.#target = Number(new URL(endpoint).port)
    this.weather = weather
    this.#server = createServer({ pauseOnConnect: true }, (client) => this.#accept(client))
  }

  static async open(endpoint: string, weather?: Weather): Promise<TcpProxy> {
    const proxy = new TcpProxy(endpoint, weather)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  /** Where clients connect to. */
  get endpoint(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** Connections that are open on both sides. */
  get standing(): number {
    return this.#pairs.size
  }

  /** Swallows all that the connections of now carry, without closing them; new connections pass. */
  swallow(): void {
    for (const pair of this.#pairs) pair.dark = true
  }

  /** Cuts the connections of now by a TCP reset. */
  reset(): void {
    for (const pair of this.#pairs) end(pair, true)
  }

  /** Cuts all connections and listens no more. */
  async close(): Promise<void> {
    for (const pair of this.#pairs) end(pair, false)
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(client: Socket): void {
    this.accepted++
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true })
    const pair: Pair = { client, server, dark: false, weather: this.weather }
    this.#pairs.add(pair)
    client.setNoDelay(true)
    for (const socket of [client, server]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        // A pulled cable carries no end of a connection, either.
        if (!pair.dark) end(pair, false)
        if (client.destroyed && server.destroyed) this.#pairs.delete(pair)
      })
    }
    void carry(pair, client, server, true)
    void carry(pair, server, client, false)
  }
}

async function carry(pair: Pair, from: Socket, to: Socket, counted: boolean): Promise<void> {
  const { delayMs = 0, bytesPerSecond, pieceBytes, cutAfter, resetAfter, duplicate } = pair.weather
  const limit = counted ? Math.min(cutAfter ?? Infinity, resetAfter ?? Infinity) : Infinity
  let carried = 0
  let chunks = 0
  try {
    for await (const data of from) {
      let chunk = data as Buffer
      if (pair.dark) continue
      if (counted && chunks++ === duplicate) chunk = Buffer.concat([chunk, chunk])
      if (delayMs > 0) await sleep(delayMs)
      if (bytesPerSecond !== undefined) await sleep((chunk.length / bytesPerSecond) * 1000)
      const allowed = chunk.subarray(0, limit - carried)
      carried += allowed.length
      for (let at = 0; at < allowed.length && !pair.dark; at += pieceBytes ?? allowed.length) {
        const taken = to.write(allowed.subarray(at, at + (pieceBytes ?? allowed.length)))
        // Pieces written in one turn of the event loop would travel together again.
        if (pieceBytes !== undefined) await new Promise((resolve) => setImmediate(resolve))
        if (!taken && !to.destroyed)
          await new Promise((resolve) => to.once('drain', resolve).once('close', resolve))
      }
      if (carried >= limit) return end(pair, resetAfter !== undefined)
    }
    if (!pair.dark) to.end()
  } catch {
    if (!pair.dark) end(pair, false)
  }
}

function end({ client, server }: Pair, byReset: boolean): void {
  for (const socket of [client, server]) {
    if (byReset) socket.resetAndDestroy()
    else socket.destroy()
  }
}
