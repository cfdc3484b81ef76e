import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { repository } from '../support/processes.ts'
import { patternOf, promises } from './promises.ts'
import { report, type Result } from './report.ts'

describe('docs/reliability.md', () => {
  const text = readFileSync(join(repository, 'docs/reliability.md'), 'utf8')
  const rows = promises(text)

  it('has each of the promises once', () => {
    const wanted = Array.from({ length: 24 }, (_, index) => `P${index + 1}`)
    expect(rows.map(({ id }) => id).toSorted()).deep.equal(wanted.toSorted())
  })

  it('names tests of each, and the command that runs them', () => {
    for (const { id, tests } of rows) {
      expect(tests, id).not.deep.equal([])
      expect(text).include(`Run it: \`npm run test:faults -- ${id}\``)
    }
  })

  for (const { id, tests } of rows) {
    it(`names for ${id} only tests that there are`, () => {
      for (const { file, title } of tests) {
        // Quotes within a title are escaped where it is written down.
        const source = readFileSync(join(repository, file), 'utf8').replaceAll("\\'", "'")
        expect(source, file).include(title)
      }
    })
  }

  it('has figures for each promise of which something is measured, and for no other', () => {
    const sources = globSync('test/{faults,plugins}/**/*.ts', { cwd: repository })
    const measured = sources.flatMap((path) =>
      [...readFileSync(join(repository, path), 'utf8').matchAll(/\bmeasured\(\s*'(P\d+)'/g)].map(
        ([, id]) => id,
      ),
    )
    const sections = text.split(/^### (?=P\d)/m).slice(1)
    const told = sections
      .filter((section) => /Measured: \S/.test(section))
      .map((section) => /^P\d+/.exec(section)?.[0])
    expect(told).have.members([...new Set(measured)])
  })
})

function ran(title: string, file: string, state: Result['state']): Result {
  return { title, file: `/r/test/${file}`, state }
}

describe('the table of promises', () => {
  const rows = promises(`
### P1: First

Text.

- [test/a.test.ts](../test/a.test.ts): does (this) and
  that
- [test/b.test.ts](../test/b.test.ts): does more

Run it.

### P2: Second

- [test/b.test.ts](../test/b.test.ts): does most
`)

  it('is read from the page, titles that are broken over lines as well', () => {
    expect(rows).deep.equal([
      {
        id: 'P1',
        title: 'First',
        tests: [
          { file: 'test/a.test.ts', title: 'does (this) and that' },
          { file: 'test/b.test.ts', title: 'does more' },
        ],
      },
      { id: 'P2', title: 'Second', tests: [{ file: 'test/b.test.ts', title: 'does most' }] },
    ])
  })

  it('makes a pattern that takes the titles literally', () => {
    const pattern = new RegExp(patternOf(rows[0]?.tests ?? []))
    expect(pattern.test('A: does (this) and that, as well')).equal(true)
    expect(pattern.test('A: does this and that')).equal(false)
    expect(pattern.test('B: does most')).equal(false)
  })

  it('has each test with its result, and each figure with its promise', () => {
    const results = [
      ran('A does (this) and that', 'a.test.ts', 'passed'),
      ran('B does more', 'b.test.ts', 'passed'),
      ran('B does most', 'b.test.ts', 'passed'),
    ]
    const figures = [{ promise: 'P2', what: 'time', value: 5, unit: 'ms' }]
    const { text, kept } = report(rows, results, figures)
    expect(text.split('\n').map((line) => line.trim())).include.members([
      'P1  First',
      'passed    does (this) and that  (test/a.test.ts)',
      'measured  time: 5 ms',
    ])
    expect(kept).equal(true)
  })

  it('is not kept where a test failed, was left out, or was not run', () => {
    for (const state of ['failed', 'left out'] as const) {
      const results = [{ title: 'does most', file: '/r/test/b.test.ts', state }]
      expect(report(rows.slice(1), results, [])).include({ kept: false })
    }
    expect(report(rows.slice(1), [], []).text).include('not run   does most')
    expect(report(rows.slice(1), [], []).kept).equal(false)
  })
})
