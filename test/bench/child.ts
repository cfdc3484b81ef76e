import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { CommandName, Commands, Response } from './worker.ts'

const workerFile: string = fileURLToPath(new URL('worker.ts', import.meta.url))

export interface ChildOptions {
  /** As the messages call it: `zask server`. */
  readonly name: string
  /** Kills the process at once, whatever it is doing. */
  readonly signal: AbortSignal
  /** Folder for a CPU profile, written when the process is stopped. */
  readonly profileFolder?: string
}

/**
 * A process of the benchmark: asked one thing at a time, and killed if it takes too long to answer.
 *
 * A child cannot outlive its parent: it ends by itself when their channel closes.
 */
export class Child {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #ended: Promise<unknown>
  /** The end of what the process printed: the best reason there is when it died. */
  #printed = ''
  #settle: ((response: Response) => void) | undefined

  constructor({ name, signal, profileFolder }: ChildOptions) {
    this.#name = name
    const execArgv = ['--conditions=zask-source', '--expose-gc']
    if (profileFolder !== undefined) {
      const file = `${name.replaceAll(' ', '-')}.cpuprofile`
      execArgv.push('--cpu-prof', `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${file}`)
    }
    this.#process = fork(workerFile, {
      execArgv,
      env: { ...process.env, NODE_ENV: 'production' },
      // Nothing a system prints may reach the results.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed = (this.#printed + text).slice(-2000)
      })
    }
    // 'close' and not 'exit': by then all it printed has been read.
    this.#ended = once(this.#process, 'close')
    this.#process.on('message', (response: Response) => this.#settle?.(response))
    // A process that could not be made has no other sign of life; one that died says so by 'close'.
    this.#process.on('error', (error) => {
      this.#settle?.({ error: `The ${name} process failed: ${error.message}` })
    })
    this.#process.on('close', (code, killedBy) => {
      const how = killedBy === null ? `ended with code ${code}` : `was killed by ${killedBy}`
      this.#settle?.({ error: `The ${name} process ${how}.${this.#lastWords()}` })
    })
    const kill = (): void => void this.#process.kill('SIGKILL')
    if (signal.aborted) kill()
    signal.addEventListener('abort', kill)
    void this.#ended.then(() => signal.removeEventListener('abort', kill))
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async ask<K extends CommandName>(
    name: K,
    asks: Commands[K]['asks'],
    timeoutMs = 20_000,
  ): Promise<Commands[K]['answers']> {
    if (!this.#process.connected) throw new Error(`The ${this.#name} process is gone.${this.#lastWords()}`)
    let timer: NodeJS.Timeout | undefined
    const response = await new Promise<Response>((resolve) => {
      this.#settle = resolve
      timer = setTimeout(() => {
        resolve({
          error: `The ${this.#name} process did not answer "${name}" in ${timeoutMs} ms and was killed.`,
        })
        this.#process.kill('SIGKILL')
      }, timeoutMs)
      this.#process.send({ ...asks, name }, (error) => {
        if (error !== null)
          resolve({ error: `The ${this.#name} process could not be asked: ${error.message}` })
      })
    })
    clearTimeout(timer)
    this.#settle = undefined
    if ('error' in response) throw new Error(response.error)
    return response.value
  }

  /** Lets the system close what it opened, then sees to it that the process has ended. */
  async stop(): Promise<void> {
    await this.ask('stop', {}, 5000).catch(() => this.#process.kill('SIGKILL'))
    await this.#ended
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  #lastWords(): string {
    const text = this.#printed.trim()
    return text === '' ? '' : ` It said: ${text}`
  }
}
