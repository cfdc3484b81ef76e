import { Child, type ChildOptions } from './child.ts'
import type { LoadOptions, LoadResult } from './load.ts'
import type { PayloadName } from './payloads.ts'
import type { System } from './system.ts'

/** One measurement of one system. CPU is a percentage of one core, so a process with threads can exceed 100. */
export interface Measurement {
  readonly callsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly clientCpu: number
  readonly serverCpu: number
}

/** A system's server and client, each in a process of its own. */
export class Pair {
  readonly system: System
  readonly streams: boolean
  readonly #server: Child
  readonly #client: Child

  private constructor(system: System, server: Child, client: Child, streams: boolean) {
    this.system = system
    this.#server = server
    this.#client = client
    this.streams = streams
  }

  /** Starts both and makes a first call; on failure nothing is left running. */
  static async start(system: System, options: Omit<ChildOptions, 'name'>): Promise<Pair> {
    const { name, module } = system
    const server = new Child({ ...options, name: `${name} server` })
    const client = new Child({ ...options, name: `${name} client` })
    try {
      const { address } = await server.ask('serve', { module, options: system.options })
      const { streams } = await client.ask('connect', { module, options: system.options, address })
      return new Pair(system, server, client, streams)
    } catch (error) {
      await Promise.all([server.kill(), client.kill()])
      throw error
    }
  }

  get pids(): { server: number; client: number } {
    return { server: this.#server.pid, client: this.#client.pid }
  }

  async collect(): Promise<void> {
    await Promise.all([this.#client.ask('collect', {}), this.#server.ask('collect', {})])
  }

  measureCalls(options: LoadOptions & { payload: PayloadName }): Promise<Measurement> {
    // Room for a system ten times as slow as the time it was given, and for a busy machine.
    return this.#measure(() => this.#client.ask('load', options, options.seconds * 10_000 + 60_000))
  }

  measureStream(items: number): Promise<Measurement> {
    return this.#measure(() => this.#client.ask('stream', { items }, 60_000))
  }

  /** Makes so many calls and answers the bytes each process then has in use. */
  async memoryAfter(calls: number): Promise<{ client: number; server: number }> {
    if (calls > 0) {
      const load = { payload: 'object-1KiB', inFlight: 64, seconds: 0, leastCalls: calls } as const
      await this.#client.ask('load', load, 60_000 + calls)
    }
    const [client, server] = await Promise.all([
      this.#client.ask('memory', {}),
      this.#server.ask('memory', {}),
    ])
    return { client: client.bytes, server: server.bytes }
  }

  async stop(): Promise<void> {
    await this.#client.stop()
    await this.#server.stop()
  }

  async kill(): Promise<void> {
    await Promise.all([this.#client.kill(), this.#server.kill()])
  }

  /**
   * The server's CPU is read before and after, which is not when the client counts: it works off the last calls and
   * idles a little around. So what is measured there is CPU per call, and the percentage is that at the client's rate.
   */
  async #measure(load: () => Promise<LoadResult>): Promise<Measurement> {
    const before = await this.#server.ask('cpu', {})
    const result = await load()
    const after = await this.#server.ask('cpu', {})
    const serverUsPerCall = (after.cpuUs - before.cpuUs) / result.made
    return {
      callsPerSecond: result.perSecond,
      p50Us: result.p50Us,
      p99Us: result.p99Us,
      clientCpu: result.cpuUs / result.elapsedMs / 10,
      serverCpu: (serverUsPerCall * result.perSecond) / 10_000,
    }
  }
}
