import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../support/processes.ts'

/** A test as the page names it: its file, and a part of its title that no other test of the file has. */
export interface NamedTest {
  readonly file: string
  readonly title: string
}

export interface PromiseRow {
  readonly id: string
  readonly title: string
  readonly tests: readonly NamedTest[]
}

export const page = 'docs/reliability.md'

/** The promises of docs/reliability.md with the tests it names, in the order of the page. */
export function promises(text: string = readFileSync(join(repository, page), 'utf8')): PromiseRow[] {
  return text
    .split(/^### (?=P\d)/m)
    .slice(1)
    .map((section) => {
      const heading = /^(P\d+): (.+)$/m.exec(section)
      if (heading === null) throw new Error(`${page}: a promise begins with its id: ${section.slice(0, 60)}`)
      const tests = [
        ...section.matchAll(/^- \[(test\/[^\]]+)\]\(\.\.\/\1\): ([^]+?)(?=\n- |\n\n|\n*(?![\s\S]))/gm),
      ].map(([, file = '', title = '']) => ({ file, title: title.replace(/\s+/g, ' ').trim() }))
      return { id: heading[1] ?? '', title: heading[2] ?? '', tests }
    })
}

/** A pattern for mocha that takes the tests of these titles and no others. */
export function patternOf(tests: readonly NamedTest[]): string {
  return tests.map(({ title }) => title.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)).join('|')
}
