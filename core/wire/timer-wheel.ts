/**
 * Something that wants to be woken once. The links of the wheel's lists live in the entry itself, so that
 * arming and disarming a timer allocates nothing: every call does both.
 */
export abstract class TimerEntry {
  /** @internal */ next: TimerEntry | undefined = undefined
  /** @internal */ previous: TimerEntry | undefined = undefined
  /** @internal */ slot = -1
  /** @internal */ dueTick = 0

  abstract onTimer(): void
}

const slots = 512
/** After so many empty ticks the interval is cleared; starting it anew for each lone call would cost more. */
const idleTicksBeforeStop = 100

/**
 * One hashed timer wheel for all deadlines and heartbeats of a core: 100,000 separate intervals cost three times
 * the CPU and four times the lag. Runs on the monotonic clock; a step of the wall clock changes nothing.
 *
 * An entry fires at or up to one tick (default 10 ms) after its time, never before it.
 */
export class TimerWheel {
  readonly #tickMs: number
  readonly #heads: (TimerEntry | undefined)[] = Array.from({ length: slots })
  readonly #startedAt = performance.now()
  #tick = 0
  #count = 0
  #idleTicks = 0
  #interval: NodeJS.Timeout | undefined

  constructor(tickMs = 10) {
    this.#tickMs = tickMs
  }

  /** How many entries are armed. */
  get size(): number {
    return this.#count
  }

  /** Arms an entry, or moves it if it was armed; `delayMs` counts from `now`. A time that never comes leaves it disarmed. */
  schedule(entry: TimerEntry, delayMs: number, now: number = performance.now()): void {
    if (entry.slot >= 0) this.cancel(entry)
    if (!(delayMs < Infinity)) return
    const elapsedMs = now - this.#startedAt
    if (this.#interval === undefined) {
      this.#tick = Math.floor(elapsedMs / this.#tickMs)
      this.#start()
    }
    entry.dueTick = Math.max(Math.ceil((elapsedMs + delayMs) / this.#tickMs), this.#tick + 1)
    const slot = entry.dueTick % slots
    const head = this.#heads[slot]
    entry.slot = slot
    entry.previous = undefined
    entry.next = head
    if (head !== undefined) head.previous = entry
    this.#heads[slot] = entry
    this.#count++
  }

  /** Disarms an entry; one that is not armed is left alone. */
  cancel(entry: TimerEntry): void {
    if (entry.slot < 0) return
    if (entry.previous === undefined) this.#heads[entry.slot] = entry.next
    else entry.previous.next = entry.next
    if (entry.next !== undefined) entry.next.previous = entry.previous
    entry.next = entry.previous = undefined
    entry.slot = -1
    this.#count--
  }

  /** Stops the clock and forgets all entries. */
  close(): void {
    clearInterval(this.#interval)
    this.#interval = undefined
    for (let slot = 0; slot < slots; slot++) {
      for (let entry = this.#heads[slot]; entry !== undefined; entry = this.#heads[slot]) this.cancel(entry)
    }
  }

  #start(): void {
    this.#idleTicks = 0
    this.#interval = setInterval(() => {
      const behindMs = performance.now() - this.#startedAt - this.#tick * this.#tickMs
      // The event loop was held up: beats and answers that came meanwhile still lie unread in the sockets.
      // Read them before anybody is judged by the clock.
      if (behindMs > 200) setImmediate(() => setImmediate(() => this.#advance()))
      else this.#advance()
    }, this.#tickMs)
    // A timer alone never keeps a process alive: an open socket does.
    this.#interval.unref()
  }

  #advance(): void {
    if (this.#interval === undefined) return
    const now = Math.floor((performance.now() - this.#startedAt) / this.#tickMs)
    // One round visits every slot, however far the clock has run on.
    const first = Math.max(this.#tick + 1, now - slots + 1)
    this.#tick = now
    for (let tick = first; tick <= now; tick++) this.#fire(tick % slots, now)
    if (this.#count > 0) this.#idleTicks = 0
    else if (++this.#idleTicks > idleTicksBeforeStop) {
      clearInterval(this.#interval)
      this.#interval = undefined
    }
  }

  #fire(slot: number, now: number): void {
    let entry = this.#heads[slot]
    if (entry === undefined) return
    // Taken off first: what fires may arm and disarm others of this very slot.
    const due: TimerEntry[] = []
    while (entry !== undefined) {
      if (entry.dueTick <= now) due.push(entry)
      entry = entry.next
    }
    for (const dueEntry of due) {
      if (dueEntry.slot !== slot || dueEntry.dueTick > now) continue
      this.cancel(dueEntry)
      dueEntry.onTimer()
    }
  }
}
