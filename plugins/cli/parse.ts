import { parseArgs } from 'node:util'
import { type CommandLine, Misuse, type Options } from '../command/command.ts'
import type { Terminal } from '../command/terminal.ts'
import { messageOf } from './complaint.ts'

/** What every command can be told. */
export const commonOptions: Options = {
  json: { type: 'boolean', says: 'print JSON, one result or item a line' },
  help: { type: 'boolean', short: 'h', says: 'print this' },
}

/** The words and options of a command line. `-5` is an argument and no option. */
export function parse(options: Options, argv: readonly string[], terminal: Terminal): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args: plainWords(options, argv),
      allowPositionals: true,
      options: { ...commonOptions, ...options },
    })
    const read = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'string' ? unmark(value) : value,
      ]),
    )
    return { words: positionals.map(unmark), options: read, asJson: read['json'] === true, terminal }
  } catch (error) {
    throw new Misuse(messageOf(error))
  }
}

/**
 * `-pj` is one option of zerorpc's and not two. In no command line can a word begin with NUL, so that marks what is no
 * option meanwhile.
 */
function plainWords(options: Options, argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return argv.map((word, at) => {
    if (end >= 0 && at > end) return word
    if (word === '-pj' && 'print-json' in options) return '--print-json'
    return word.replace(/^(?=-\.?\d)/, '\0')
  })
}

function unmark(word: string): string {
  return word.replace(/^\0/, '')
}
