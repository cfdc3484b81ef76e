import { inspect } from 'node:util'
import { RemoteError } from '../../core/index.ts'
import type { Command, CommandLine } from '../command/command.ts'
import { type ArgumentDescription, describe } from './description.ts'
import { debugOption, remoteOptions, withClient } from './remote.ts'
import { dim, escapeControls, json } from '../command/terminal.ts'

/** `zask inspect`: the methods of a service, with what it says about each of them. */
export const inspectCommand: Command = {
  usage: '<service|endpoint> [method]',
  says: 'list the methods of a service, or show all of one',
  options: { ...debugOption, ...remoteOptions },
  least: 1,
  most: 2,
  run: inspectService,
}

async function inspectService(line: CommandLine): Promise<void> {
  const { words, asJson, terminal } = line
  const [, wanted] = words
  const { service, methods, target } = await withClient(line, async (remote) => {
    const { name, methods: all } = await describe(remote.client)
    return { service: name, methods: all, target: remote.target }
  })
  if (wanted !== undefined && !Object.hasOwn(methods, wanted)) {
    const names = Object.keys(methods).join(', ')
    throw new RemoteError('NameError', `${service} has no method '${wanted}'. It has ${names}.`)
  }
  const chosen = Object.entries(methods).filter(([name]) => wanted === undefined || name === wanted)
  if (asJson) {
    terminal.write(`${json({ name: service, methods: Object.fromEntries(chosen) })}\n`)
    return
  }
  if (wanted === undefined) terminal.write(`${escapeControls(service)} at ${target}\n`)
  for (const [name, { args, doc }] of chosen) {
    terminal.write(`${wanted === undefined ? '  ' : ''}${escapeControls(name)}${signature(args)}\n`)
    const text = doc?.trim() ?? ''
    // A list has room for the first line; whoever asks for one method wants to read it all.
    const lines =
      text === '' ? [] : wanted === undefined ? [text.split('\n', 1)[0] as string] : text.split('\n')
    for (const one of lines) terminal.write(dim(`      ${escapeControls(one.trim())}\n`, terminal))
  }
}

/** `(a, b = 1)`; nothing where the service does not know its arguments. */
function signature(args: readonly ArgumentDescription[] | null): string {
  if (args === null) return ''
  const shown = args.map(
    (arg) =>
      `${arg.name}${'default' in arg ? ` = ${inspect(arg.default, { breakLength: Infinity, depth: 3 })}` : ''}`,
  )
  return `(${escapeControls(shown.join(', '))})`
}
