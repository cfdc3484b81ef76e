import { Decoder, Encoder } from '@msgpack/msgpack'
import { Dealer, Router } from 'zeromq'
import type { BenchClient, BenchServer, Payload } from '../system.ts'

/**
 * The floor: what an RPC framework on zeromq.js and msgpack could cost at best if each call is one message.
 *
 * Events have the shape of zerorpc's, ids are matched to callers, and there is nothing else: no channels, timeouts,
 * heartbeats or errors.
 */
type Event = [header: { message_id: number; v: number; response_to?: number }, name: string, args: Payload[]]

function isEvent(value: unknown): value is Event {
  return Array.isArray(value) && value.length === 3
}

// A send that may wait goes through zeromq.js' poller; one that may not is synchronous, and half again as fast. It
// cannot fail here: the load keeps fewer messages in flight than the high-water mark of 1,000.
const socketOptions = { sendTimeout: 0, linger: 0 }

export async function serve(): Promise<BenchServer> {
  const router = new Router(socketOptions)
  const [encoder, decoder] = [new Encoder(), new Decoder()]
  await router.bind('tcp://127.0.0.1:*')
  const serving = (async () => {
    let count = 0
    for await (const [peer, body] of router) {
      const event = decoder.decode(body!)
      if (!isEvent(event)) continue
      const [header, , args] = event
      const reply: Event = [{ message_id: ++count, v: 3, response_to: header.message_id }, 'OK', args]
      void router.send([peer!, encoder.encode(reply)])
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
  const waiting = new Map<number, (value: Payload) => void>()
  let count = 0
  const reading = (async () => {
    for await (const [body] of dealer) {
      const event = decoder.decode(body!)
      if (!isEvent(event)) continue
      const [header, , args] = event
      const answer = waiting.get(header.response_to!)
      waiting.delete(header.response_to!)
      answer?.(args[0]!)
    }
  })()
  return {
    echo(value) {
      const id = ++count
      return new Promise((resolve, reject) => {
        waiting.set(id, resolve)
        const event: Event = [{ message_id: id, v: 3 }, 'echo', [value]]
        dealer.send(encoder.encode(event)).catch(reject)
      })
    },
    async stop() {
      dealer.close()
      await reading
    },
  }
}
