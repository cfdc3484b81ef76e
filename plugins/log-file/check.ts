import { checkOptions, type OptionRule } from '../../core/index.ts'
import type { LogFileOptions } from './log-file.ts'

const rules: Readonly<Record<Exclude<keyof LogFileOptions, 'dayOf'>, OptionRule>> = {
  rotate: { called: "'daily' or 'none'", accepts: (value) => value === 'daily' || value === 'none' },
  keep: {
    called: 'a whole number of files, 0 or more',
    accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  },
  mode: {
    called: 'permissions, such as 0o640',
    accepts: (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0o7777,
  },
  device: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  onTrouble: { called: 'a function', accepts: (value) => typeof value === 'function' },
}

/**
 * The options of a plugin that writes to a log file: those of the file, and its own. A misspelt one would silently do
 * nothing, and a `keep` below 0 delete what it should keep.
 *
 * @throws ZaskError `ZASK_OPTION_INVALID`
 */
export function checkLogOptions(
  plugin: string,
  options: object,
  own: Readonly<Record<string, OptionRule | undefined>>,
): void {
  checkOptions(plugin, options, { ...own, ...rules })
}
