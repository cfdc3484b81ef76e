import { type CommandLine, Misuse, type Options, textsOption } from '../command/command.ts'
import type { Terminal } from '../command/terminal.ts'
import { callCommand } from './call.ts'
import { inspectCommand } from './inspect.ts'
import { parse } from './parse.ts'
import { startCommand } from './start.ts'

/**
 * The options of zerorpc-python's command (zerorpc/cli.py), and those of `zask call`.
 *
 * `--json` is spelt alike by both and means different things: zerorpc reads the arguments as JSON, zask prints JSON.
 * Here arguments are read as JSON wherever they are JSON, so it can mean what it means to zask, and a command line that
 * zerorpc takes sends the same; `-j` refuses what is not JSON, for both.
 */
export const zerorpcOptions: Options = {
  ...callCommand.options,
  client: { type: 'boolean', says: 'call a service (default)' },
  server: { type: 'boolean', says: 'serve a module' },
  connect: {
    type: 'string',
    multiple: true,
    value: '<endpoint>',
    says: 'where to connect to, in place of the first word; may be repeated',
  },
  bind: {
    type: 'string',
    multiple: true,
    value: '<endpoint>',
    says: 'where to bind, in place of the first word; may be repeated',
  },
  'pool-size': startCommand.options['pool-size'] as Options[string],
  inspect: { type: 'boolean', short: '?', says: 'show methods, or all of one, instead of calling' },
}

/** Whether a command line is in the manner of zerorpc: it begins with an endpoint or an option, and with no command. */
export function isZerorpc(first: string): boolean {
  return first.includes('://') || (first.startsWith('-') && first !== '-')
}

/**
 * Runs a command line in the manner of zerorpc: `zask tcp://127.0.0.1:4242 add 1 2`,
 * `zask --server --bind tcp://*:4242 ./module.ts`.
 *
 * @param commands Names that somebody may have written behind options, where they are no commands.
 */
export async function runZerorpc(
  argv: readonly string[],
  terminal: Terminal,
  commands: ReadonlySet<string>,
): Promise<number | void> {
  const line = parse(zerorpcOptions, argv, terminal)
  const [connects, binds] = [textsOption(line, 'connect'), textsOption(line, 'bind')]
  const [address, ...rest] = line.words
  const isTold = connects.length + binds.length > 0
  if (!isTold && address !== undefined && commands.has(address)) {
    throw new Misuse(`Options stand behind the command: zask ${address} ... ${argv[0]}`)
  }
  if (!isTold && address === undefined) {
    throw new Misuse('Which service? Name an endpoint: zask tcp://127.0.0.1:4242, or --connect, or --bind.')
  }
  const endpoints = isTold ? connects : [address as string]
  const words = isTold ? line.words : rest
  if (line.options['server'] === true) return await serve(line, words, endpoints, binds)
  // A client that only binds has its endpoints as its target.
  const target = endpoints.length > 0 ? endpoints : binds
  const called: CommandLine = {
    ...line,
    words: [target.join(','), ...words],
    options: { ...line.options, bound: endpoints.length > 0 ? binds : true },
  }
  const isInspected = line.options['inspect'] === true || words.length === 0
  return await (isInspected ? inspectCommand : callCommand).run(called)
}

async function serve(
  line: CommandLine,
  words: readonly string[],
  connect: readonly string[],
  bind: readonly string[],
): Promise<number | void> {
  if (line.options['client'] === true) throw new Misuse('--client and --server exclude each other.')
  if (words.length === 0) {
    throw new Misuse('Which module? Write zask --server --bind tcp://*:4242 ./module.ts')
  }
  return await startCommand.run({
    ...line,
    words,
    options: { ...line.options, connect, bind, anything: true },
  })
}
