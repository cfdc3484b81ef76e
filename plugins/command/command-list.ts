import type { Command } from './command.ts'

/**
 * The name of the custom hook by which plugins add commands to `zask`. The command line runs it where it has an
 * application, before it needs to know them; `zask start` does not.
 *
 * ```ts
 * core.hooks.custom<CommandList>(commandsHook).tap('quota', (list) => list.add('quota', quotaCommand))
 * ```
 */
export const commandsHook = 'commands'

/** What taps of `commandsHook` are given. */
export interface CommandList {
  /** Adds `zask <name>`. Throws where zask, or another plugin, has a command of that name. */
  add(name: string, command: Command): void
}
