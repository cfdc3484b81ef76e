import { ZaskError } from './errors.ts'

/** What is wrong in a config file, and where. Never quotes more of the file than a name: lines hold secrets. */
export interface Breakage {
  /** Absolute path. */
  file: string
  what: string
  /** Both count from 1, as editors do. */
  line?: number
  column?: number
  cause?: unknown
}

/** `ZASK_CONFIG_FILE_INVALID`, with the place in words for a reader and in `details` for a tool. */
export function brokenFile({ file, what, line, column, cause }: Breakage): ZaskError {
  const at = line === undefined ? '' : ` at line ${line}${column === undefined ? '' : `, column ${column}`}`
  return new ZaskError('ZASK_CONFIG_FILE_INVALID', `Config file ${file} is broken${at}: ${what}`, {
    details: { file, ...(line !== undefined && { line }), ...(column !== undefined && { column }) },
    ...(cause !== undefined && { cause }),
  })
}

/** Line and column of an offset in a text whose lines end in `\n`, `\r\n` or `\r`. */
export function positionAt(text: string, offset: number): { line: number; column: number } {
  const lines = text.slice(0, offset).split(/\r\n|\r|\n/)
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}
