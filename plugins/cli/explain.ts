import { inspect } from 'node:util'
import { type Core, ZaskError } from '../../core/index.ts'
import { findApplication, howToName, loadApplication } from './application.ts'
import { complainOf } from './complaint.ts'
import { type Command, type CommandLine, Misuse } from '../command/command.ts'
import { table } from '../command/table.ts'
import { dim, escapeControls, exitCodes, json } from '../command/terminal.ts'

/** `zask hooks`: which plugin taps which hook, in running order. */
export const hooksCommand: Command = {
  usage: '[app.ts]',
  says: 'show the hooks of an application, with their taps in running order',
  options: {},
  least: 0,
  most: 1,
  run: (line) =>
    withCore(line, async (core) => {
      const { asJson, terminal } = line
      const hooks = core.hooks.inspect()
      const rows = hooks.map(({ hook, kind, taps }) => [
        escapeControls(hook),
        kind,
        taps.map(({ plugin }) => escapeControls(plugin)).join(' > ') || dim('-', terminal),
      ])
      terminal.write(asJson ? `${json(hooks)}\n` : await table(rows))
      return exitCodes.done
    }),
}

/** `zask config`: what each key is and where that comes from; what is wrong with it, on stderr. */
export const configCommand: Command = {
  usage: '[app.ts]',
  says: 'show the config of an application, and where each value is from',
  more: 'Secrets are masked. Ends with 1 where a value is wrong.',
  options: {},
  least: 0,
  most: 1,
  run: (line) =>
    withCore(line, (core) => {
      const { asJson, terminal } = line
      for (const { key, value, origin, owner } of core.config.explain()) {
        if (asJson) terminal.write(`${json({ key, value, origin, owner })}\n`)
        else {
          const shown = inspect(value, { colors: terminal.colours, breakLength: Infinity, depth: null })
          terminal.write(`${key} = ${shown}   ${dim(`(${escapeControls(origin)})`, terminal)}\n`)
        }
      }
      try {
        core.config.validate()
        return exitCodes.done
      } catch (error) {
        if (!(error instanceof ZaskError)) throw error
        complainOf(error, terminal)
        return exitCodes.failed
      }
    }),
}

/** The core that a module exports, stopped afterwards: nothing is left to keep the process alive. */
async function withCore(
  { words }: CommandLine,
  run: (core: Core) => number | Promise<number>,
): Promise<number> {
  const path = words[0] ?? (await findApplication(undefined))
  if (path === undefined) throw new Misuse(`No application is found here: ${howToName}.`)
  const { core, hasCore } = await loadApplication(path, [])
  try {
    if (!hasCore) throw new Misuse(`${path} exports no core. Write \`export const core = createCore(...)\`.`)
    return await run(core)
  } finally {
    await core.stop()
  }
}
