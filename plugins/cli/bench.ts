import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { type Client, RemoteError, ZaskError } from '../../core/index.ts'
import { argumentOptions, argumentsOf } from './arguments.ts'
import { isStream } from './call.ts'
import { type Command, type CommandLine, numberOption } from '../command/command.ts'
import { remoteOptions, withClient } from './remote.ts'
import { type Bar, TimeSpread } from './time-spread.ts'
import { table } from '../command/table.ts'
import { dim, escapeControls, exitCodes, json, type Terminal } from '../command/terminal.ts'

/** `zask bench`: how many calls a service answers, and how fast. */
export const benchCommand: Command = {
  usage: '<service|endpoint> <method> [arguments...]',
  says: 'call a method again and again, print rate, times and their histogram',
  more: `Ends with 1 where a call failed. A stream counts as one call, and is read to its end. Times are those of this client,
on this machine: with --rate they begin when a call was due, so that a service that falls behind cannot hide it.`,
  options: {
    concurrency: { type: 'string', short: 'c', value: '<n>', says: 'calls at the same time (default: 64)' },
    duration: { type: 'string', short: 'd', value: '<s>', says: 'seconds (default: 10)' },
    rate: {
      type: 'string',
      value: '<n>',
      says: 'calls per second to make (default: as many as are answered)',
    },
    ...argumentOptions,
    ...remoteOptions,
  },
  least: 2,
  most: Infinity,
  run: benchMethod,
}

interface Load {
  readonly concurrency: number
  readonly durationMs: number
  /** Calls per second, or undefined for as many as are answered. */
  readonly rate: number | undefined
}

/** Times are in microseconds: the histogram takes integers from 1 on. */
interface Tally {
  readonly begin: number
  readonly times: RecordableHistogram
  readonly spread: TimeSpread
  readonly errors: Map<string, number>
}

async function benchMethod(line: CommandLine): Promise<number> {
  const { words, asJson, terminal } = line
  const [, method = '', ...rest] = words
  const load: Load = {
    concurrency: numberOption(line, 'concurrency', { least: 1, whole: true }) ?? 64,
    durationMs: (numberOption(line, 'duration', { least: 0.1, unit: 'seconds' }) ?? 10) * 1000,
    rate: numberOption(line, 'rate', { least: 0.001 }),
  }
  const args = await argumentsOf(rest, line)
  const report = await withClient(line, async ({ client }) => {
    await connected(client)
    const call = async (): Promise<void> => {
      const answer = await client.$call(method, args)
      if (isStream(answer)) for await (const _ of answer);
    }
    const tally: Tally = {
      begin: performance.now(),
      times: createHistogram(),
      spread: new TimeSpread(),
      errors: new Map(),
    }
    const stopLine = terminal.live ? drawLine(tally, load, terminal) : () => {}
    try {
      await run(call, load, tally, terminal.signal)
    } finally {
      stopLine()
    }
    return reportOf(tally)
  })
  terminal.write(asJson ? `${json(report)}\n` : await readableReport(report, terminal))
  if (terminal.signal.aborted) return exitCodes.interrupted
  return Object.keys(report.errors).length === 0 ? exitCodes.done : exitCodes.failed
}

/** Before the clock starts, so that connecting counts for no call; whoever refuses this is there as well. */
async function connected(client: Client): Promise<void> {
  try {
    await client.$call('_zerorpc_ping')
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
  }
}

async function run(call: () => Promise<void>, load: Load, tally: Tally, signal: AbortSignal): Promise<void> {
  const { concurrency, durationMs, rate } = load
  let next = 0
  const worker = async (): Promise<void> => {
    while (!signal.aborted) {
      const now = performance.now()
      const offset = rate === undefined ? 0 : (next++ * 1000) / rate
      if (offset >= durationMs || now - tally.begin >= durationMs) return
      const due = rate === undefined ? now : tally.begin + offset
      if (due > now) await sleep(due - now, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      try {
        await call()
        const microseconds = Math.max(1, Math.round((performance.now() - due) * 1000))
        tally.times.record(microseconds)
        tally.spread.record(microseconds)
      } catch (error) {
        if (signal.aborted) return
        const name = error instanceof RemoteError ? error.remoteName : nameOf(error)
        tally.errors.set(name, (tally.errors.get(name) ?? 0) + 1)
        // A call that fails at once must not keep the events of all others from being read.
        await setImmediate()
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** What is no error of a call is one of this program. */
function nameOf(error: unknown): string {
  if (error instanceof ZaskError) return error.name
  throw error
}

/** One line on stderr, drawn anew twice a second; the function returned takes it away. */
function drawLine({ begin, times, errors }: Tally, load: Load, terminal: Terminal): () => void {
  let last = { at: begin, count: 0 }
  const timer = setInterval(() => {
    const [at, count] = [performance.now(), times.count]
    const rate = ((count - last.count) * 1000) / (at - last.at)
    const failed = [...errors.values()].reduce((sum, one) => sum + one, 0)
    last = { at, count }
    const seconds = `${((at - begin) / 1000).toFixed(1)} of ${load.durationMs / 1000} s`
    terminal.complain(
      `\r\u001b[K${seconds}   ${thousands(rate)} calls/s   p99 ${time(times.percentile(99))}   ${failed} errors`,
    )
  }, 500)
  return () => {
    clearInterval(timer)
    terminal.complain('\r\u001b[K')
  }
}

interface Report {
  readonly calls: number
  readonly seconds: number
  readonly callsPerSecond: number
  /** Of the calls that were answered; empty where none was. */
  readonly milliseconds: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
  /** How many calls took so long at most, and longer than the bar before. */
  readonly histogram: readonly Bar[]
}

const quantiles: readonly [name: string, percentile: number][] = [
  ['p50', 50],
  ['p90', 90],
  ['p99', 99],
  ['p99.9', 99.9],
  ['max', 100],
]

function reportOf({ begin, times, spread, errors }: Tally): Report {
  const seconds = (performance.now() - begin) / 1000
  const read = quantiles.map(([name, percentile]) => [name, times.percentile(percentile) / 1000])
  return {
    calls: times.count,
    seconds,
    callsPerSecond: times.count / seconds,
    milliseconds: times.count === 0 ? {} : Object.fromEntries(read),
    errors: Object.fromEntries([...errors].toSorted(([, a], [, b]) => b - a)),
    histogram: spread.bars,
  }
}

async function readableReport(report: Report, to: Terminal): Promise<string> {
  const { calls, seconds, callsPerSecond, milliseconds, errors, histogram } = report
  const lines = [
    `${thousands(callsPerSecond)} calls/s ${dim(`(${calls} answered in ${seconds.toFixed(1)} s)`, to)}\n`,
  ]
  const times = Object.entries(milliseconds).map(([name, ms]) => [name, time(ms * 1000)])
  lines.push(await table(times, { indent: '  ', right: [1] }))
  const most = Math.max(...histogram.map((bar) => bar.calls))
  const bars = histogram.map(({ upToMs, calls: count }) => [
    `up to ${upToMs} ms`,
    thousands(count),
    '#'.repeat(Math.ceil((count / most) * 40)),
  ])
  if (bars.length > 0) lines.push('\n', await table(bars, { indent: '  ', right: [0, 1] }))
  for (const [name, count] of Object.entries(errors)) lines.push(`${count} failed: ${escapeControls(name)}\n`)
  return lines.join('')
}

function time(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(microseconds < 10_000 ? 2 : 0)} ms`
}

function thousands(count: number): string {
  return Math.round(count).toLocaleString('en')
}
