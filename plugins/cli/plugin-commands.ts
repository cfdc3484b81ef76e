import type { Core } from '../../core/index.ts'
import type { Command } from '../command/command.ts'
import { type CommandList, commandsHook } from '../command/command-list.ts'

/** A command of a plugin, and the name under which the plugin taps. */
export interface PluginCommand {
  readonly command: Command
  readonly plugin: string
}

/**
 * The commands that the plugins of a core add, by name.
 *
 * @param builtIn Names that are taken.
 */
export async function pluginCommands(
  core: Core,
  builtIn: ReadonlySet<string>,
): Promise<Map<string, PluginCommand>> {
  const found = new Map<string, PluginCommand>()
  await core.hooks.custom<CommandList>(commandsHook).runEach((plugin) => ({
    add(name, command) {
      const twin = found.get(name)?.plugin
      const taken = builtIn.has(name) ? 'zask itself' : twin
      if (taken !== undefined) {
        const both = twin === plugin ? `${plugin} adds it twice` : `${taken} and ${plugin} have one`
        throw new Error(`there can be one command '${name}', and ${both}: give one of them another name`)
      }
      if (!/^[a-z][\w-]*$/i.test(name)) {
        throw new Error(`'${name}' is no name for a command: letters, digits and dashes, such as 'db'`)
      }
      found.set(name, { command, plugin })
    },
  }))
  return found
}
