import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { join, resolve } from 'node:path'

/** The folder of the repository. */
export const repository: string = resolve(import.meta.dirname, '../..')

/** What makes `import 'zask'` mean the sources. */
export const sourceCondition = '--conditions=zask-source'

/** Processes share what they have compiled: one starts in a third of the time. */
export const compiled: string = join(repository, 'node_modules/.cache/zask-tests')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Both, as a terminal would have shown them. */
  readonly output: string
}

/** A real process, with all it has said so far. */
export class Spawned {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly #limitMs: number
  #stdout = ''
  #stderr = ''
  #output = ''
  #onOutput: (() => void) | undefined

  /** @param limitMs When it is killed, in milliseconds: a test must end for a reason of its own. */
  constructor(command: string, args: readonly string[], options: SpawnOptions = {}, limitMs = 60_000) {
    this.#limitMs = limitMs
    const { NODE_OPTIONS: _, ...env } = process.env
    // A group of its own, so that a Ctrl-C can be sent as a terminal does: to all of them at once.
    this.child = spawn(command, args, {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...options,
      env: { NODE_COMPILE_CACHE: compiled, ...env, NO_COLOR: '1', ...options.env },
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#said(text)
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#said(text)
    })
    const killer = setTimeout(() => this.signal('SIGKILL'), limitMs)
    this.ended = new Promise((settle, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code, signal) => {
        clearTimeout(killer)
        settle({ code, signal, stdout: this.#stdout, stderr: this.#stderr, output: this.#output })
        this.#onOutput?.()
      })
    })
  }

  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** To the process and all it has started, as a terminal does for Ctrl-C. */
  signal(signal: NodeJS.Signals): void {
    if (!this.running || this.child.pid === undefined) return
    try {
      process.kill(-this.child.pid, signal)
    } catch {
      // It ended a moment ago.
    }
  }

  /** Resolves once the output so far satisfies `found`; rejects when the process ends without having done so. */
  async until(found: (output: string) => boolean): Promise<void> {
    while (!found(this.#output)) {
      if (!this.running) {
        const { code, signal } = await this.ended
        if (found(this.#output)) return
        const limit = signal === 'SIGKILL' ? ` (killed after ${this.#limitMs / 1000} s)` : ''
        throw new Error(
          `the process ended with ${code ?? signal}${limit} too early, having said:\n${this.#output}`,
        )
      }
      await new Promise<void>((wake) => {
        this.#onOutput = wake
      })
    }
  }

  #said(text: string): void {
    this.#output += text
    this.#onOutput?.()
  }
}

/** Runs a command to its end. */
export function run(command: string, args: readonly string[], options?: SpawnOptions): Promise<Ended> {
  return new Spawned(command, args, options).ended
}
