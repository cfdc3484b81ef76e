import { argumentOptions, argumentsOf } from './arguments.ts'
import type { Command, CommandLine } from '../command/command.ts'
import { debugOption, remoteOptions, withClient } from './remote.ts'
import { json, readable } from '../command/terminal.ts'

/** `zask call`: prints the answer, or each item of the stream as it comes. */
export const callCommand: Command = {
  usage: '<service|endpoint> <method> [arguments...]',
  says: 'call a method, print what it answers',
  more: `An argument is read as JSON where it is JSON, else as text: 5 is a number, '"5"' is text. The argument - is read
from stdin. Items of a stream are printed as they come. Arguments that look like options stand behind --.`,
  options: {
    ...argumentOptions,
    'print-json': { type: 'boolean', says: 'as --json, but a stream is one list; also -pj' },
    ...debugOption,
    ...remoteOptions,
  },
  least: 2,
  most: Infinity,
  run: callMethod,
}

async function callMethod(line: CommandLine): Promise<void> {
  const { words, asJson, terminal } = line
  const [, method = '', ...rest] = words
  const args = await argumentsOf(rest, line)
  const asList = line.options['print-json'] === true
  const shown = (value: unknown): string =>
    asJson || asList ? json(value) : readable(value, terminal.colours)
  await withClient(line, async ({ client }) => {
    const answer = await client.$call(method, args)
    if (!isStream(answer)) return terminal.write(`${shown(answer)}\n`)
    if (!asList) {
      for await (const item of answer) terminal.write(`${shown(item)}\n`)
      return
    }
    let before = '['
    for await (const item of answer) {
      terminal.write(before + shown(item))
      before = ','
    }
    terminal.write(before === '[' ? '[]\n' : ']\n')
  })
}

/** No value of the wire has this property. */
export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
}
