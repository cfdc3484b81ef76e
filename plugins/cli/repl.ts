import { homedir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Script } from 'node:vm'
import { type CallOptions, type Client, type Core, createCore, ZaskError } from '../../core/index.ts'
import { type Command, type CommandLine, Misuse } from '../command/command.ts'
import { table } from '../command/table.ts'
import { escapeControls, exitCodes } from '../command/terminal.ts'
import { findApplication } from './application.ts'
import { messageOf } from './complaint.ts'
import { describe, isUnknown } from './description.ts'
import { placesOf } from './places.ts'
import { Prompt } from './prompt.ts'
import { debugOption, remoteOptions, Remotes } from './remote.ts'
import { sharingServices } from './shared-endpoint.ts'

/** `zask repl`: JavaScript with a client of each service at hand. */
export const replCommand: Command = {
  usage: '[services...]',
  says: 'call services from a prompt, or from a script on stdin',
  more: `Each service is a variable: users.name(1) prints what it answers, users.count(3) each item as it comes. TAB completes
methods, Ctrl-C cancels the running call, Ctrl-D or .exit ends. Beside them: \`core\` of the application, and
\`await client('users')\` for any service or endpoint. Without names: the services in the config of the application.
The history is kept in ~/.zask_repl_history; ZASK_REPL_HISTORY names another file, or none where it is empty. A script
prints what its lines give, and ends with 1 where one of them failed.`,
  options: { ...debugOption, ...remoteOptions },
  least: 0,
  most: Infinity,
  run: runRepl,
}

/** How long a service may take to say its name, or its methods for completion. */
const askMs = 2_000
/** Methods are asked for again after so long. */
const freshMs = 10_000

interface Known {
  readonly name: string
  readonly client: Client
  methods?: { readonly at: number; readonly names: Promise<readonly string[]> }
}

async function runRepl(line: CommandLine): Promise<number | void> {
  const code = await talk(line)
  // What a line has left running, such as a timer, does not keep the process now that the clients are closed.
  setTimeout(() => process.exit(), 200).unref()
  return code
}

async function talk(line: CommandLine): Promise<number | void> {
  await using remotes = new Remotes(line)
  await using bare = createCore()
  const core = await applicationOf(line, remotes)
  let running = new AbortController()
  const cancel = (): void => {
    running.abort()
    running = new AbortController()
  }
  const signal = (): AbortSignal => running.signal
  const known = new Map<string, Known>()
  const add = (name: string, client: Client): void => {
    known.set(variableFor(name, known), { name, client: cancellable(client, name, signal) })
  }
  for (const name of namesOf(line, core)) {
    for (const found of await servicesAt(name, line, remotes)) add(found.name, found.client)
  }
  const { terminal } = line
  terminal.signal.addEventListener('abort', cancel)
  const prompt = new Prompt(terminal, {
    greeting: `${[...known.keys(), 'core', 'client(name)'].join(', ')}; .help says more`,
    names: {
      core: core ?? bare,
      client: async (target: string) => cancellable((await remotes.open(target)).client, target, signal),
      ...Object.fromEntries([...known].map(([variable, { client }]) => [variable, client])),
    },
    complete: (text) => complete(text, known),
    onInterrupt: cancel,
    commands: {
      services: { help: 'The services, and whether they answer', action: () => listOf(known) },
    },
  })
  const { ZASK_REPL_HISTORY: history = join(homedir(), '.zask_repl_history') } = process.env
  const failed = await prompt.run(history)
  if (terminal.signal.aborted) return
  return failed ? exitCodes.failed : exitCodes.done
}

/** Loaded where a name needs it, or where nobody says which services are meant. */
async function applicationOf({ words, options }: CommandLine, remotes: Remotes): Promise<Core | undefined> {
  const isNeeded = words.some((word) => !word.includes('://')) || options['app'] !== undefined
  if (isNeeded || (words.length === 0 && (await findApplication(undefined)) !== undefined)) {
    return remotes.application(words.find((word) => !word.includes('://')))
  }
  if (words.length > 0) return undefined
  throw new Misuse(
    'There is no application here, and no service is named. Name one such as tcp://127.0.0.1:4242, or the ' +
      'application with --app app.ts.',
  )
}

function namesOf({ words }: CommandLine, core: Core | undefined): readonly string[] {
  if (words.length > 0 || core === undefined) return words
  return [...new Set(placesOf(core.config).map(({ service }) => service))]
}

/** What one word of the command line stands for; what cannot be called is said, and the rest is there all the same. */
async function servicesAt(
  word: string,
  { terminal }: CommandLine,
  remotes: Remotes,
): Promise<{ readonly name: string; readonly client: Client }[]> {
  let client: Client
  try {
    ;({ client } = await remotes.open(word))
  } catch (error) {
    if (!(error instanceof ZaskError)) throw error
    terminal.complain(`zask: ${escapeControls(`${word}: ${error.message}`)}\n`)
    return []
  }
  if (!word.includes('://')) return [{ name: word, client }]
  try {
    const answer = await client.$call('_zerorpc_ping', [], { timeoutMs: askMs })
    const name: unknown = Array.isArray(answer) ? answer[1] : undefined
    return [{ name: typeof name === 'string' ? name : 'service', client }]
  } catch (error) {
    if (!(error instanceof ZaskError)) throw error
    const sharing = sharingServices(error, client)
    if (sharing.length > 0) return sharing
    terminal.complain(`zask: ${escapeControls(`${word}: ${error.message}`)}\n`)
    return [{ name: 'service', client }]
  }
}

/** A name for it in JavaScript that means nothing else yet. */
function variableFor(name: string, known: ReadonlyMap<string, unknown>): string {
  const word = name.replace(/\W/g, '_').replace(/^(?=\d)|^$/, '_')
  const isFree = (one: string): boolean =>
    !known.has(one) && !['core', 'client'].includes(one) && !(one in globalThis) && isVariable(one)
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? word : `${word}${number}`
    if (isFree(candidate)) return candidate
  }
}

function isVariable(word: string): boolean {
  try {
    // Whoever knows all reserved words is the parser.
    void new Script(`'use strict'; var ${word}`)
    return true
  } catch {
    return false
  }
}

/** A client whose calls end when the signal of their time is aborted. */
function cancellable(client: Client, name: string, signal: () => AbortSignal): Client {
  const call = (method: string, args: readonly unknown[] = [], options: CallOptions = {}): unknown =>
    client.$call(method, args, { ...options, signal: signalOf(options, signal)() })
  // Shown instead of a proxy's inside.
  const face = { [inspect.custom]: () => `client of ${name}` }
  return new Proxy(face, {
    get(target, key) {
      if (key === '$call') return call
      if (key === '$with') {
        return (options: CallOptions) => cancellable(client.$with(options), name, signalOf(options, signal))
      }
      if (typeof key === 'symbol') return Reflect.get(key === inspect.custom ? target : client, key)
      const isOwn = key.startsWith('$') || key === 'then' || key === 'toJSON'
      return isOwn ? Reflect.get(client, key) : (...args: unknown[]) => call(key, args)
    },
    has: (_target, key) => key in client,
  }) as unknown as Client
}

function signalOf({ signal: own }: CallOptions, signal: () => AbortSignal): () => AbortSignal {
  return own === undefined ? signal : () => AbortSignal.any([own, signal()])
}

/** Methods behind `users.`; undefined where the text is not about a service. */
async function complete(
  text: string,
  known: ReadonlyMap<string, Known>,
): Promise<[string[], string] | undefined> {
  const [, variable = '', begun = ''] = /(?:^|[^\w$.])([A-Za-z_$][\w$]*)\.([\w$]*)$/.exec(text) ?? []
  const service = known.get(variable)
  if (service === undefined) return undefined
  if (service.methods === undefined || performance.now() - service.methods.at > freshMs) {
    service.methods = { at: performance.now(), names: methodsOf(service.client) }
  }
  const fitting = (await service.methods.names).filter((name) => name.startsWith(begun))
  return [fitting.map((name) => `${variable}.${name}`), `${variable}.${begun}`]
}

/** None where the service cannot say; one that does not want to is an error, of which whoever asks is told. */
async function methodsOf(client: Client): Promise<readonly string[]> {
  try {
    const { methods } = await describe(client.$with({ timeoutMs: askMs }))
    return Object.keys(methods).filter((name) => /^[\w$]+$/.test(name))
  } catch (error) {
    if (isUnknown(error)) throw error
    return []
  }
}

async function listOf(known: ReadonlyMap<string, Known>): Promise<string> {
  const rows = await Promise.all(
    [...known].map(async ([variable, { name, client }]) => {
      const answers = await client.$call('_zerorpc_ping', [], { timeoutMs: askMs }).then(
        () => 'answers',
        (error: unknown) => escapeControls(messageOf(error)),
      )
      return [
        variable,
        escapeControls(name),
        client.$endpoints.map(({ endpoint }) => endpoint).join(', '),
        answers,
      ]
    }),
  )
  return await table(rows)
}
