interface Due {
  readonly run: () => void
  readonly everyMs: number | undefined
  atMs: number
}

/** In place of the monotonic clock and of the timers, for sessions whose hours must pass in no time. */
export class Clock {
  #now = 1000
  readonly #due = new Map<object, Due>()
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  }

  /** From here on `performance.now` and the timers are those of this clock, until `restore`. */
  install(): void {
    performance.now = () => this.#now
    const set =
      (repeats: boolean) =>
      (run: () => void, ms = 0): object => {
        const handle = { unref: () => handle }
        this.#due.set(handle, { run, everyMs: repeats ? ms : undefined, atMs: this.#now + ms })
        return handle
      }
    const clear = (handle: object | undefined): void => {
      if (handle !== undefined) this.#due.delete(handle)
    }
    const own = { setTimeout: set(false), clearTimeout: clear, setInterval: set(true), clearInterval: clear }
    Object.assign(globalThis, own)
  }

  restore(): void {
    // The method of the prototype shows again.
    delete (performance as { now?: unknown }).now
    Object.assign(globalThis, this.#real)
  }

  /** Lets time pass, in steps, and runs what is due in between. */
  async pass(ms: number, stepMs = 100): Promise<void> {
    const end = this.#now + ms
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + stepMs)
      for (const [handle, due] of this.#due) {
        if (due.atMs > this.#now) continue
        if (due.everyMs === undefined) this.#due.delete(handle)
        else due.atMs = this.#now + due.everyMs
        due.run()
      }
      await turn()
    }
  }
}

/** Lets all that waits for a promise or for the end of the turn run. */
export async function turn(): Promise<void> {
  for (let round = 0; round < 2; round++) await new Promise((resolve) => setImmediate(resolve))
}
