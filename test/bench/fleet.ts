import type { ChildOptions } from './child.ts'
import { Pair } from './pair.ts'
import type { System } from './system.ts'

export interface FleetOptions extends Omit<ChildOptions, 'name'> {
  /** Told in a line what happens to whom. */
  readonly say: (line: string) => void
}

/**
 * The systems that are running, and those that had to be left out.
 *
 * One system's failure never stops the others: it is named, its processes are ended and it is not started again.
 * Failures after an abort are none, for they are its doing.
 */
export class Fleet {
  readonly #options: FleetOptions
  readonly #failures = new Map<string, string>()
  #pairs: Pair[] = []

  constructor(options: FleetOptions) {
    this.#options = options
  }

  get pairs(): readonly Pair[] {
    return this.#pairs
  }

  /** Reasons by system. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures
  }

  get isAborted(): boolean {
    return this.#options.signal.aborted
  }

  leaveOut(name: string, reason: unknown): void {
    if (this.isAborted) return
    const text = reason instanceof Error ? reason.message : String(reason)
    this.#failures.set(name, text)
    this.#options.say(`${name} is left out: ${text}`)
  }

  /** One after the other: a start is work, and the machine has few cores. */
  async start(systems: readonly System[]): Promise<void> {
    for (const system of systems) {
      if (this.isAborted) return
      if (this.#failures.has(system.name)) continue
      try {
        const pair = await Pair.start(system, this.#options)
        this.#pairs.push(pair)
        const { server, client } = pair.pids
        this.#options.say(`${system.name} is running (server process ${server}, client process ${client})`)
      } catch (error) {
        this.leaveOut(system.name, error)
      }
    }
  }

  /** Does `work` with one that is running; if it throws, that one is left out from here on. */
  async attempt(pair: Pair, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.leaveOut(pair.system.name, error)
      this.#pairs = this.#pairs.filter((other) => other !== pair)
      await pair.kill()
    }
  }

  /** Lets every system close what it opened. */
  async stop(): Promise<void> {
    await Promise.all(this.#pairs.map((pair) => pair.stop()))
    this.#pairs = []
  }

  /** Ends all processes at once, and waits until they have ended. */
  async kill(): Promise<void> {
    await Promise.all(this.#pairs.map((pair) => pair.kill()))
    this.#pairs = []
  }
}
