import { fromWireError } from './answer.ts'
import { ZaskError } from './errors.ts'
import type { RemoteStream } from './remote.ts'
import type { Channel } from './wire/channel.ts'
import type { Event } from './wire/event.ts'

/** Whom the stream tells that it has ended: in which way, and after how many items. */
export interface StreamOwner {
  readonly method: string
  streamEnded(error: unknown, items: number): void
}

interface Waiter {
  resolve(step: IteratorResult<unknown, undefined>): void
  reject(error: unknown): void
}

/**
 * The reading end of a stream. Items wait here until they are read; credit is given back as they are, so that a
 * slow reader slows the producer down and nothing piles up in between.
 */
export class ReceivedStream implements RemoteStream<unknown> {
  readonly #channel: Channel
  readonly #owner: StreamOwner
  #items: unknown[] = []
  #next = 0
  #count = 0
  readonly #waiters: Waiter[] = []
  #ended = false
  #error: unknown
  #reported = false

  constructor(channel: Channel, owner: StreamOwner) {
    this.#channel = channel
    this.#owner = owner
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    // Of several steps asked for at once the first is read now, each other when the one before it was.
    if (this.#waiters.length === 0) this.#channel.beforeRead()
    if (this.#next < this.#items.length) {
      const item = this.#take()
      return Promise.resolve({ done: false, value: item })
    }
    if (this.#error !== undefined) {
      const error = this.#error
      this.#error = undefined
      return Promise.reject(error)
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** Cancels the stream; a zask producer is told at once, a plain one notices by the missing heartbeats. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.#ended) {
      this.#channel.cancel()
      this.#end(undefined)
    }
    this.#items = []
    this.#next = 0
    this.#error = undefined
    return Promise.resolve({ done: true, value: undefined })
  }

  onEvent(event: Event): void {
    if (this.#ended) return
    if (event.malformed !== undefined) {
      this.#channel.cancel()
      this.#end(
        new ZaskError(
          'ZASK_WIRE_MALFORMED',
          `An item of ${this.#owner.method} cannot be read: ${event.malformed}.`,
        ),
      )
      return
    }
    if (event.name === 'STREAM') this.#deliver(event.args)
    else {
      this.#channel.read()
      this.#channel.close()
      // zerorpc-python ends the iteration at any other event than STREAM without a word; only ERR is an error.
      this.#end(event.name === 'ERR' ? fromWireError(event) : undefined)
    }
  }

  /** The stream broke on its way. */
  fail(error: unknown): void {
    if (!this.#ended) this.#end(error)
  }

  #deliver(item: unknown): void {
    this.#count++
    const waiter = this.#waiters.shift()
    if (waiter === undefined) {
      this.#items.push(item)
      return
    }
    this.#channel.read()
    if (this.#waiters.length > 0) this.#channel.beforeRead()
    waiter.resolve({ done: false, value: item })
  }

  #take(): unknown {
    const item = this.#items[this.#next]
    this.#items[this.#next++] = undefined
    this.#channel.read()
    if (this.#next === this.#items.length) {
      this.#items = []
      this.#next = 0
    }
    return item
  }

  #end(error: unknown): void {
    this.#ended = true
    const [first, ...others] = this.#waiters.splice(0)
    if (error === undefined) first?.resolve({ done: true, value: undefined })
    else if (first === undefined) this.#error = error
    else first.reject(error)
    for (const waiter of others) waiter.resolve({ done: true, value: undefined })
    if (this.#reported) return
    this.#reported = true
    this.#owner.streamEnded(error, this.#count)
  }
}
