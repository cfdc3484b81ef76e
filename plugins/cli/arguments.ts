import { type CommandLine, Misuse, type Options } from '../command/command.ts'
import { messageOf } from './complaint.ts'

export const argumentOptions: Options = {
  'json-args': { type: 'boolean', short: 'j', says: 'every argument must be JSON' },
}

/** The arguments of a call, from the words that stand for them; `-` stands for what stdin holds. */
export async function argumentsOf(words: readonly string[], line: CommandLine): Promise<unknown[]> {
  const strict = line.options['json-args'] === true
  if (words.filter((word) => word === '-').length > 1) {
    throw new Misuse('Only one argument can be -, for stdin is read once.')
  }
  const read = words.includes('-') ? await line.terminal.read() : ''
  return words.map((word) => argument(word === '-' ? read : word, strict))
}

/** An integer that a number would round is kept whole. */
function argument(text: string, strict: boolean): unknown {
  if (/^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text))) return BigInt(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    if (!strict) return text
    const reason = messageOf(error)
    throw new Misuse(`The argument '${text}' is not JSON (${reason}). Text is written '"text"'.`)
  }
}
