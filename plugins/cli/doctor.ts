import { BrokenApplication, findApplication, loadApplication } from './application.ts'
import { checkEndpoints, checkFiles, checkHeartbeats, checkMachine } from './checks.ts'
import type { Core } from '../../core/index.ts'
import { type Check, type CheckList, checksHook, type Finding } from '../command/check.ts'
import { type Command, type CommandLine, Misuse } from '../command/command.ts'
import { messageOf } from './complaint.ts'
import { printCrash } from './crash.ts'
import { dim, escapeControls, exitCodes, json } from '../command/terminal.ts'

/** `zask doctor`: what keeps an application from running, each with the way to mend it. */
export const doctorCommand: Command = {
  usage: '[app.ts]',
  says: 'look for what keeps an application from running, and say how to mend it',
  more: `Starts no service. It looks at Node, the config, its endpoints and files, asks services and databases whether they are
there, and runs the checks of the plugins. Ends with 1 where it found a problem.`,
  options: {},
  least: 0,
  most: 1,
  run: examine,
}

async function examine(line: CommandLine): Promise<number> {
  const { words, asJson, terminal } = line
  const path = words[0] ?? (await findApplication(undefined))
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
    if (error instanceof Misuse) throw error
    printCrash(error instanceof BrokenApplication ? error.cause : error, terminal)
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
      show([{ state: 'problem', says: messageOf(error) }])
      return worst
    }
    show(checkEndpoints(config, app.services))
    show(await checkHeartbeats(config))
    show(await checkFiles(config))
    show(await checkPlugins(app.core))
  } finally {
    await app.core.stop()
  }
  return worst
}

/** What the plugins' own checks find. One that fails is a problem of its plugin, and keeps no other from running. */
export async function checkPlugins(core: Core): Promise<Finding[]> {
  const checks: { plugin: string; check: Check }[] = []
  try {
    await core.hooks.custom<CheckList>(checksHook).runEach((plugin) => ({
      add: (check) => void checks.push({ plugin, check }),
    }))
  } catch (error) {
    return [{ state: 'problem', says: messageOf(error) }]
  }
  const found = checks.map(async ({ plugin, check }): Promise<readonly Finding[]> => {
    try {
      return await check()
    } catch (error) {
      return [{ state: 'problem', says: `a check of plugin ${plugin} failed: ${messageOf(error)}` }]
    }
  })
  return (await Promise.all(found)).flat()
}
