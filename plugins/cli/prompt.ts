import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Recoverable, type REPLServer, start } from 'node:repl'
import { PassThrough, Writable } from 'node:stream'
import { inspect } from 'node:util'
import { RemoteError, ZaskError } from '../../core/index.ts'
import { escapeControls, type Terminal } from '../command/terminal.ts'
import { isStream } from './call.ts'

export interface PromptOptions {
  /** What a terminal is told first. */
  readonly greeting: string
  /** Variables that lines can use. */
  readonly names: Readonly<Record<string, unknown>>
  /** What the end of a line may become, and the part of it that it replaces; undefined leaves it to Node. */
  readonly complete: (text: string) => Promise<[string[], string] | undefined>
  /** Ctrl-C. */
  readonly onInterrupt: () => void
  /** Words behind a dot; what the action gives is printed. */
  readonly commands: Readonly<
    Record<string, { readonly help: string; readonly action: () => Promise<string> }>
  >
}

/** Under this name of the global object lines that wait for an answer find what to wait for. */
const waitFor: unique symbol = Symbol.for('zask.repl.answer')

/**
 * Node's own REPL, taught three things: calls are waited for and streams read as they come, errors of calls are short,
 * and lines that come from no terminal run one after another.
 *
 * Lines share the global object of the process: values of another realm would not be what services were written for.
 */
export class Prompt {
  readonly #terminal: Terminal
  readonly #options: PromptOptions
  readonly #server: REPLServer
  readonly #interactive: boolean
  readonly #lines = new PassThrough()
  #failed = false
  #unfinished = false
  #over = false

  constructor(terminal: Terminal, options: PromptOptions) {
    const { input, output, colours } = terminal
    this.#terminal = terminal
    this.#options = options
    this.#interactive = input.isTTY && output.isTTY
    if (this.#interactive) output.write(`${options.greeting}\n`)
    this.#server = start({
      prompt: this.#interactive ? 'zask> ' : '',
      input: this.#interactive ? input : this.#lines,
      output: this.#interactive ? output : this.#outputOfScript(),
      terminal: this.#interactive,
      useColors: colours,
      useGlobal: true,
      ignoreUndefined: true,
      breakEvalOnSigint: this.#interactive,
      // Nothing is to run because somebody has typed it and may not press enter.
      preview: false,
      writer: (value: unknown) => shown(value, colours),
    })
    for (const [name, value] of Object.entries(options.names)) {
      Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true })
    }
    this.#teach()
  }

  /**
   * Runs lines until there are no more. Resolves to whether one of a script failed.
   *
   * @param history The file they are kept in, of a terminal; empty for none.
   */
  async run(history: string): Promise<boolean> {
    const server = this.#server
    const ended = once(server, 'exit')
    // For good: calls that lines have left behind fail when the clients are closed, and nobody is there to hear it.
    process.on('unhandledRejection', (error) => {
      if (!this.#over) this.#report(error)
    })
    if (!this.#interactive) {
      await this.#runScript()
      server.close()
    } else {
      // Ctrl-C is a key here. Where somebody listened to the signal, Node could not end an endless loop with it.
      process.removeAllListeners('SIGINT')
      if (history !== '') {
        await new Promise<void>((resolve) => server.setupHistory(history, () => resolve()))
      }
    }
    await ended
    this.#over = true
    return this.#failed
  }

  /** A call that nobody waited for has failed. */
  #report(error: unknown): void {
    this.#failed ||= !this.#interactive
    this.#terminal.complain(`Uncaught ${shown(error, this.#terminal.colours)}\n`)
    if (this.#interactive) this.#server.displayPrompt(true)
  }

  #teach(): void {
    const server = this.#server
    const { complete, commands, onInterrupt } = this.#options
    // First, so that what waits for a call hears of its end before Node says that it was interrupted.
    server.prependListener('SIGINT', onInterrupt)
    const completer = server.completer as Completer
    const evaluate = server.eval
    Object.assign(server, {
      completer: (text: string, done: CompleterDone) => {
        complete(text).then(
          (found) => (found === undefined ? completer(text, done) : done(null, found)),
          (error: unknown) => {
            done(null, [[], text])
            this.#terminal.complain(`\n${shown(error, this.#terminal.colours)}\n`)
            server.displayPrompt(true)
          },
        )
      },
      eval: (code: string, context: unknown, file: string, done: (...outcome: unknown[]) => void) => {
        evaluate.call(server, code, context as never, file, (...outcome: unknown[]) => {
          const [error, result] = outcome
          this.#unfinished = error instanceof Recoverable
          if (!isAnswer(result)) return done(...outcome)
          // Waiting is left to Node as well: keys that come meanwhile are kept, and Ctrl-C is heard.
          Object.assign(globalThis, { [waitFor]: this.#read(result) })
          evaluate.call(
            server,
            `await globalThis[Symbol.for('zask.repl.answer')]\n`,
            context as never,
            file,
            done,
          )
        })
      },
    })
    for (const [name, { help, action }] of Object.entries(commands)) {
      server.defineCommand(name, {
        help,
        action: () => {
          void action()
            .then((text) => this.#terminal.write(text))
            .finally(() => server.displayPrompt())
        },
      })
    }
  }

  async #read(answer: PromiseLike<unknown> | AsyncIterable<unknown>): Promise<unknown> {
    const value = 'then' in answer ? await answer : answer
    if (!isStream(value)) return value
    for await (const item of value) this.#terminal.write(`${shown(item, this.#terminal.colours)}\n`)
    return undefined
  }

  /** Node waits for nothing when lines come from no terminal: each is given when the one before it is done. */
  async #runScript(): Promise<void> {
    const server = this.#server
    const { input, signal } = this.#terminal
    const lines = createInterface({ input, crlfDelay: Infinity })
    const closed = once(server, 'close')
    const stop = (): void => {
      lines.close()
      server.close()
    }
    signal.addEventListener('abort', stop)
    let done: (() => void) | undefined
    server.displayPrompt = () => done?.()
    let open = true
    void closed.then(() => {
      open = false
      lines.close()
    })
    for await (const line of lines) {
      if (!open || signal.aborted) break
      const prompted = new Promise<void>((resolve) => {
        done = resolve
      })
      this.#lines.write(`${line}\n`)
      await Promise.race([prompted, closed])
    }
    signal.removeEventListener('abort', stop)
    if (!this.#unfinished || signal.aborted) return
    this.#failed = true
    this.#terminal.complain('zask: The last line is not complete.\n')
  }

  /** Results go to stdout and errors to stderr; Node would mix them. */
  #outputOfScript(): Writable {
    return new Writable({
      decodeStrings: false,
      write: (text: string, _encoding, next) => {
        // The prompt, written before there is a server.
        if (text === '') return next()
        if (this.#server.lastError === undefined) this.#terminal.write(text)
        else {
          this.#failed = true
          this.#terminal.complain(text)
          Object.assign(this.#server, { lastError: undefined })
        }
        next()
      },
    })
  }
}

type CompleterDone = (error: Error | null, found?: [string[], string]) => void
type Completer = (text: string, done: CompleterDone) => void

/** Calls are both promise and stream. What else can be iterated is read, but not streams of bytes such as stdin. */
function isAnswer(value: unknown): value is AsyncIterable<unknown> {
  return isStream(value) && !('pipe' in value)
}

function shown(value: unknown, colors: boolean): string {
  if (value instanceof RemoteError) return escapeControls(`${value.remoteName}: ${value.message}`)
  if (value instanceof ZaskError) return escapeControls(`${value.name}: ${value.message} (${value.code})`)
  if (value instanceof Error && 'code' in value && value.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') {
    return 'interruption by Ctrl-C'
  }
  return inspect(value, { colors, depth: 4, maxArrayLength: 1000, maxStringLength: null })
}
