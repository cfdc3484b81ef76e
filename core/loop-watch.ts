import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { url as inspectorUrl } from 'node:inspector'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Call } from './call.ts'
import { longestTimerMs } from './limits.ts'
import type { Finding, WatchOrder } from './loop-watcher.ts'

/** A method that has held up the event loop. */
export interface Block {
  readonly heldMs: number
  readonly service: string | undefined
  readonly method: string | undefined
  /** Id of the call, as its log lines bear it. */
  readonly call: string | undefined
  /** The innermost place that is neither Node's nor zask's: `/app/users.ts:12:7 (render)`. */
  readonly at: string | undefined
  /** All places but zask's, innermost first. */
  readonly stack: readonly string[]
}

export interface LoopWatchOptions {
  readonly blockedMs: number
  readonly currentCall: () => Call | undefined
  readonly onBlock: (block: Block) => void
}

/** The folder of these files: what runs here is not what holds the loop up. */
const own = new URL('.', import.meta.url).href

/**
 * Finds out what holds up the event loop: a thread of its own notices that the loop turns no more, stops it for some
 * milliseconds as a debugger does, and reads where it is and for which call. Calls pay nothing for it; the process pays
 * a timer and the thread.
 *
 * Begins after the core has served for `blockedMs`: who comes and goes quickly, as tests do, never pays for the thread.
 */
export class LoopWatch {
  readonly #options: LoopWatchOptions
  readonly #channel: string
  readonly #beats = new Int32Array(new SharedArrayBuffer(4))
  #timer: NodeJS.Timeout | undefined
  #worker: Worker | undefined
  #beatenMs = 0
  #lastBlockMs = 0

  /** @param name Unique in the process. */
  constructor(name: string, options: LoopWatchOptions) {
    this.#options = options
    this.#channel = `zask.held-up.${name}`
  }

  start(): void {
    const { blockedMs } = this.#options
    // Somebody debugs: the loop stands still when they want it to, and a second debugger would be in their way.
    if (this.#timer !== undefined || blockedMs > longestTimerMs || inspectorUrl() !== undefined) return
    this.#timer = setTimeout(() => this.#begin(), blockedMs).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    unsubscribe(this.#channel, this.#onAsked)
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #begin(): void {
    const { blockedMs } = this.#options
    const tickMs = Math.min(Math.max(blockedMs / 4, 5), 250)
    const order: WatchOrder = {
      beats: this.#beats,
      tickMs,
      patience: Math.ceil(blockedMs / tickMs),
      channel: this.#channel,
    }
    subscribe(this.#channel, this.#onAsked)
    this.#beatenMs = performance.now()
    this.#timer = setInterval(() => this.#beat(), tickMs / 2).unref()
    // Of this process it needs nothing: neither what was preloaded here nor the environment.
    const worker = new Worker(new URL(import.meta.url.replace(/loop-watch(\.[jt]s)$/, 'loop-watcher$1')), {
      workerData: order,
      execArgv: [],
      env: {},
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32, stackSizeMb: 1 },
    })
    worker.unref()
    worker.on('message', (finding: Finding) => this.#onFinding(finding))
    // A service goes on without anybody who watches it.
    worker.on('error', () => void this.close())
    this.#worker = worker
  }

  #beat(): void {
    const now = performance.now()
    if (now - this.#beatenMs >= this.#options.blockedMs) this.#lastBlockMs = now - this.#beatenMs
    this.#beatenMs = now
    Atomics.add(this.#beats, 0, 1)
  }

  /** Runs where the loop is held up: whose call that is, the async context of that place knows. */
  readonly #onAsked = (message: unknown): void => {
    const call = this.#options.currentCall()
    if (call === undefined) return
    const { service, className, method, id } = call
    Object.assign(message as object, { service: service ?? className, method, id })
  }

  #onFinding({ frames, call }: Finding): void {
    // The beat that tells how long it was may come before or after this message.
    const sinceBeatMs = performance.now() - this.#beatenMs
    const heldMs = Math.round(sinceBeatMs >= this.#options.blockedMs ? sinceBeatMs : this.#lastBlockMs)
    const others = frames.filter((frame) => !frame.includes(`(${own}`))
    const places = others.map(readable)
    const index = others.findIndex((frame) => frame.includes('(file://'))
    this.#options.onBlock({
      heldMs,
      service: call?.service,
      method: call?.method,
      call: call?.id,
      at: places[index],
      stack: places,
    })
  }
}

/** `render (file:///app/users.ts:12:7)` is `/app/users.ts:12:7 (render)`. */
function readable(frame: string): string {
  const [, name, url = '', place] = /^(.*?) \((.*?)(:\d+:\d+)\)$/.exec(frame) ?? []
  return `${url.startsWith('file://') ? fileURLToPath(url) : url}${place} (${name})`
}

/** A line of the log. */
export function describeBlock({ heldMs, service, method, at }: Block): string {
  const name = service === undefined ? method : `${service}.${method}`
  const by = method === undefined ? 'outside of any call' : `by ${name}`
  const place = at === undefined ? 'it was over before it could be seen where' : `at ${at}`
  return (
    `the event loop was held up for ${heldMs} ms ${by}, ${place}. Meanwhile nobody is answered and no heartbeat is ` +
    'sent: do such work in a worker thread, or in parts.'
  )
}
