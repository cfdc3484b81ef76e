import type { Terminal } from './terminal.ts'

/** One option of a command, as it is parsed and as the help shows it. */
export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** What stands for the value in the help: `<s>`. */
  readonly value?: string
  readonly says: string
}

export type Options = Readonly<Record<string, Option>>

/** A parsed command line, behind the command's name. */
export interface CommandLine {
  readonly words: readonly string[]
  /** By name: true, text, or a list of texts. */
  readonly options: Readonly<Record<string, unknown>>
  readonly asJson: boolean
  readonly terminal: Terminal
}

export interface Command {
  /** The words behind the name: `<endpoint> <method> [arguments...]`. */
  readonly usage: string
  readonly says: string
  /** What the help of the command adds. */
  readonly more?: string
  /** Those that every command has are not among them. */
  readonly options: Options
  readonly least: number
  readonly most: number
  /** Resolves to the exit code, or to nothing where all went well or Ctrl-C ended it. */
  run(line: CommandLine): Promise<number | void>
}

/** Something about the command line itself that the user can put right. */
export class Misuse extends Error {}

/** A positive number from an option, or undefined where it was left out. */
export function numberOption(
  { options }: CommandLine,
  name: string,
  { least = 0, whole = false, unit = '' }: { least?: number; whole?: boolean; unit?: string } = {},
): number | undefined {
  const text = options[name]
  if (typeof text !== 'string') return undefined
  const value = Number(text)
  const fits = text.trim() !== '' && Number.isFinite(value) && value >= least
  if (fits && (!whole || Number.isInteger(value))) return value
  const kind = unit !== '' ? unit : whole ? 'a whole number' : 'a number'
  const bound = least > 0 ? `, ${least} or more` : ''
  throw new Misuse(`--${name} takes ${kind}${bound}, such as ${whole ? '64' : '5 or 0.5'}, got '${text}'.`)
}

/** The texts of an option that may stand several times. */
export function textsOption({ options }: CommandLine, name: string): readonly string[] {
  const texts = options[name]
  return Array.isArray(texts) ? texts.map(String) : []
}
