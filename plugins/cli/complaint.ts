import type { ZaskError } from '../../core/index.ts'
import { escapeControls, type Terminal } from '../command/terminal.ts'

/** Prints an error of zask, with the code under which docs/errors.md has it. */
export function complainOf({ message, code }: ZaskError, terminal: Terminal): void {
  terminal.complain(`zask: ${escapeControls(message)} (${code})\n`)
}

/** What anything says that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
