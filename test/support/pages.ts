import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, resolve } from 'node:path'
import { repository } from './processes.ts'

/** A fenced block of a page, with what its page says about it. */
export interface Block {
  readonly language: string
  /** The file name after the language: ```json setting.json. */
  readonly name: string | undefined
  readonly text: string
  /** Line of the opening fence, from 1. */
  readonly line: number
  /** What the HTML comments right above say: `run: server`, `stop: servers`, `compile only`, `with: previous`. */
  readonly marks: readonly string[]
  /** The block directly follows the one before it: only blank lines and comments stand between. */
  readonly follows: boolean
}

export interface Page {
  /** From the repository's folder, with slashes. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly Block[]
}

/** README and every page below docs, in a fixed order. */
export function pages(): Page[] {
  const below = readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.includes('node_modules'))
    .map((path) => posix.join('docs', ...path.split(/[\\/]/)))
  return ['README.md', ...below.toSorted()].map((path) => {
    const text = readFileSync(join(repository, path), 'utf8')
    return { path, text, blocks: blocksOf(text, path) }
  })
}

const knownMarks = /^(run: server|stop: servers|compile only|with: previous)$/

function blocksOf(text: string, path: string): Block[] {
  const blocks: Block[] = []
  let open:
    | { language: string; name: string | undefined; lines: string[]; line: number; indent: number }
    | undefined
  let marks: string[] = []
  let follows = false
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)```(\w*) *([\w./-]*)/.exec(line)
    if (open !== undefined) {
      if (fence === null) {
        open.lines.push(line.slice(open.indent))
        continue
      }
      const { language, name, lines, line: start } = open
      blocks.push({ language, name, text: `${lines.join('\n')}\n`, line: start, marks, follows })
      open = undefined
      marks = []
      follows = true
      continue
    }
    if (fence !== null) {
      open = {
        language: fence[2] ?? '',
        name: fence[3] || undefined,
        lines: [],
        line: index + 1,
        indent: fence[1]?.length ?? 0,
      }
      continue
    }
    const comment = /^ *<!-- (.*) -->$/.exec(line)
    if (comment !== null) {
      const mark = comment[1] ?? ''
      // A misspelt mark would silently mean nothing.
      if (!knownMarks.test(mark)) throw new Error(`${path}:${index + 1}: no such mark: ${mark}`)
      marks.push(mark)
    } else if (line.trim() !== '') {
      marks = []
      follows = false
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: this block has no end`)
  return blocks
}

/** Links of a page to files of the repository that do not exist, and to headings that their pages do not have. */
export function brokenLinks(page: Page): string[] {
  const prose = page.text.replace(/^ *```[\s\S]*?^ *```/gm, '').replace(/`[^`\n]*`/g, '')
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string)
  return targets.filter((target) => {
    if (/^(https?|mailto):/.test(target)) return false
    const [file = '', anchor] = target.split('#')
    const absolute = file === '' ? join(repository, page.path) : resolve(repository, dirname(page.path), file)
    if (relative(repository, absolute).startsWith('..')) return true
    try {
      if (file.endsWith('/')) return readdirSync(absolute).length === 0
      const text = readFileSync(absolute, 'utf8')
      return anchor !== undefined && !anchors(text).has(anchor)
    } catch {
      return true
    }
  })
}

/** As the usual renderers make them of headings. */
function anchors(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ +(.+)$/gm)].map((match) => match[1] as string)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  )
}
