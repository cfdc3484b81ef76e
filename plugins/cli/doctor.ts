import { loadApplication } from './application.ts'
import { checkEndpoints, checkFiles, checkDatabases, checkMachine } from './checks.ts'
import type { Command, CommandLine } from './command.ts'
import { printCrash } from './crash.ts'
import { dim, escapeControls, exitCodes, json } from './terminal.ts'

/** What one check found. `fix` stands only where something is to be done. */
export interface Finding {
  readonly state: 'ok' | 'warning' | 'problem'
  readonly says: string
  readonly fix?: string
}

/** `zask doctor`: what keeps an application from running, each with the way to mend it. */
export const doctorCommand: Command = {
  usage: '[app.ts]',
  says: 'look for what keeps an application from running, and say how to mend it',
  more: 'Starts no service and opens no database: it looks at Node, the config, its endpoints, files and hosts. Ends with 1\nwhere it found a problem.',
  options: {},
  least: 0,
  most: 1,
  run: examine,
}

async function examine(line: CommandLine): Promise<number> {
  const { words, asJson, terminal } = line
  const [path] = words
  let worst: number = exitCodes.done
  const show = (findings: readonly Finding[]): void => {
    for (const { state, says, fix } of findings) {
      if (state === 'problem') worst = exitCodes.failed
      if (asJson) terminal.write(`${json({ state, says, fix })}\n`)
      else {
        terminal.write(`${state.padEnd(8)} ${escapeControls(says)}\n`)
        if (fix !== undefined) terminal.write(`         ${dim(escapeControls(fix), terminal)}\n`)
      }
    }
  }
  show(await checkMachine())
  if (path === undefined) return worst
  const app = await loadApplication(path, []).catch((error: unknown) => {
    printCrash(error, terminal)
    show([{ state: 'problem', says: `${path} does not load`, fix: 'Mend the line above.' }])
  })
  if (app === undefined) return worst
  const { config } = app.core
  try {
    show([
      {
        state: 'ok',
        says: `${path} loads, with ${app.services.length} service${app.services.length === 1 ? '' : 's'}`,
      },
    ])
    try {
      config.validate()
      show([{ state: 'ok', says: 'all values of the config fit' }])
    } catch (error) {
      show([{ state: 'problem', says: error instanceof Error ? error.message : String(error) }])
      return worst
    }
    show(checkEndpoints(config, app.services))
    show(await checkFiles(config))
    show(await checkDatabases(config))
  } finally {
    await app.core.stop()
  }
  return worst
}
