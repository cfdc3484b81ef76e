import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { ProcessStats } from './service-stats.ts'

/** How often lateness is measured while somebody looks. */
const stepMs = 20
/** After so long without a look the measuring ends. */
const idleMs = 10_000

/**
 * Measures the process while somebody looks: the first look starts it, and the end of looking ends it.
 *
 * `monitorEventLoopDelay` is not used because it forgets what begins within its first step after each reset.
 */
export class ProcessGauge {
  #timer: NodeJS.Timeout | undefined
  #lastStepMs = 0
  #lastLookMs = 0
  #worstMs = 0
  #before: EventLoopUtilization | undefined

  look(): ProcessStats {
    const { rss, heapUsed } = process.memoryUsage()
    return {
      uptimeMs: Math.round(process.uptime() * 1000),
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      loop: this.#lookAtLoop(),
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #lookAtLoop(): ProcessStats['loop'] {
    const before = this.#before
    const wasMeasuring = this.#timer !== undefined
    this.#before = performance.eventLoopUtilization()
    this.#lastLookMs = performance.now()
    if (!wasMeasuring || before === undefined) {
      this.#start()
      return null
    }
    // A loop that was blocked until now answers first and steps then.
    this.#measure()
    const lagMs = this.#worstMs
    this.#worstMs = 0
    this.#lastStepMs = this.#lastLookMs
    return { lagMs, busy: performance.eventLoopUtilization(this.#before, before).utilization }
  }

  #start(): void {
    this.#lastStepMs = this.#lastLookMs
    this.#worstMs = 0
    this.#timer = setInterval(() => this.#step(), stepMs).unref()
  }

  #step(): void {
    this.#measure()
    this.#lastStepMs = performance.now()
    if (this.#lastStepMs - this.#lastLookMs > idleMs) this.close()
  }

  #measure(): void {
    this.#worstMs = Math.max(this.#worstMs, performance.now() - this.#lastStepMs - stepMs, 0)
  }
}
