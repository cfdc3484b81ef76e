/** What travels: an echo answers exactly this. */
export type Payload = number | Readonly<Record<string, unknown>>

/** Plain data that tells apart two systems made by the same adapter; it is sent to the child processes. */
export type AdapterOptions = Readonly<Record<string, string | number>>

export interface BenchServer {
  /** Whatever the adapter's own `connect` understands. */
  readonly address: string
  stop(): Promise<unknown>
}

export interface BenchClient {
  echo(value: Payload): Promise<unknown>
  /** Yields 1 to `last`. Left out by systems that do not stream. */
  countTo?(last: number): AsyncIterable<number>
  stop(): Promise<unknown>
}

/**
 * A system under measurement. `serve` and `connect` run in different processes, so they share nothing but `address`.
 *
 * The load runs directly on `echo`: an adapter translates and does nothing else, or its own cost is measured.
 */
export interface Adapter {
  serve(options: AdapterOptions): Promise<BenchServer>
  connect(address: string, options: AdapterOptions): Promise<BenchClient>
}

export interface System {
  readonly name: string
  /** URL of a module whose exports are an `Adapter`. Loaded in the child processes only. */
  readonly module: string
  readonly options: AdapterOptions
  /** Another framework: the ratios name the best of these, and they come from the package in `peers/`. */
  readonly isPeer: boolean
  /** Takes part only where it is named: it tells something beside the comparison. */
  readonly isAside?: boolean
}

const here = (path: string): string => new URL(path, import.meta.url).href

export const systems: readonly System[] = [
  { name: 'zask', module: here('systems/zask.ts'), options: { plugins: 0 }, isPeer: false },
  { name: 'zask-plugins', module: here('systems/zask.ts'), options: { plugins: 3 }, isPeer: false },
  {
    name: 'zask-curve',
    module: here('systems/zask-curve.ts'),
    options: {},
    isPeer: false,
    isAside: true,
  },
  { name: 'raw-zeromq', module: here('systems/raw-zeromq.ts'), options: {}, isPeer: false },
  { name: 'grpc-js', module: here('peers/grpc.mjs'), options: {}, isPeer: true },
  { name: 'moleculer-tcp', module: here('peers/moleculer.mjs'), options: {}, isPeer: true },
  { name: 'nest-tcp', module: here('peers/nest.mjs'), options: {}, isPeer: true },
]
