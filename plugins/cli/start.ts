import { isAbsolute } from 'node:path'
import { type StartOptions, ZaskError } from '../../core/index.ts'
import { BrokenApplication, loadApplication } from './application.ts'
import { type Command, type CommandLine, Misuse, numberOption, textsOption } from '../command/command.ts'
import { complainOf } from './complaint.ts'
import { printCrash } from './crash.ts'
import { debugOption, heartbeatOption, showEvents } from './remote.ts'
import { escapeControls, exitCodes, json } from '../command/terminal.ts'
import { reportFiles, watchAndRestart } from './watch.ts'

/** `zask start`: serves what a module exports, until SIGTERM or Ctrl-C. */
export const startCommand: Command = {
  usage: '<app.ts> [services...]',
  says: 'serve what a module exports',
  more: `The module exports \`core\`, and services: classes with \`static service\`, instances of such, or a list called
\`services\`. Named are exports, services, or files of other modules. SIGTERM and Ctrl-C let running calls finish.
With --watch a change of a file that was loaded stops the process so, and starts another: an endpoint has one owner, so
calls that come in between wait at their callers.`,
  options: {
    bind: {
      type: 'string',
      multiple: true,
      value: '<endpoint>',
      says: 'where to bind, in place of what the config says',
    },
    connect: {
      type: 'string',
      multiple: true,
      value: '<endpoint>',
      says: 'a bound client to connect out to; may be repeated',
    },
    heartbeat: { type: 'string', value: '<s>', says: 'seconds between heartbeats, 0 for none (default: 5)' },
    'pool-size': { type: 'string', value: '<n>', says: 'calls that run at the same time (default: 1000)' },
    ...debugOption,
    watch: { type: 'boolean', says: 'restart when a file changes' },
  },
  least: 1,
  most: Infinity,
  run: (line) => (line.options['watch'] === true ? watchAndRestart(line) : startApplication(line)),
}

async function startApplication(line: CommandLine): Promise<number> {
  const { words, asJson, terminal } = line
  const [path = '', ...names] = words
  const report = reportFiles()
  const crash = (error: unknown): number => {
    printCrash(error, terminal)
    return exitCodes.failed
  }
  try {
    const { core, services, name } = await loadApplication(path, names, line.options['anything'] === true)
    if (services.length === 0) {
      throw new Misuse(
        `${path} exports no service. Export a class with \`static service = 'name'\`, or \`services\`.`,
      )
    }
    // A config file of JSON or Python literals is loaded by no import.
    report(core.config.explain().flatMap(({ origin }) => origin.split(', ').filter(isAbsolute)))
    const stopped = new Promise<void>((resolve) => core.hooks.stopped.tap('cli', () => resolve()))
    process.on('uncaughtException', (error) => process.exit(crash(error)))
    const started = await core.start(services, {
      ...startOptions(line),
      ...(name !== undefined && { service: name }),
    })
    if (line.options['debug'] === true) showEvents(core, terminal)
    for (const { service, version, endpoints } of started.services) {
      if (asJson) terminal.write(`${json({ service, version, endpoints })}\n`)
      else
        terminal.write(
          `${escapeControls([service, version].filter(Boolean).join(' '))} at ${endpoints.join(', ')}\n`,
        )
    }
    await stopped
    return exitCodes.done
  } catch (error) {
    // What zask says of config and endpoints needs no line of code to be understood.
    if (error instanceof Misuse) throw error
    if (error instanceof BrokenApplication) return crash(error.cause)
    if (!(error instanceof ZaskError)) return crash(error)
    complainOf(error, terminal)
    return exitCodes.failed
  }
}

/** What the command line says of it; what it does not say is left to the application. */
function startOptions(line: CommandLine): StartOptions {
  const [bind, connect] = [textsOption(line, 'bind'), textsOption(line, 'connect')]
  const poolSize = numberOption(line, 'pool-size', { least: 1, whole: true })
  const hasHeartbeat = line.options['heartbeat'] !== undefined || line.options['active-hb'] !== undefined
  return {
    ...(bind.length > 0 && { bind }),
    ...(connect.length > 0 && { connect }),
    ...(poolSize !== undefined && { poolSize }),
    ...(hasHeartbeat && { heartbeat: heartbeatOption(line) }),
  }
}
