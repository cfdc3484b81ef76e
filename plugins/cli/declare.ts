import type { Command, CommandLine } from '../command/command.ts'
import { declarationOf } from './declaration.ts'
import { describe, restNames } from './description.ts'
import { remoteOptions, withClient } from './remote.ts'
import { escapeControls, json } from '../command/terminal.ts'

/** `zask types`: the TypeScript interface of a running service, in whatever language that is written. */
export const typesCommand: Command = {
  usage: '<service|endpoint>',
  says: 'write the TypeScript interface of a running service',
  more: `Arguments have the types of their defaults, answers are unknown: put in what you know of them.`,
  options: remoteOptions,
  least: 1,
  most: 1,
  run: declareService,
}

async function declareService(line: CommandLine): Promise<void> {
  const { asJson, terminal } = line
  const text = await withClient(line, async ({ client, target }) => {
    const description = await describe(client)
    const rests = await restNames(client, Object.keys(description.methods))
    return declarationOf(description, target, rests)
  })
  terminal.write(asJson ? `${json({ types: text })}\n` : escapeControls(text))
}
