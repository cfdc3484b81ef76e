import { randomBytes, randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'
import { EventReader } from '../../core/wire/event.ts'
import { corpus } from './corpus.ts'

const keptFile = join(import.meta.dirname, 'corpus/guided.hex')
/** What runs longer than this is a finding. */
const patienceMs = 250
/** Longer inputs are no better at finding the way, and slower. */
const maxBytes = 512
const heads = [
  0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xc7, 0xca, 0xcf, 0xd3, 0xd4, 0xd9, 0xdc, 0xdd, 0xde, 0xdf, 0xff,
]

/** Which blocks of the code that reads events an input has run. */
class Coverage {
  readonly #session = new Session()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** What has run since the last look. */
  look(): string[] {
    const features: string[] = []
    this.#session.post('Profiler.takePreciseCoverage', (_error, answer) => {
      for (const { url, functions } of answer.result) {
        if (!url.includes('/core/wire/')) continue
        const file = url.slice(url.lastIndexOf('/') + 1)
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges)
            if (count > 0) features.push(`${file}:${startOffset}-${endOffset}`)
      }
    })
    return features
  }

  close(): void {
    this.#session.disconnect()
  }
}

function mutate(bytes: Buffer, others: readonly Buffer[]): Buffer {
  let mutant = Buffer.from(bytes)
  for (let round = randomInt(1, 5); round > 0; round--) {
    const at = randomInt(mutant.length + 1)
    const [before, after] = [mutant.subarray(0, at), mutant.subarray(at)]
    const way = randomInt(7)
    if (way === 0) mutant = Buffer.concat([before, randomBytes(randomInt(1, 5)), after])
    else if (way === 1) mutant = Buffer.concat([before, after.subarray(randomInt(1, 5))])
    else if (way === 2) mutant = Buffer.concat([before, randomBytes(1), after.subarray(1)])
    else if (way === 3)
      mutant = Buffer.concat([before, Buffer.from([heads[randomInt(heads.length)]!]), after.subarray(1)])
    else if (way === 4) mutant = Buffer.concat([before, after.subarray(0, randomInt(1, 40)), after])
    else if (way === 5) mutant = Buffer.concat([before, others[randomInt(others.length)] as Buffer])
    else
      mutant = Buffer.concat([
        before,
        Buffer.alloc(randomInt(1, 300), after.subarray(0, 4).toString('hex') || '90', 'hex'),
        after,
      ])
  }
  return mutant.subarray(0, maxBytes)
}

/**
 * Looks for inputs that run blocks of `core/wire` which none before has run. What it keeps is added to
 * `corpus/guided.hex`, and read by the tests from then on. Throws at the first input that does harm.
 */
export async function runGuided(minutes: number): Promise<void> {
  const coverage = new Coverage()
  const reader = new EventReader()
  const seen = new Set<string>()
  const kept: Buffer[] = []
  const added: Buffer[] = []
  let runs = 0

  const attempt = (input: Buffer): boolean => {
    coverage.look()
    const started = performance.now()
    try {
      reader.read(input, () => undefined)
    } catch (error) {
      throw new Error(`the reader threw ${String(error)} at ${input.toString('hex')}`, { cause: error })
    }
    const ms = performance.now() - started
    if (ms > patienceMs) throw new Error(`the reader took ${ms.toFixed(0)} ms for ${input.toString('hex')}`)
    runs++
    const fresh = coverage.look().filter((feature) => !seen.has(feature))
    for (const feature of fresh) seen.add(feature)
    if (fresh.length > 0) kept.push(input)
    return fresh.length > 0
  }

  for (const { bytes } of corpus) {
    const input = bytes()
    if (input.length <= maxBytes) attempt(input)
  }
  const known = `${kept.length} inputs of the corpus, ${seen.size} blocks`
  const until = performance.now() + minutes * 60_000
  while (performance.now() < until) {
    const input = mutate(kept[randomInt(kept.length)] as Buffer, kept)
    if (attempt(input)) added.push(input)
    if (runs % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  coverage.close()
  if (added.length > 0) {
    const lines = added.map((input) => `${input.toString('hex')}\n`).join('')
    writeFileSync(keptFile, readFileSync(keptFile, 'utf8') + lines)
  }
  process.stdout.write(`${known}; after ${runs} runs: ${added.length} inputs more, ${seen.size} blocks\n`)
}
