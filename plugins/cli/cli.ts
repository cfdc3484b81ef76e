import { type Core, RemoteError, ZaskError } from '../../core/index.ts'
import { type Command, Misuse, type Options } from '../command/command.ts'
import { dim, escapeControls, exitCodes, type Terminal } from '../command/terminal.ts'
import { adviceOn, BrokenApplication, findApplication, howToName, loadCore } from './application.ts'
import { benchCommand } from './bench.ts'
import { callCommand } from './call.ts'
import { complainOf } from './complaint.ts'
import { printCrash } from './crash.ts'
import { typesCommand } from './declare.ts'
import { doctorCommand } from './doctor.ts'
import { configCommand, hooksCommand } from './explain.ts'
import { inspectCommand } from './inspect.ts'
import { keygenCommand } from './keygen.ts'
import { newCommand } from './new.ts'
import { ownPackage } from './own-package.ts'
import { commonOptions, parse } from './parse.ts'
import { pingCommand } from './ping.ts'
import { type PluginCommand, pluginCommands } from './plugin-commands.ts'
import { applicationOptions } from './remote.ts'
import { replCommand } from './repl.ts'
import { startCommand } from './start.ts'
import { topCommand } from './top.ts'
import { isZerorpc, runZerorpc, zerorpcOptions } from './zerorpc.ts'

const commands: ReadonlyMap<string, Command> = new Map([
  ['call', callCommand],
  ['inspect', inspectCommand],
  ['ping', pingCommand],
  ['types', typesCommand],
  ['bench', benchCommand],
  ['top', topCommand],
  ['repl', replCommand],
  ['new', newCommand],
  ['keygen', keygenCommand],
  ['start', startCommand],
  ['hooks', hooksCommand],
  ['config', configCommand],
  ['doctor', doctorCommand],
])

/** Runs one command line, without `node` and the script's name; resolves to the exit code and never rejects. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const [first, ...rest] = argv
    if (first === undefined) {
      terminal.complain(await help([], terminal))
      return exitCodes.misuse
    }
    if (isHelp(argv)) {
      const [name = ''] = rest
      return say(terminal, commands.has(name) ? helpOn(name, commands.get(name)) : await help(rest, terminal))
    }
    if (argv.length === 1 && first === '--version') return say(terminal, `${ownPackage().version}\n`)
    if (isZerorpc(first)) {
      if (argv.includes('--help')) return say(terminal, zerorpcHelp())
      const code = await runZerorpc(argv, terminal, new Set(commands.keys()))
      return code ?? (terminal.signal.aborted ? exitCodes.interrupted : exitCodes.done)
    }
    const [name, args] = [first, rest]
    const command = commands.get(name)
    if (command !== undefined) return await runCommand(name, command, args, terminal)
    return await withPlugins(args, async (added, path) => {
      const own = added.get(name)?.command
      if (own === undefined) throw unknownCommand(name, added, path)
      const withApp = { ...own, options: { ...applicationOptions, ...own.options } }
      return runCommand(name, withApp, args, terminal)
    })
  } catch (error) {
    return complain(error, terminal)
  }
}

/** `-?` before an endpoint inspects it. */
function isHelp(argv: readonly string[]): boolean {
  return /^(--help|-h|help)$/.test(argv[0] ?? '') || (argv[0] === '-?' && argv.length === 1)
}

async function runCommand(
  name: string,
  command: Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const line = parse(command.options, args, terminal)
  if (line.options['help'] === true) return say(terminal, helpOn(name, command))
  if (line.words.length < command.least || line.words.length > command.most) {
    throw new Misuse(`Write zask ${name} ${command.usage}`)
  }
  const code = await command.run(line)
  return code ?? (terminal.signal.aborted ? exitCodes.interrupted : exitCodes.done)
}

/** Runs something with the commands of the application's plugins; there are none where there is no application. */
async function withPlugins<T>(
  args: readonly string[],
  use: (added: ReadonlyMap<string, PluginCommand>, path: string | undefined) => T | Promise<T>,
): Promise<T> {
  const path = await findApplication(toldApplication(args))
  if (path === undefined) return await use(new Map(), path)
  const core: Core = await loadCore(path)
  try {
    return await use(await pluginCommands(core, new Set(commands.keys())), path)
  } finally {
    await core.stop()
  }
}

/** What `--app` says in a command line that cannot be parsed yet: its other options are those of a plugin. */
function toldApplication(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === '--app' || arg.startsWith('--app='))
  return at < 0 ? undefined : args[at] === '--app' ? args[at + 1] : args[at]?.slice('--app='.length)
}

function unknownCommand(
  name: string,
  added: ReadonlyMap<string, PluginCommand>,
  path: string | undefined,
): Misuse {
  const names = [...commands.keys(), ...added.keys()]
  const where =
    path === undefined ? ` Those of an application's plugins are found where it is: ${howToName}.` : ''
  return new Misuse(
    `There is no command '${name}'. There are ${names.slice(0, -1).join(', ')} and ${names.at(-1)}.${where}`,
  )
}

/** A broken application must not keep anybody from reading this. */
async function help(args: readonly string[], terminal: Terminal): Promise<string> {
  const own = await withPlugins(args, (added, path) =>
    added.size === 0
      ? ''
      : `From plugins of ${escapeControls(String(path))}\n\n` +
        `${listOf([...added].map(([name, { command }]) => [name, command]))}\n`,
  ).catch((error: unknown) => {
    complain(error, terminal)
    return ''
  })
  return `zask: call RPC services, zask's and zerorpc's

${listOf([...commands])}
${own}A service is named as the config of the application does, or by its endpoint, tcp://127.0.0.1:4242 or
ipc:///run/users.sock. zask <command> --help says more of each.
A command line that begins with an endpoint or an option is one of zerorpc's: zask --server --help says more.

${columns([
  ['--json', 'print JSON, one result or item a line'],
  ['--help', 'print this'],
  ['--version', 'print the version'],
])}
Exit codes: 0 done, 1 the service answered with an error, 2 wrong command line, 3 no answer, 130 interrupted.
Without colours: NO_COLOR=1, or any output that is no terminal.
`
}

function listOf(listed: readonly (readonly [name: string, command: Command])[]): string {
  return columns(listed.map(([name, { usage, says }]) => [`zask ${name} ${usage}`.trimEnd(), says]))
}

function helpOn(name: string, command: Command | undefined): string {
  const more = command?.more === undefined ? '' : `${command.more}\n\n`
  const options = listOptions(command?.options ?? {})
  return `${`zask ${name} ${command?.usage}`.trimEnd()}: ${command?.says}\n\n${more}${options}`
}

function zerorpcHelp(): string {
  return `zask [options] <endpoint> [method] [arguments...]: call a service, as zerorpc's command line does
zask --server --bind <endpoint> <module.ts> [services...]: serve a module

Without a method it shows those there are. Where --connect or --bind says the endpoint, the first word is the method.

${listOptions(zerorpcOptions)}`
}

function listOptions(options: Options): string {
  const all = Object.entries({ ...options, ...commonOptions })
  return columns(
    all.map(([long, { short, value, says }]) => [
      `${short === undefined ? '' : `-${short}, `}--${long}${value === undefined ? '' : ` ${value}`}`,
      says,
    ]),
  )
}

function columns(lines: readonly [left: string, right: string][]): string {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}   ${right}\n`).join('')
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
  if (error instanceof BrokenApplication) {
    const advice = adviceOn(error)
    terminal.complain(`zask: ${escapeControls(error.message)}.${advice === undefined ? '' : ` ${advice}`}\n`)
    printCrash(error.cause, terminal)
    return exitCodes.failed
  }
  if (error instanceof RemoteError) {
    const headline = `${error.remoteName}: ${error.message}`
    // JavaScript begins a traceback with the headline, Python ends it so.
    const trace = error.remoteTraceback.replace(headline, '').trim()
    terminal.complain(`${escapeControls(headline)}\n`)
    if (trace !== '') terminal.complain(`${dim(escapeControls(trace), terminal)}\n`)
    return exitCodes.failed
  }
  if (!(error instanceof ZaskError)) throw error
  complainOf(error, terminal)
  if (misuseCodes.has(error.code)) return exitCodes.misuse
  return /^ZASK_(CONFIG|DATABASE|HOOK|LOG|PLUGIN)_/.test(error.code) ? exitCodes.failed : exitCodes.noAnswer
}

const misuseCodes: ReadonlySet<string> = new Set([
  'ZASK_CURVE_INCOMPLETE',
  'ZASK_CURVE_KEY_INVALID',
  'ZASK_ENDPOINT_INVALID',
  'ZASK_ENDPOINT_MISSING',
  'ZASK_ENDPOINTS_CONFIG_MISSING',
  'ZASK_ENDPOINTS_CLIENT_VERSION',
  'ZASK_WIRE_TOO_LARGE',
  'ZASK_OPTION_INVALID',
])
