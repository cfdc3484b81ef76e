import type { ReadStream, WriteStream } from 'node:tty'
import { inspect, styleText } from 'node:util'

/** Where the command line writes, and what ends it. */
export interface Terminal {
  /** Results. */
  write(text: string): void
  /** Everything else: errors, help that nobody asked for. */
  complain(text: string): void
  /** All that stdin holds, without the line break at its end. */
  read(): Promise<string>
  /** Whether somebody sees `complain` at once: then a line may be drawn over. */
  readonly live: boolean
  readonly colours: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** stdin, for commands that read keys or line by line. It may be no terminal: `isTTY` says so. */
  readonly input: ReadStream
  /** stdout, for commands that draw on it. It may be no terminal: `isTTY` says so. */
  readonly output: WriteStream
}

/** What a user may do with the code a command ends with. */
export const exitCodes = {
  done: 0,
  /** The service answered with an error. */
  failed: 1,
  /** The command line is wrong; nothing was sent. */
  misuse: 2,
  /** No answer: not reachable, timed out, lost on the way. */
  noAnswer: 3,
  /** Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const

/** A result for people: text as it is, everything else as Node prints it. */
export function readable(value: unknown, colours: boolean): string {
  if (typeof value === 'string') return escapeControls(value)
  return inspect(value, { colors: colours, depth: null, maxArrayLength: null, maxStringLength: null })
}

/**
 * A result for programs, on one line. Bytes are base64; an integer beyond 2^53, which JSON readers would round, is
 * text.
 */
export function json(value: unknown): string {
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key: string, plain: unknown) {
    // A Buffer's own toJSON has run by now: look at what stood there.
    const original = this[key]
    if (original instanceof Uint8Array) return Buffer.from(original).toString('base64')
    return typeof plain === 'bigint' ? plain.toString() : plain
  })
  return text ?? 'null'
}

/** What a peer says must not move the cursor, recolour the screen or retitle the window. Lines and tabs stay. */
export function escapeControls(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- finding them is the point
    /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function dim(text: string, { colours }: Terminal): string {
  return colours ? styleText('dim', text, { validateStream: false }) : text
}
