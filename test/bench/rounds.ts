import type { Measurement, Pair } from './pair.ts'
import { payloadNames, type PayloadName } from './payloads.ts'

export const streamItems = 100_000

/** One thing measured of each system. */
export type Cell =
  | { readonly payload: PayloadName; readonly inFlight: number }
  | { readonly payload: typeof streamPayload; readonly inFlight: 1 }

export const streamPayload = 'stream-100000'

export interface Sample extends Measurement {
  readonly system: string
  readonly payload: Cell['payload']
  readonly inFlight: number
  readonly round: number
}

export interface RoundsOptions {
  readonly rounds: number
  readonly seconds: number
  readonly streamRounds: number
  readonly signal: AbortSignal
  /** Told what is being measured. */
  readonly say: (line: string) => void
  /** Told when a system can go on no longer; its samples are dropped. */
  readonly fail: (system: string, reason: unknown) => void
}

export const cells: readonly Cell[] = [
  ...payloadNames.flatMap((payload) => [1, 64, 512].map((inFlight) => ({ payload, inFlight }))),
  { payload: streamPayload, inFlight: 1 },
]

/**
 * Measures all cells of all systems, round by round.
 *
 * Within a round the systems follow each other at each cell, so that what is compared was measured within seconds;
 * who comes first changes from cell to cell, for the first has the machine at its coolest.
 */
export async function runRounds(pairs: readonly Pair[], options: RoundsOptions): Promise<Sample[]> {
  const { rounds, seconds, streamRounds, signal, say, fail } = options
  const failed = new Set<Pair>()
  let samples: Sample[] = []
  let turn = 0

  const attempt = async (pair: Pair, work: () => Promise<void>): Promise<void> => {
    try {
      if (!failed.has(pair)) await work()
    } catch (error) {
      failed.add(pair)
      samples = samples.filter(({ system }) => system !== pair.system.name)
      if (!signal.aborted) fail(pair.system.name, error)
      await pair.kill()
    }
  }

  if (pairs.length > 0) say('warming up')
  for (const pair of pairs) await attempt(pair, () => warmUp(pair, seconds))

  for (let round = 1; round <= rounds; round++) {
    for (const cell of cells) {
      if (signal.aborted) return []
      if (failed.size === pairs.length) return samples
      const isStream = cell.payload === streamPayload
      if (isStream && (round > streamRounds || !pairs.some(({ streams }) => streams))) continue
      say(`round ${round} of ${rounds}: ${describeCell(cell)}`)
      const first = turn++ % pairs.length
      for (const pair of [...pairs.slice(first), ...pairs.slice(0, first)]) {
        if (signal.aborted) return []
        await attempt(pair, async () => {
          const measurement = await measure(pair, cell, seconds)
          if (measurement === undefined) return
          const { payload, inFlight } = cell
          samples.push({ system: pair.system.name, payload, inFlight, round, ...measurement })
        })
      }
    }
  }
  return samples
}

export function describeCell({ payload, inFlight }: Pick<Sample, 'payload' | 'inFlight'>): string {
  switch (payload) {
    case 'small-integer':
      return `echo of a small integer, ${inFlight} in flight`
    case 'object-1KiB':
      return `echo of a 1 KiB object, ${inFlight} in flight`
    default:
      return `stream of ${streamItems.toLocaleString('en')} items`
  }
}

async function measure(pair: Pair, cell: Cell, seconds: number): Promise<Measurement | undefined> {
  if (cell.payload === streamPayload) return pair.streams ? pair.measureStream(streamItems) : undefined
  const { payload, inFlight } = cell
  // A short run-up brings caches and branch history to this load; what it measures is thrown away.
  await pair.measureCalls({ payload, inFlight, seconds: seconds * 0.15, leastCalls: inFlight })
  return pair.measureCalls({ payload, inFlight, seconds, leastCalls: inFlight * 2 })
}

/** Runs everything long enough for the compiler to have done with it, in both processes. */
async function warmUp(pair: Pair, seconds: number): Promise<void> {
  for (const payload of payloadNames) {
    await pair.measureCalls({ payload, inFlight: 64, seconds: Math.min(seconds * 2, 1), leastCalls: 2000 })
  }
  if (pair.streams) await pair.measureStream(10_000)
}
