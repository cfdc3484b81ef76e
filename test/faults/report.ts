import type { Figure } from './measured.ts'
import type { PromiseRow } from './promises.ts'

/** How a test of a run ended; `title` is the full one, `file` its absolute path. */
export interface Result {
  readonly title: string
  readonly file: string
  readonly state: 'passed' | 'failed' | 'left out'
}

/** The table at the end of a run; `kept` says whether every test of every row was run and has passed. */
export function report(
  rows: readonly PromiseRow[],
  results: readonly Result[],
  figures: readonly Figure[],
): { text: string; kept: boolean } {
  let kept = true
  const lines: string[] = []
  for (const { id, title, tests } of rows) {
    lines.push('', `${id}  ${title}`)
    for (const test of tests) {
      const ran = results.filter((one) => one.file.endsWith(test.file) && one.title.includes(test.title))
      const failed = ran.find(({ state }) => state !== 'passed')
      const state = ran.length === 0 ? 'not run' : (failed?.state ?? 'passed')
      if (state !== 'passed') kept = false
      lines.push(`    ${state.padEnd(8)}  ${test.title}  (${test.file})`)
    }
    for (const { what, value, unit } of figures.filter(({ promise }) => promise === id)) {
      lines.push(`    measured  ${what}: ${value} ${unit}`)
    }
  }
  return { text: `${lines.join('\n')}\n\n`, kept }
}
