import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { RemoteError, ZaskError } from '../../core/index.ts'
import { benchCommand } from './bench.ts'
import { callCommand } from './call.ts'
import { type Command, type CommandLine, Misuse, type Options } from './command.ts'
import { typesCommand } from './declare.ts'
import { doctorCommand } from './doctor.ts'
import { configCommand, hooksCommand } from './explain.ts'
import { inspectCommand } from './inspect.ts'
import { pingCommand } from './ping.ts'
import { startCommand } from './start.ts'
import { dim, escapeControls, exitCodes, type Terminal } from './terminal.ts'

const commands: ReadonlyMap<string, Command> = new Map([
  ['call', callCommand],
  ['inspect', inspectCommand],
  ['ping', pingCommand],
  ['types', typesCommand],
  ['bench', benchCommand],
  ['start', startCommand],
  ['hooks', hooksCommand],
  ['config', configCommand],
  ['doctor', doctorCommand],
])

const commonOptions: Options = {
  json: { type: 'boolean', says: 'print JSON, one result or item a line' },
  help: { type: 'boolean', short: 'h', says: 'print this' },
}

/** Runs one command line, without `node` and the script's name; resolves to the exit code and never rejects. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const [first, ...rest] = argv
    if (first === undefined) {
      terminal.complain(help())
      return exitCodes.misuse
    }
    if (['--help', '-h', '-?', 'help'].includes(first)) return say(terminal, helpOn(rest[0]))
    if (first === '--version') return say(terminal, `${version()}\n`)
    // As zerorpc's own command line: an endpoint alone is inspected, one with a method is called.
    const short = first.includes('://')
    const [name, args] = short ? [isCall(rest) ? 'call' : 'inspect', argv] : [first, rest]
    const command = commands.get(name)
    if (command === undefined) {
      const names = [...commands.keys()]
      throw new Misuse(
        `There is no command '${name}'. There are ${names.slice(0, -1).join(', ')} and ${names.at(-1)}.`,
      )
    }
    const line = parse(command, args, terminal)
    if (line.options['help'] === true) return say(terminal, helpOn(name))
    if (line.words.length < command.least || line.words.length > command.most) {
      throw new Misuse(`Write zask ${name} ${command.usage}`)
    }
    const code = await command.run(line)
    return code ?? (terminal.signal.aborted ? exitCodes.interrupted : exitCodes.done)
  } catch (error) {
    return complain(error, terminal)
  }
}

function isCall(rest: readonly string[]): boolean {
  return rest.some((word) => !word.startsWith('-'))
}

/** `-5` is an argument and no option: in no command line can a word begin with NUL, so that marks it meanwhile. */
function parse(command: Command, argv: readonly string[], terminal: Terminal): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args: argv.map((word) => word.replace(/^(?=-\.?\d)/, '\0')),
      allowPositionals: true,
      options: { ...commonOptions, ...command.options },
    })
    const options = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'string' ? unmark(value) : value,
      ]),
    )
    return { words: positionals.map(unmark), options, asJson: options['json'] === true, terminal }
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error))
  }
}

function unmark(word: string): string {
  return word.replace(/^\0/, '')
}

function help(): string {
  const lines = [...commands].map(([name, { usage, says }]): [string, string] => [
    `zask ${name} ${usage}`,
    says,
  ])
  return `zask: call RPC services, zask's and zerorpc's

${table(lines)}
An endpoint is tcp://127.0.0.1:4242 or ipc:///run/users.sock. zask <command> --help says more of each.

${table([
  ['--json', 'print JSON, one result or item a line'],
  ['--help', 'print this'],
  ['--version', 'print the version'],
])}
Exit codes: 0 done, 1 the service answered with an error, 2 wrong command line, 3 no answer, 130 interrupted.
Without colours: NO_COLOR=1, or any output that is no terminal.
`
}

function helpOn(name = ''): string {
  const command = commands.get(name)
  if (command === undefined) return help()
  const options = Object.entries({ ...command.options, ...commonOptions })
  const lines = options.map(([long, { short, value, says }]): [string, string] => [
    `${short === undefined ? '' : `-${short}, `}--${long}${value === undefined ? '' : ` ${value}`}`,
    says,
  ])
  const more = command.more === undefined ? '' : `${command.more}\n\n`
  return `zask ${name} ${command.usage}: ${command.says}\n\n${more}${table(lines)}`
}

function table(lines: readonly [left: string, right: string][]): string {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}   ${right}\n`).join('')
}

/** `zask/package.json` is found from the sources and from `dist` alike. */
function version(): string {
  const { version: own } = JSON.parse(readFileSync(new URL(import.meta.resolve('zask/package.json')), 'utf8'))
  return String(own)
}

function say(terminal: Terminal, text: string): number {
  terminal.write(text)
  return exitCodes.done
}

function complain(error: unknown, terminal: Terminal): number {
  if (error instanceof Misuse) {
    terminal.complain(`zask: ${escapeControls(error.message)}\nzask --help says more.\n`)
    return exitCodes.misuse
  }
  if (terminal.signal.aborted) return exitCodes.interrupted
  if (error instanceof RemoteError) {
    const headline = `${error.remoteName}: ${error.message}`
    // JavaScript begins a traceback with the headline, Python ends it so.
    const trace = error.remoteTraceback.replace(headline, '').trim()
    terminal.complain(`${escapeControls(headline)}\n`)
    if (trace !== '') terminal.complain(`${dim(escapeControls(trace), terminal)}\n`)
    return exitCodes.failed
  }
  if (!(error instanceof ZaskError)) throw error
  terminal.complain(`zask: ${escapeControls(error.message)} (${error.code})\n`)
  return misuseCodes.has(error.code) ? exitCodes.misuse : exitCodes.noAnswer
}

const misuseCodes: ReadonlySet<string> = new Set([
  'ZASK_ENDPOINT_INVALID',
  'ZASK_WIRE_TOO_LARGE',
  'ZASK_OPTION_INVALID',
])
