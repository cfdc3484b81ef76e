import type { Fleet } from './fleet.ts'
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
  /** Which of the round's turns at this cell: what is compared has both in common. */
  readonly turn: number
}

export interface RoundOptions {
  readonly round: number
  readonly rounds: number
  /** Length of one measurement, all turns together. */
  readonly seconds: number
  /** Turns that the systems take at each cell. */
  readonly turns: number
  /** A stream takes as long as it takes: it is read in so many of the first rounds. */
  readonly streamRounds: number
  /** Told what is being measured. */
  readonly say: (line: string) => void
}

export const cells: readonly Cell[] = [
  ...payloadNames.flatMap((payload) => [1, 64, 512].map((inFlight) => ({ payload, inFlight }))),
  { payload: streamPayload, inFlight: 1 },
]

/**
 * Measures all cells of all systems once.
 *
 * The systems take turns at each cell, so that what is compared was measured within a second or two: neighbours on the
 * machine come and go faster than that. Who comes first changes, for the first has the machine at its coolest.
 */
export async function runRound(fleet: Fleet, options: RoundOptions): Promise<Sample[]> {
  const { round, rounds, seconds, streamRounds, say } = options
  const samples: Sample[] = []
  for (const [index, cell] of cells.entries()) {
    // Who fails at one thing is in the fleet no more.
    const able = (): readonly Pair[] =>
      fleet.pairs.filter(({ streams }) => streams || cell.payload !== streamPayload)
    if (fleet.isAborted || able().length === 0) continue
    if (cell.payload === streamPayload && round > streamRounds) continue
    say(`round ${round} of ${rounds}: ${describeCell(cell)}`)
    for (const pair of able()) await fleet.attempt(pair, () => runUp(pair, cell, seconds))
    // A stream is read as a whole.
    const turns = cell.payload === streamPayload ? 1 : options.turns
    for (let turn = 0; turn < turns; turn++) {
      const pairs = able()
      const first = (round + index + turn) % pairs.length
      for (const pair of [...pairs.slice(first), ...pairs.slice(0, first)]) {
        await fleet.attempt(pair, async () => {
          const { payload, inFlight } = cell
          const measured = await measure(pair, cell, seconds / turns)
          samples.push({ system: pair.system.name, payload, inFlight, round, turn, ...measured })
        })
      }
    }
  }
  return samples
}

/**
 * Runs everything long enough for the compiler to have done with it, in both processes of each system: after half a
 * second a call still takes twice the CPU that it takes from the third second on. Then lone calls, for half as long: they
 * take other ways through the code than calls that share messages do, and are at their quickest after a second.
 */
export async function warmUp(fleet: Fleet, seconds: number, say: RoundOptions['say']): Promise<void> {
  if (fleet.pairs.length > 0) say('warming up')
  for (const pair of fleet.pairs) {
    await fleet.attempt(pair, async () => {
      for (const payload of payloadNames) {
        await pair.measureCalls({ payload, inFlight: 64, seconds, leastCalls: 2000 })
      }
      for (const payload of payloadNames) {
        await pair.measureCalls({ payload, inFlight: 1, seconds: seconds / 2, leastCalls: 1 })
      }
      if (pair.streams) await pair.measureStream(10_000)
    })
  }
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

/**
 * Begins at a cell with what the last one left collected. A collection leaves the young generation at its smallest: it is
 * back at the size that this load gives it before anything is measured.
 */
async function runUp(pair: Pair, cell: Cell, seconds: number): Promise<void> {
  await pair.collect()
  if (cell.payload === streamPayload) await pair.measureStream(streamItems / 5)
  else {
    const { payload, inFlight } = cell
    await pair.measureCalls({ payload, inFlight, seconds: seconds * 0.5, leastCalls: inFlight })
  }
}

async function measure(pair: Pair, cell: Cell, seconds: number): Promise<Measurement> {
  if (cell.payload === streamPayload) return pair.measureStream(streamItems)
  const { payload, inFlight } = cell
  // The others had the caches and the branch history meanwhile; what this measures is thrown away.
  await pair.measureCalls({ payload, inFlight, seconds: Math.min(0.1, seconds * 0.3), leastCalls: inFlight })
  return pair.measureCalls({ payload, inFlight, seconds, leastCalls: inFlight * 2 })
}
