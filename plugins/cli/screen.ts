import type { ReadStream, WriteStream } from 'node:tty'

/** Shows the cursor, leaves the alternate screen. */
const leave = '\u001b[?25h\u001b[?1049l'
/** Signals that would end the process as it is, with its window left in disorder. */
const endings = ['SIGTERM', 'SIGHUP'] as const

/** A terminal window drawn over again and again, on its alternate screen; closing brings back what was there before. */
export class Screen implements Disposable {
  readonly #input: ReadStream
  readonly #output: WriteStream
  readonly #onKey: (key: string) => void
  readonly #onResize: () => void
  readonly #onExit = (): void => this.#restore()
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this[Symbol.dispose]()
    process.kill(process.pid, signal)
  }
  readonly #listen = (chunk: Buffer): void => this.#onKey(chunk.toString())

  /**
   * @param onKey Hears of each key, Ctrl-C included: it is no signal while the screen is open. Of none where stdin is
   * no terminal.
   */
  constructor(
    input: ReadStream,
    output: WriteStream,
    { onKey, onResize }: { readonly onKey: (key: string) => void; readonly onResize: () => void },
  ) {
    this.#input = input
    this.#output = output
    this.#onKey = onKey
    this.#onResize = onResize
    process.on('exit', this.#onExit)
    for (const signal of endings) process.once(signal, this.#onSignal)
    output.on('resize', onResize)
    output.write('\u001b[?1049h\u001b[?25l')
    if (!input.isTTY) return
    input.setRawMode(true)
    input.on('data', this.#listen)
    input.resume()
  }

  get columns(): number {
    return this.#output.columns
  }

  get rows(): number {
    return this.#output.rows
  }

  /** Draws lines over those that are there, in one write, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    const drawn = lines.slice(0, this.rows).map((line) => `${line}\u001b[K`)
    this.#output.write(`\u001b[H${drawn.join('\r\n')}\u001b[J`)
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#onExit)
    for (const signal of endings) process.off(signal, this.#onSignal)
    this.#output.off('resize', this.#onResize)
    this.#input.off('data', this.#listen)
    this.#input.pause()
    this.#restore()
  }

  #restore(): void {
    if (this.#input.isTTY) this.#input.setRawMode(false)
    this.#output.write(leave)
  }
}
