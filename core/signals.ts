const signals = ['SIGTERM', 'SIGINT'] as const
/** Marks our listeners, so that cores of one process know of each other without shared state. */
const mark = Symbol.for('zask.shutdown')

type Listener = ((signal: NodeJS.Signals) => void) & { [mark]?: true }

/**
 * The first SIGTERM or SIGINT stops a core and then ends the process: with 0, with 1 where calls were cut or
 * stopping failed. A second one ends it at once.
 */
export class ShutdownSignals {
  readonly #listener: Listener
  #received = false

  constructor(
    stop: () => Promise<number>,
    onSignal: (signal: NodeJS.Signals) => void,
    onError: (error: unknown) => void,
  ) {
    const listener: Listener = (signal) => {
      if (this.#received) process.exit(1)
      this.#received = true
      onSignal(signal)
      void stop()
        .catch((error: unknown) => {
          onError(error)
          return 1
        })
        .then((cut) => this.#exit(cut > 0))
    }
    listener[mark] = true
    this.#listener = listener
    for (const signal of signals) process.on(signal, listener)
  }

  /** The signals mean again what they meant before; not while one of them is being followed. */
  remove(): void {
    if (!this.#received) this.#off()
  }

  #off(): void {
    for (const signal of signals) process.off(signal, this.#listener)
  }

  #exit(failed: boolean): void {
    if (failed) process.exitCode = 1
    this.#off()
    // Another core of this process may still be draining: the last one ends the process.
    if (process.listeners('SIGTERM').some((other: Listener) => other[mark] === true)) return
    process.exit(process.exitCode ?? 0)
  }
}
