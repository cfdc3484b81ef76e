import { type Client, type ClientOptions, type Core, createCore, createLogger } from '../../core/index.ts'
import type { Plugin, StartOptions } from '../../core/index.ts'

/** Waits until something holds, looking each few milliseconds; mocha's timeout is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(2)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What a promise, or a stream's first answer, was rejected with. */
export async function failure(promise: PromiseLike<unknown>): Promise<Failure> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error as Failure
  }
  throw new Error(`nothing was thrown, but ${JSON.stringify(value)} returned`)
}

export interface Failure extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly sent?: boolean
  readonly details?: Readonly<Record<string, unknown>>
  readonly remoteName?: string
  readonly remoteTraceback?: string
}

/** A plugin of taps only. */
export function plugin(name: string, apply: Plugin['apply']): Plugin {
  return { name, apply }
}

/** The cores of one test file: `close` stops whatever its last test has left. */
export class Cores {
  readonly #cores: Core[] = []
  /** What the cores have logged, one line each. */
  logged: string[] = []

  make(plugins: readonly Plugin[] = [], hookTimeoutMs = 10_000): Core {
    const core = createCore({ plugins, hookTimeoutMs }) as Core
    core.setLogger(createLogger({ write: (line) => void this.logged.push(line) }))
    this.#cores.push(core)
    return core
  }

  /** A core that serves at a free port. */
  async serve(
    service: object | readonly object[],
    options: StartOptions & { plugins?: readonly Plugin[]; hookTimeoutMs?: number } = {},
  ): Promise<{ core: Core; endpoint: string }> {
    const { plugins, hookTimeoutMs, ...more } = options
    const core = this.make(plugins, hookTimeoutMs)
    const { endpoints } = await core.start(service, { bind: 'tcp://127.0.0.1:*', signals: false, ...more })
    return { core, endpoint: endpoints[0] as string }
  }

  /** A client with a core of its own. */
  async client<T>(
    target: string | readonly string[],
    options: ClientOptions<T> & { plugins?: readonly Plugin[] } = {},
  ): Promise<{ core: Core; client: Client<T> }> {
    const { plugins, ...more } = options
    const core = this.make(plugins)
    return { core, client: await core.client<T>(target, more) }
  }

  async close(): Promise<void> {
    this.logged = []
    await Promise.all(this.#cores.splice(0).map((core) => core.stop().catch(() => 0)))
  }
}
