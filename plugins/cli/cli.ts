import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Client, createCore, RemoteError, ZaskError } from '../../core/index.ts'
import { callMethod } from './call.ts'
import { inspectService } from './inspect.ts'
import { dim, escapeControls, exitCodes, type Terminal } from './terminal.ts'

const help = `zask: call RPC services, zask's and zerorpc's

  zask call <endpoint> <method> [arguments...]   call a method, print what it answers
  zask inspect <endpoint> [method]               list the methods of a service

An endpoint is tcp://127.0.0.1:4242 or ipc:///run/users.sock. An argument is read as JSON where it is JSON, else as
text: 5 is a number, "5" in double quotes is text. Items of a stream are printed as they come.

  --json           print JSON, one result or item a line
  --timeout <s>    seconds to wait for the first answer, 0 for no limit (default: 30)
  --help           print this
  --version        print the version

Exit codes: 0 done, 1 the service answered with an error, 2 wrong command line, 3 no answer, 130 interrupted.
Without colours: NO_COLOR=1, or any output that is no terminal.
`

/** Something about the command line itself that the user can put right. */
class Misuse extends Error {}

/** What a command is run with. */
export interface Command {
  readonly client: Client
  readonly endpoint: string
  /** What stands behind the endpoint on the command line. */
  readonly words: readonly string[]
  readonly asJson: boolean
  readonly terminal: Terminal
}

type Run = (command: Command) => Promise<void>
interface CommandShape {
  readonly run: Run
  readonly usage: string
  /** Words behind the endpoint. */
  readonly least: number
  readonly most: number
}

const commands: ReadonlyMap<string, CommandShape> = new Map([
  [
    'call',
    { run: callMethod, usage: 'zask call <endpoint> <method> [arguments...]', least: 1, most: Infinity },
  ],
  ['inspect', { run: inspectService, usage: 'zask inspect <endpoint> [method]', least: 0, most: 1 }],
])

/** Runs one command line, without `node` and the script's name; resolves to the exit code and never rejects. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { values, words } = parse(argv)
    const [name, endpoint, ...rest] = words
    if (values.help === true || name === 'help') return say(terminal, help)
    if (values.version === true) return say(terminal, `${version()}\n`)
    if (name === undefined) {
      terminal.complain(help)
      return exitCodes.misuse
    }
    const command = commands.get(name)
    if (command === undefined) {
      throw new Misuse(`There is no command '${name}'. There are ${[...commands.keys()].join(' and ')}.`)
    }
    if (endpoint === undefined || rest.length < command.least || rest.length > command.most) {
      throw new Misuse(`Write ${command.usage}`)
    }
    if (!endpoint.includes('://')) {
      throw new Misuse(`'${endpoint}' is no endpoint. Write one such as tcp://127.0.0.1:4242`)
    }
    const timeoutMs = milliseconds(values.timeout)
    return await runAt(endpoint, timeoutMs, {
      ...command,
      words: rest,
      asJson: values.json === true,
      terminal,
    })
  } catch (error) {
    return complain(error, terminal)
  }
}

async function runAt(
  endpoint: string,
  timeoutMs: number,
  { run, words, asJson, terminal }: Omit<Command, 'client' | 'endpoint'> & { run: Run },
): Promise<number> {
  const core = createCore()
  try {
    const made = await core.client(endpoint, { timeoutMs })
    await run({ client: made.$with({ signal: terminal.signal }), endpoint, words, asJson, terminal })
    return terminal.signal.aborted ? exitCodes.interrupted : exitCodes.done
  } finally {
    await core.stop()
  }
}

/** `-5` is an argument and no option: in no command line can a word begin with NUL, so that marks it meanwhile. */
function parse(argv: readonly string[]): {
  values: ReturnType<typeof parseOptions>['values']
  words: string[]
} {
  try {
    const { values, positionals } = parseOptions(argv.map((word) => word.replace(/^(?=-\.?\d)/, '\0')))
    return { values, words: positionals.map(unmark) }
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error))
  }
}

function unmark(word: string): string {
  return word.replace(/^\0/, '')
}

function parseOptions(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
      json: { type: 'boolean' },
      timeout: { type: 'string' },
    },
  })
}

function milliseconds(text = '30'): number {
  const seconds = Number(text)
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0) {
    throw new Misuse(`--timeout takes seconds, such as 5 or 0.5, got '${unmark(text)}'.`)
  }
  return seconds === 0 ? Infinity : seconds * 1000
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

const misuseCodes: ReadonlySet<string> = new Set(['ZASK_ENDPOINT_INVALID', 'ZASK_WIRE_TOO_LARGE'])
