import { expect } from 'chai'
import { repository, run, sourceCondition } from '../support/processes.ts'
import type { CorpusMemory, CorpusRead } from './corpus-child.ts'
import { corpus } from './corpus.ts'

const MiB = 2 ** 20

/** What is a sound event although it looks odd; all else in the corpus is to be refused. */
const sound = [
  'a key given twice, as args',
  'a key given twice, in a header',
  'a key that is NaN, as args',
  'a key that is NaN, in a header',
  'a name of 8 MB',
  'an unknown ext, as args',
  'an unknown ext, in a header',
  'the key constructor, as args',
  'the key constructor, in a header',
  'uint64 and int64 at their ends, as args',
  'uint64 and int64 at their ends, in a header',
]

describe('the corpus of bombs and findings, read with 128 MiB of memory', function () {
  this.timeout(30_000)

  let reads: CorpusRead[]
  let memory: CorpusMemory
  before(async () => {
    const args = [sourceCondition, '--max-old-space-size=128', 'test/fuzz/corpus-child.ts']
    const { code, stdout, output } = await run(process.execPath, args, { cwd: repository })
    expect(code, output.slice(-2000)).to.equal(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    reads = lines.slice(0, -1) as CorpusRead[]
    memory = (lines.at(-1) as { memory: CorpusMemory }).memory
  })

  it('is read to its end', () => {
    expect(reads.map(({ entry }) => entry)).to.deep.equal(corpus.map(({ name }) => name))
  })

  it('is refused, but for what is sound', () => {
    const taken = reads.filter(({ refused, entry }) => refused === null && !entry.includes('.hex:'))
    expect(taken.map(({ entry }) => entry).toSorted()).to.deep.equal(sound)
  })

  it('takes a quarter of a second at most for each of its frames', () => {
    const slow = reads.filter(({ ms, bytes }) => ms > Math.max(250, (bytes / MiB) * 50))
    expect(slow).to.deep.equal([])
    // What announces much and brings little costs little.
    const small = reads.filter(({ bytes }) => bytes < 1000).toSorted((one, other) => other.ms - one.ms)
    console.log(`      ${reads.length} frames, slowest below 1 KB ${small[0]?.ms.toFixed(2)} ms`)
    expect(small[5]?.ms).to.be.below(20)
  })

  it('leaves nothing behind', () => {
    const { live, rss } = memory
    expect(live[1] - live[0]).to.be.below(4 * MiB)
    // The largest frame alone has 16 MiB.
    expect(rss[1] - rss[0]).to.be.below(100 * MiB)
  })
})
