import { createCore, createLogger } from '../../core/index.ts'

/** What the target says of itself. */
export interface TargetState {
  readonly rssBytes: number
  readonly liveBytes: number
  readonly channels: number
  readonly timers: number
  readonly served: number
  readonly dropped: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  /** The longest the event loop was held up so far, in milliseconds of its own processor time. */
  readonly longestTurnMs: number
}

/**
 * Looks how long the event loop worked at one go. In time of its thread: where the machine is busy with other things, what
 * a clock shows says nothing.
 */
class TurnWatch {
  longestMs = 0
  #lastUs = this.#usedUs()

  constructor() {
    setInterval(() => {
      const now = this.#usedUs()
      this.longestMs = Math.max(this.longestMs, (now - this.#lastUs) / 1000)
      this.#lastUs = now
    }, 2).unref()
  }

  #usedUs(): number {
    const { user, system } = process.threadCpuUsage()
    return user + system
  }
}

/** The service that is fuzzed, in a process of its own that has little memory. */
export class Target {
  echo(value: unknown): unknown {
    return value
  }

  fail(): never {
    throw new TypeError('no way')
  }

  *countTo(last: number): Generator<number> {
    for (let item = 1; item <= last; item++) yield item
  }

  async state(): Promise<TargetState> {
    // What buffers held is given back a turn later.
    for (let round = 0; round < 2; round++) {
      globalThis.gc?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const { rss, heapUsed, external } = process.memoryUsage()
    const { now, served, wire } = core.stats
    return {
      rssBytes: rss,
      liveBytes: heapUsed + external,
      // The call that asks is one of them.
      channels: now.channels - 1,
      timers: now.timers,
      served: served.ok + served.failed,
      dropped: wire.dropped,
      refused: wire.refused,
      longestTurnMs: turns.longestMs,
    }
  }
}

const core = createCore({ config: { DEBUG: false } })
const turns = new TurnWatch()
// How it encrypts, if it is to.
core.config.fromPrefixedEnv('TARGET_')

if (process.argv[1] === import.meta.filename) {
  core.setLogger(createLogger({ write: () => undefined }))
  // Short beats: who is gone is noticed within the test.
  const options = { bind: 'tcp://127.0.0.1:*', heartbeat: { intervalMs: 250 } }
  const { endpoints } = await core.start(new Target(), options)
  process.stdout.write(`${endpoints[0]}\n`)
}
