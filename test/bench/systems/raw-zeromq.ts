import { randomBytes } from 'node:crypto'
import { Decoder, Encoder } from '@msgpack/msgpack'
import { Dealer, Router } from 'zeromq'
import type { BenchClient, BenchServer, Payload } from '../system.ts'

/**
 * The floor: the same events as zerorpc's, byte for byte, on zeromq.js and msgpack, each call one message there and
 * one back. Ids are matched to callers, and there is nothing else: no channels, timeouts, heartbeats or errors.
 */
type Event = [
  header: { message_id: Uint8Array; v: number; response_to?: Uint8Array },
  name: string,
  args: Payload[],
]

const noFrame = Buffer.alloc(0)

/** Ids as zerorpc-python makes them: 32 hexadecimal digits, of which 8 count. */
class Ids {
  readonly #source = randomBytes(12).toString('hex')
  #count = 0

  next(): Buffer {
    this.#count++
    return Buffer.from(this.#count.toString(16).padStart(8, '0') + this.#source, 'latin1')
  }
}

function isEvent(value: unknown): value is Event {
  return Array.isArray(value) && value.length === 3
}

// A send that may wait goes through zeromq.js' poller; one that may not is synchronous, and half again as fast. It
// must not fail: without limits, because libzmq hears of what was read only every 500 messages, so that 512 in flight
// may look like more than the usual 1,000, and a router drops in silence what is beyond them.
const socketOptions = { sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 }

function key(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
}

export async function serve(): Promise<BenchServer> {
  const router = new Router(socketOptions)
  const [encoder, decoder] = [new Encoder(), new Decoder()]
  await router.bind('tcp://127.0.0.1:*')
  const serving = (async () => {
    const ids = new Ids()
    for await (const [peer, , body] of router) {
      const event = decoder.decode(body!)
      if (!isEvent(event)) continue
      const [header, , args] = event
      const reply: Event = [{ message_id: ids.next(), v: 3, response_to: header.message_id }, 'OK', args]
      void router.send([peer!, noFrame, encoder.encode(reply)])
    }
  })()
  return {
    address: router.lastEndpoint!,
    async stop() {
      router.close()
      await serving
    },
  }
}

export async function connect(address: string): Promise<BenchClient> {
  const dealer = new Dealer(socketOptions)
  const [encoder, decoder] = [new Encoder(), new Decoder()]
  dealer.connect(address)
  const waiting = new Map<string, (value: Payload) => void>()
  const ids = new Ids()
  const reading = (async () => {
    for await (const [, body] of dealer) {
      const event = decoder.decode(body!)
      if (!isEvent(event)) continue
      const [header, , args] = event
      const id = key(header.response_to!)
      const answer = waiting.get(id)
      waiting.delete(id)
      answer?.(args[0]!)
    }
  })()
  return {
    echo(value) {
      const id = ids.next()
      return new Promise((resolve, reject) => {
        waiting.set(key(id), resolve)
        const event: Event = [{ message_id: id, v: 3 }, 'echo', [value]]
        dealer.send([noFrame, encoder.encode(event)]).catch(reject)
      })
    },
    async stop() {
      dealer.close()
      await reading
    },
  }
}
