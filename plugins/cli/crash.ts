import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dim, escapeControls, type Terminal } from '../command/terminal.ts'

/** Prints an error with the line of the application first: where it was thrown, or what called what threw. */
export function printCrash(error: unknown, terminal: Terminal): void {
  const stack = error instanceof Error && typeof error.stack === 'string' ? error.stack : String(error)
  const place = userPlace(stack)
  if (place !== undefined) {
    const { file, line, column } = place
    terminal.complain(`${relative('', file)}:${line}${column === 0 ? '' : `:${column}`}\n`)
    const source = lineOf(file, line)
    if (source !== undefined) terminal.complain(`  ${source.trim()}\n`)
  }
  const [headline = '', ...rest] = stack.split('\n')
  // Node says of what it cannot parse where that is before it says what is wrong.
  const trace = rest.filter((one) => !/^\s+at .*(node:internal|node_modules)/.test(one)).join('\n')
  terminal.complain(`${escapeControls(headline)}\n`)
  if (trace.trim() !== '') terminal.complain(`${dim(escapeControls(trace), terminal)}\n`)
}

interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** The first frame that is neither Node's, nor a package's, nor this library's own. */
function userPlace(stack: string): Place | undefined {
  // An error of syntax has no frame in its file: its stack begins with the place.
  const heading = /^(file:\/\/\S+?):(\d+)$/m.exec(stack)
  const frames = [...stack.matchAll(/(file:\/\/[^\s)]+?):(\d+):(\d+)/g)]
  for (const [, url = '', line, column] of heading === null ? frames : [heading, ...frames]) {
    const file = fileURLToPath(url)
    if (file.includes('/node_modules/') || isOwn(url)) continue
    return { file, line: Number(line), column: Number(column ?? 0) }
  }
  return undefined
}

/** Core and plugins, in the sources and in `dist` alike. */
function isOwn(url: string): boolean {
  const [core, plugins] = [new URL('../../core/', import.meta.url).href, new URL('../', import.meta.url).href]
  return url.startsWith(core) || url.startsWith(plugins)
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1]
  } catch {
    return undefined
  }
}
