import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { compiled } from './processes.ts'

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Options of node itself. */
  readonly nodeOptions?: readonly string[]
  /** A command, with its arguments, that runs the command after it: `['nice', '-n', '19']`. */
  readonly within?: readonly string[]
  /** When it is killed, whatever it does, in milliseconds. */
  readonly limitMs?: number
}

/** A fixture of this folder, or by its path from here, in a process of its own; it talks in lines of JSON. */
export class Child {
  readonly process: ChildProcess
  readonly exited: Promise<{ code: number | null; signal: string | null }>
  readonly said: Record<string, unknown>[] = []
  errors = ''
  #waiting: (() => void)[] = []

  constructor(fixture: string, options: object = {}, how: ChildOptions = {}) {
    const { env = {}, nodeOptions = [], within = [], limitMs = 120_000 } = how
    const [command, ...before] = [...within, process.execPath]
    const script = [join(import.meta.dirname, fixture), JSON.stringify(options)]
    this.process = spawn(command, [...before, ...nodeOptions, '--conditions=zask-source', ...script], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { NODE_COMPILE_CACHE: compiled, ...process.env, ...env },
    })
    const watchdog = setTimeout(() => this.process.kill('SIGKILL'), limitMs).unref()
    const { stdout, stderr } = this.process
    if (stdout === null || stderr === null) throw new Error('a child without pipes')
    stderr.on('data', (chunk: Buffer) => (this.errors += String(chunk)))
    createInterface(stdout).on('line', (line) => {
      this.said.push(JSON.parse(line) as Record<string, unknown>)
      this.#wake()
    })
    this.exited = new Promise((resolve) => {
      this.process.on('close', (code, signal) => {
        clearTimeout(watchdog)
        resolve({ code, signal })
        this.#wake()
      })
    })
  }

  /** The first line that has a key; fails with what the child wrote if it ends before. */
  async says(key: string): Promise<unknown> {
    for (;;) {
      const line = this.said.find((one) => key in one)
      if (line !== undefined) return line[key]
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the child ended without saying ${key}: ${this.errors}`)
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
