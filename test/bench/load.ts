import { Samples } from './statistics.ts'
import type { BenchClient, Payload } from './system.ts'

export interface LoadOptions {
  /** Calls outstanding at every moment. */
  readonly inFlight: number
  readonly seconds: number
  /** The load goes on past `seconds` until so many calls were answered. */
  readonly leastCalls: number
}

/** What one process saw of one load. CPU is in microseconds of any core, user and system together. */
export interface LoadResult {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly cpuUs: number
  readonly elapsedMs: number
  /** Every call the server had to answer, with those that were still outstanding when the time was over. */
  readonly made: number
}

/**
 * Keeps exactly `inFlight` calls outstanding: each caller makes its next call when its last one was answered.
 *
 * What is answered after the time is over is waited for but not counted, or the slow end would be part of the rate.
 */
export async function runLoad(
  client: BenchClient,
  value: Payload,
  options: LoadOptions,
): Promise<LoadResult> {
  const { inFlight, seconds, leastCalls } = options
  const latencies = new Samples()
  const cpu = process.cpuUsage()
  const started = performance.now()
  const end = started + seconds * 1000
  let ended = 0
  let cpuUs = 0

  const call = async (): Promise<void> => {
    // One look at the clock serves as the end of a call and as the beginning of the next.
    let before = performance.now()
    while (ended === 0) {
      await client.echo(value)
      const now = performance.now()
      if (ended !== 0) return
      latencies.add(now - before)
      if (now >= end && latencies.count >= leastCalls) {
        ended = now
        cpuUs = total(process.cpuUsage(cpu))
      }
      before = now
    }
  }
  await Promise.all(Array.from({ length: inFlight }, call))

  return { ...describe(latencies, ended - started), cpuUs, made: latencies.count + inFlight - 1 }
}

/** Reads one stream of `items` to its end. The latencies are those of the single items: the wait for each next one. */
export async function runStream(client: BenchClient, items: number): Promise<LoadResult> {
  if (client.countTo === undefined) throw new Error('This system does not stream.')
  const waits = new Samples()
  const cpu = process.cpuUsage()
  const started = performance.now()
  let before = started
  let expected = 1
  for await (const item of client.countTo(items)) {
    const now = performance.now()
    waits.add(now - before)
    before = now
    if (item !== expected++) throw new Error(`The stream yielded ${item} where ${expected - 1} was due.`)
  }
  const cpuUs = total(process.cpuUsage(cpu))
  if (waits.count !== items) throw new Error(`The stream ended after ${waits.count} of ${items} items.`)
  return { ...describe(waits, performance.now() - started), cpuUs, made: items }
}

/** Microseconds of any core. */
export function total(usage: NodeJS.CpuUsage): number {
  return usage.user + usage.system
}

function describe(samples: Samples, elapsedMs: number): Omit<LoadResult, 'cpuUs' | 'made'> {
  const [p50, p99] = samples.quantiles(0.5, 0.99)
  return { perSecond: (samples.count / elapsedMs) * 1000, p50Us: p50! * 1000, p99Us: p99! * 1000, elapsedMs }
}
