import { EventReader } from '../../core/wire/event.ts'
import { collectGarbage } from '../support/garbage.ts'
import { corpus } from './corpus.ts'

/** What reading one entry came to. */
export interface CorpusRead {
  readonly entry: string
  readonly bytes: number
  readonly events: number
  /** Why not all of it was taken; null where it was. */
  readonly refused: string | null
  readonly ms: number
}

/** Bytes before the first entry and after the last: live ones, and those of the whole process at their highest. */
export interface CorpusMemory {
  readonly live: readonly [before: number, after: number]
  readonly rss: readonly [before: number, highest: number]
}

// Reads the corpus in a process of its own, which has little memory: what harms does so here.

async function live(): Promise<number> {
  // What buffers held is given back a turn later.
  for (let round = 0; round < 2; round++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function read(reader: EventReader, name: string, payload: Buffer): CorpusRead {
  // Once unmeasured: code that runs for the first time is made first.
  reader.read(payload, () => undefined)
  let events = 0
  let malformed: string | undefined
  let reason: string | undefined
  let ms = Infinity
  // The best of three: what another process has held up is no fault of the reader.
  for (let round = 0; round < 3; round++) {
    events = 0
    const started = performance.now()
    reason = reader.read(payload, (event) => {
      events++
      malformed ??= event.malformed
    })
    ms = Math.min(ms, performance.now() - started)
  }
  return { entry: name, bytes: payload.length, events, refused: reason ?? malformed ?? null, ms }
}

if (process.argv[1] === import.meta.filename) {
  const reader = new EventReader()
  const before = await live()
  const start = process.memoryUsage.rss()
  let highest = start
  for (const { name, bytes } of corpus) {
    const seen = read(reader, name, bytes())
    collectGarbage()
    highest = Math.max(highest, process.memoryUsage.rss())
    process.stdout.write(`${JSON.stringify(seen)}\n`)
  }
  const memory: CorpusMemory = { live: [before, await live()], rss: [start, highest] }
  process.stdout.write(`${JSON.stringify({ memory })}\n`)
}
