import { parseArgs } from 'node:util'
import { systems, type System } from './system.ts'

export interface BenchOptions {
  readonly systems: readonly System[]
  readonly rounds: number
  /** Length of one measurement, all turns together. */
  readonly seconds: number
  /** Turns that the systems take at each measurement. */
  readonly turns: number
  /** Length of what is run before, for each payload, and thrown away. */
  readonly warmUpSeconds: number
  /** New processes for each round; a hurried run has no time to warm them up, and a profile is of one process. */
  readonly renew: boolean
  /** No round is begun that would likely end after so many seconds. */
  readonly budgetSeconds: number
  /** A stream takes as long as it takes, so a hurried run reads it in its first rounds only. */
  readonly streamRounds: number
  readonly json: boolean
  readonly memory: boolean
  /** Calls of a `--memory` run. */
  readonly calls: number
  readonly profile: boolean
}

/** The command line was not understood; the message says what was, and what would have been. */
export class UsageError extends Error {}

export const help: string = `Usage: npm run bench -- [options]

Measures zask beside what it is built on and beside other frameworks: echo of a small integer and of a 1 KiB object
with 1, 64 and 512 calls in flight, and a stream of 100,000 items. Server and client are separate processes, new
ones in each round; the systems take turns, so that they share whatever else the machine is doing.

  --quick         the whole run in less than a minute; figures to look at, not to quote
  --system a,b    only these of: ${systems.map(({ name }) => name).join(', ')}
                  (zask-curve, which encrypts, is measured only where it is named)
  --rounds N      rounds over all systems (5; with --quick 2, or what there is time for)
  --seconds S     length of one measurement (1; with --quick 0.5)
  --json          one array of {system, payload, inFlight, callsPerSecond, p50Us, p99Us, clientCpu, serverCpu} on
                  stdout: medians over the rounds; CPU in percent of one core. A stream is the payload
                  "stream-100000": its calls are items, its latencies the wait for each next item
  --memory        instead of all that: 1,000,000 calls (of zask unless --system names others), and the bytes both
                  processes have in use after each tenth of them
  --calls N       calls of a --memory run
  --profile       also write CPU profiles of all processes, and print where their time went (this slows them down)
  --database      instead of all that: what the database session of a call costs, on SQLite and PostgreSQL; alone
  --help          this text

Other frameworks are installed from test/bench/peers/package-lock.json when one of them is first asked for.
`

/** Throws a `UsageError` for anything it does not understand; answers 'help' where that was asked for. */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const values = parse(args)
  if (values.help) return 'help'
  const { quick = false, memory = false } = values
  const length = seconds(values.seconds, quick ? 0.5 : 1)
  const rounds = wholeNumber('--rounds', values.rounds, quick ? 2 : 5)
  return {
    systems: chosen(values.system?.join() ?? (memory ? 'zask' : undefined)),
    rounds,
    seconds: length,
    turns: quick ? 1 : 4,
    warmUpSeconds: Math.min(length * (quick ? 1.5 : 3), 3),
    renew: !quick && !(values.profile ?? false),
    budgetSeconds: quick && values.rounds === undefined ? 55 : Number.POSITIVE_INFINITY,
    streamRounds: quick ? 1 : rounds,
    json: values.json ?? false,
    memory,
    calls: wholeNumber('--calls', values.calls, 1_000_000),
    profile: values.profile ?? false,
  }
}

interface Values {
  quick?: boolean
  json?: boolean
  memory?: boolean
  profile?: boolean
  help?: boolean
  system?: string[]
  rounds?: string
  seconds?: string
  calls?: string
}

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        json: { type: 'boolean' },
        memory: { type: 'boolean' },
        profile: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        system: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        calls: { type: 'string' },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function chosen(list: string | undefined): readonly System[] {
  if (list === undefined) return systems.filter(({ isAside }) => isAside !== true)
  const names = new Set(list.split(',').map((name) => name.trim()))
  for (const name of names) {
    if (systems.some((system) => system.name === name)) continue
    const known = systems.map((system) => system.name).join(', ')
    throw new UsageError(`--system names "${name}", which is not one of: ${known}`)
  }
  return systems.filter(({ name }) => names.has(name))
}

function wholeNumber(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value
  throw new UsageError(`${flag} must be a whole number of at least 1, and is "${text}"`)
}

function seconds(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && value <= 3600) return value
  throw new UsageError(`--seconds must be a number above 0 and up to 3600, and is "${text}"`)
}
