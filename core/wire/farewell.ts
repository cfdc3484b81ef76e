import type { Peer } from './peer.ts'

/**
 * "Have you read all that came before?", asked by a server that closes, in an event without `response_to`; a zask
 * client says so by an event of the same name.
 *
 * When a connection ends, libzmq throws away what lies unread in the socket of the other side (with `immediate`, which
 * our clients must have): answers that were sent long ago, if the client was busy meanwhile.
 */
export const readEvent = '_zask_read'

/** How long a plain peer, which cannot be asked, is given to read. */
const plainMs = 50
/** Who got nothing for so long has read it, or will not. */
const recentMs = 5_000
/** How often who has not answered is asked again: who is gone is noticed by that alone. */
const askMs = 20

/** The last moments of a server: waits for its peers to have read what they were sent. */
export class Farewell {
  readonly #unread = new Set<Peer>()
  #plainUntil = -Infinity

  constructor(peers: Iterable<Peer>) {
    const now = performance.now()
    for (const peer of peers) {
      if (now - peer.sentAt > recentMs) continue
      if (peer.isZask) this.#unread.add(peer)
      else this.#plainUntil = Math.max(this.#plainUntil, peer.sentAt + plainMs)
    }
  }

  /** The peer has answered, or is gone. */
  done(peer: Peer): void {
    this.#unread.delete(peer)
  }

  /** Waits for those that can be asked at most until then, for the others their time; `flush` sends what was asked. */
  async wait(until: number, flush: () => void): Promise<void> {
    while (this.#unread.size > 0 && performance.now() < until) {
      for (const peer of this.#unread) peer.ask(readEvent)
      flush()
      const again = performance.now() + askMs
      while (this.#unread.size > 0 && performance.now() < again) await pause(2)
    }
    await pause(Math.min(this.#plainUntil, until) - performance.now())
  }
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}
