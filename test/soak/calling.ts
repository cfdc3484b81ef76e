import { type Client, type Core, createCore, RemoteError } from 'zask'
import { type Sample, sample } from './sample.ts'
import type { Soaked } from './served.ts'

export interface CallingOptions {
  readonly endpoint: string
  /** Clients of this process, each with a core and a connection of its own. */
  readonly clients: number
  readonly seconds: number
  readonly heartbeatMs: number
  readonly database: boolean
}

/** What a process of callers says of one stretch of time. */
export interface Stretch extends Sample {
  readonly calls: number
  readonly failures: number
  readonly p99Ms: number
  /** The first thing that went wrong, if any did. */
  readonly wrong: string | undefined
}

/** Calls of one client at the same time. */
const lanes = 8
/** Sizes of gRPC's interoperability tests, and what most calls have. */
const sizes = [0, 1, 100, 100, 1000, 1000, 9000, 58_979, 271_828, 314_159]
const parts = [31_415, 9, 2_653, 58_979]

/** Holds all callers of the process back, while somebody looks: what is on its way would be taken for what is kept. */
class Gate {
  #size: number
  readonly #onStill: () => void
  #held = 0
  #closed: PromiseWithResolvers<void> | undefined

  /** @param onStill Called once so many wait. */
  constructor(size: number, onStill: () => void) {
    this.#size = size
    this.#onStill = onStill
  }

  toggle(): void {
    this.#closed?.resolve()
    this.#closed = this.#closed === undefined ? Promise.withResolvers() : undefined
  }

  async pass(): Promise<void> {
    if (this.#closed === undefined) return
    this.#held++
    this.#look()
    await this.#closed.promise
    this.#held--
  }

  /** One who will not come again is not waited for. */
  leave(): void {
    this.#size--
    this.#look()
  }

  #look(): void {
    if (this.#closed !== undefined && this.#held === this.#size && this.#size > 0) this.#onStill()
  }
}

class Caller {
  readonly #client: Client<Soaked>
  readonly #database: boolean
  calls = 0
  failures = 0
  wrong: string | undefined
  latencies: number[] = []
  #turn = 0

  constructor(client: Client<Soaked>, database: boolean) {
    this.#client = client
    this.#database = database
  }

  async run(until: number, gate: Gate): Promise<void> {
    const lane = async (): Promise<void> => {
      while (performance.now() < until) {
        await gate.pass()
        await this.#once()
      }
      gate.leave()
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }

  async #once(): Promise<void> {
    const started = performance.now()
    this.calls++
    const complaint = await this.#act(this.#turn++).catch((error: unknown) => String(error))
    if (complaint !== undefined) {
      this.failures++
      this.wrong ??= complaint
    }
    this.latencies.push(performance.now() - started)
  }

  /** One call and what is wrong with its end. */
  async #act(turn: number): Promise<string | undefined> {
    const client = this.#client
    const size = sizes[turn % sizes.length] as number
    switch (turn % 16) {
      case 0: {
        const error = await client.fail().catch((thrown: unknown) => thrown)
        return error instanceof RemoteError && error.remoteName === 'TypeError'
          ? undefined
          : `fail: ${String(error)}`
      }
      case 1: {
        const seen: number[] = []
        for await (const part of client.parts(parts)) seen.push(part.length)
        return seen.join() === parts.join() ? undefined : `parts: ${seen.join()}`
      }
      case 2: {
        const error: unknown = await client
          .$with({ signal: AbortSignal.timeout(2) })
          .linger()
          .catch((thrown: unknown) => thrown)
        const { code } = error as { code?: unknown }
        return code === 'ZASK_CALL_CANCELLED' ? undefined : `linger: ${String(error)}`
      }
      case 3: {
        let items = 0
        for await (const item of client.endless()) {
          if (item !== items++) return `endless: ${item} is not ${items - 1}`
          if (items === 250) break
        }
        return undefined
      }
      case 4:
      case 5: {
        const bytes = Buffer.alloc(size, turn)
        const answer = await client.echo(bytes)
        return bytes.equals(answer as Buffer) ? undefined : `echo: ${size} bytes came back as others`
      }
      case 6: {
        if (!this.#database) return undefined
        await client.entries(`entry ${turn}`)
        return undefined
      }
      default: {
        const answer = await client.blob(turn % 4 === 0 ? size : size % 1000)
        return answer[0] === undefined || answer[0] === 0x61 ? undefined : 'blob: other bytes'
      }
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const options = JSON.parse(process.argv[2] ?? '{}') as CallingOptions
  const cores: Core[] = []
  const callers: Caller[] = []
  for (let index = 0; index < options.clients; index++) {
    const core = createCore({ config: { DEBUG: false } }) as Core
    const client = await core.client<Soaked>(options.endpoint, {
      heartbeat: { intervalMs: options.heartbeatMs },
    })
    cores.push(core)
    callers.push(new Caller(client, options.database))
  }
  const tell = async (): Promise<void> => {
    const latencies = callers.flatMap((one) => one.latencies).toSorted((one, other) => one - other)
    const stretch: Stretch = {
      calls: callers.reduce((sum, { calls }) => sum + calls, 0),
      failures: callers.reduce((sum, { failures }) => sum + failures, 0),
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
      wrong: callers.find(({ wrong }) => wrong !== undefined)?.wrong,
      ...(await sample()),
    }
    for (const caller of callers) caller.latencies = []
    process.stdout.write(`${JSON.stringify({ stretch })}\n`)
  }
  const start = await sample()
  const gate = new Gate(options.clients * lanes, () => void tell())
  process.on('SIGUSR2', () => gate.toggle())
  process.stdout.write(`${JSON.stringify({ start })}\n`)
  const until = performance.now() + options.seconds * 1000
  await Promise.all(callers.map((caller) => caller.run(until, gate)))
  await tell()
  const channels = cores.reduce((sum, core) => sum + core.stats.now.channels, 0)
  const calling = cores.reduce((sum, core) => sum + core.stats.now.calling, 0)
  await Promise.all(cores.map((core) => core.stop()))
  await new Promise((resolve) => setTimeout(resolve, 500))
  process.stdout.write(`${JSON.stringify({ end: { channels, calling, ...(await sample()) } })}\n`)
}
