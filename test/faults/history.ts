import { readFileSync } from 'node:fs'

/** How a call ended, as its caller saw it. */
export interface Ending {
  readonly ok: boolean
  readonly code?: string
  readonly sent?: boolean
  readonly message?: string
  /** The class of the error at the service. */
  readonly remoteName?: string
  readonly retryable?: boolean
}

interface Call {
  readonly id: string
  readonly startedMs: number
  readonly timeoutMs: number
  /** Of a stream: what has come. */
  readonly items: number[] | undefined
  /** Of a stream that was read to its end: how many items it has. */
  readonly length: number | undefined
  readonly reads: boolean
  endings: Ending[]
  endedMs: number
}

/**
 * What callers saw, to be held against what the service says it ran: the two logs of a Jepsen test. Each call has an
 * id of its own; the service writes it down before it does anything else.
 */
export class History {
  readonly #calls = new Map<string, Call>()
  #ids = 0

  /**
   * @param about `length`: the call is a stream, of so many items where nothing breaks it. `reads`: it changes nothing
   * where the service keeps what calls have changed.
   */
  begin(timeoutMs: number, about: { readonly length?: number; readonly reads?: boolean } = {}): string {
    const id = `call-${++this.#ids}`
    const { length, reads = false } = about
    const items = length === undefined ? undefined : []
    const startedMs = performance.now()
    this.#calls.set(id, { id, startedMs, timeoutMs, items, length, reads, endings: [], endedMs: 0 })
    return id
  }

  item(id: string, item: number): void {
    this.#calls.get(id)?.items?.push(item)
  }

  end(id: string, ending: Ending): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    call.endings.push(ending)
    call.endedMs = performance.now()
  }

  /** Calls that have ended as `which` says. */
  count(which: (ending: Ending) => boolean = () => true): number {
    let sum = 0
    for (const { endings } of this.#calls.values()) if (endings[0] !== undefined && which(endings[0])) sum++
    return sum
  }

  get size(): number {
    return this.#calls.size
  }

  /** Calls that have not ended. */
  get open(): number {
    return this.#calls.size - this.count()
  }

  /** How each call ended that has. */
  get endings(): Ending[] {
    return [...this.#calls.values()].flatMap(({ endings }) => endings)
  }

  /** When the last of the calls ended that were begun by then; on the clock of `performance.now()`. */
  lastEnding(begunBy: number = Infinity): number {
    return Math.max(
      0,
      ...[...this.#calls.values()].filter((call) => call.startedMs <= begunBy).map((call) => call.endedMs),
    )
  }

  /** How far beyond its own time a call has gone at most, in milliseconds; streams wait as long as they like. */
  get overrunMs(): number {
    const unary = [...this.#calls.values()].filter((call) => call.items === undefined && call.endedMs > 0)
    return Math.max(0, ...unary.map((call) => call.endedMs - call.startedMs - call.timeoutMs))
  }

  /** What callers saw, in short: `{ ok: 90, 'ZASK_PEER_LOST': 10 }`. */
  get summary(): Record<string, number> {
    const sums: Record<string, number> = {}
    for (const { endings } of this.#calls.values()) {
      const [first] = endings
      const seen = first === undefined ? 'open' : first.ok ? 'ok' : (first.code ?? first.message ?? 'failed')
      sums[seen] = (sums[seen] ?? 0) + 1
    }
    return sums
  }

  /**
   * Everything that must not be; empty where all promises of a single call were kept.
   *
   * @param kept The ids of the calls whose change a database has, where there is one: a counter, with each of its
   * steps. It must be between the number of calls that were answered and that with those that may have run added.
   */
  problems(ran: readonly string[], kept?: readonly string[]): string[] {
    const runs = counted(ran)
    const changes = kept && counted(kept)
    const problems = [...runs.keys()]
      .filter((id) => !this.#calls.has(id))
      .map((id) => `${id} was run, and nobody called it`)
    for (const id of changes?.keys() ?? [])
      if (!this.#calls.has(id)) problems.push(`${id} was counted, and nobody called it`)
    for (const call of this.#calls.values()) {
      const complaint =
        complaintAbout(call, runs.get(call.id) ?? 0) ??
        (changes && complaintAboutChange(call, runs.get(call.id) ?? 0, changes.get(call.id) ?? 0))
      if (complaint !== undefined) problems.push(`${call.id} ${complaint}`)
    }
    return problems
  }
}

function counted(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

function complaintAbout({ endings, items, length }: Call, runs: number): string | undefined {
  const [ending] = endings
  if (ending === undefined) return 'never ended'
  if (endings.length > 1) return `ended ${endings.length} times`
  if (runs > 1) return `was run ${runs} times`
  if (ending.ok && runs !== 1) return 'was answered, and never run'
  if (ending.sent === false && runs > 0) return `was not sent, they said (${ending.code}), and it was run`
  if (items === undefined) return undefined
  const gap = items.findIndex((item, index) => item !== index)
  if (gap >= 0) return `has item ${items[gap]} where ${gap} belongs`
  if (ending.ok && items.length !== length) return `ended well with ${items.length} of ${length} items`
  return undefined
}

function complaintAboutChange({ endings, reads }: Call, runs: number, changes: number): string | undefined {
  if (reads) return changes > 0 ? 'reads, and has changed something' : undefined
  if (changes > 1) return `was counted ${changes} times`
  if (changes > runs) return 'was counted, and never run'
  return endings[0]?.ok === true && changes === 0 ? 'was answered, and not counted' : undefined
}

/** The ids that a service has written down, in that order. A line that a kill cut short was not run to its end. */
export function executed(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1)
}
