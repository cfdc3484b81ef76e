import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compiled, repository } from './processes.ts'
import { Screen } from './screen.ts'

export interface PseudoTerminalOptions {
  /** Default: 80. */
  columns?: number
  /** Default: 24. */
  rows?: number
  /** Default: the repository. */
  cwd?: string
  /** Beside that of the tests, without `NO_COLOR` and `FORCE_COLOR`; undefined takes a variable away. */
  env?: NodeJS.ProcessEnv
  /** When everything in it is killed, in milliseconds. Default: 60,000. */
  limitMs?: number
}

/** How a program left its terminal. */
export interface Left {
  readonly code: number
  /** Whether lines and Ctrl-C work as in a shell: `stty` says icanon, echo and isig. */
  readonly sane: boolean
  /** All that `stty -a` says. */
  readonly settings: string
}

/** What the keys send. */
export const keys = {
  enter: '\r',
  tab: '\t',
  escape: '\u001b',
  up: '\u001b[A',
  down: '\u001b[B',
  interrupt: '\u0003',
  endOfFile: '\u0004',
} as const

/**
 * A program in a terminal of its own: `script`, which every Debian has, gives it one, and a shell around it tells how
 * it left that terminal.
 *
 * ```ts
 * const terminal = PseudoTerminal.start([process.execPath, 'plugins/cli/main.ts', 'top'], { columns: 100 })
 * try {
 *   await terminal.until((screen) => screen.text.includes('calls/s'))
 *   terminal.write('q')
 *   const { code, sane } = await terminal.left
 * } finally {
 *   await terminal.end()
 * }
 * ```
 */
export class PseudoTerminal {
  readonly screen: Screen
  /** All that was written to it, escapes and all. */
  output = ''
  /** Resolves when the program has ended by itself; rejects where it was killed. */
  readonly left: Promise<Left>
  readonly #child: ChildProcess
  readonly #closed: Promise<void>
  readonly #folder: string
  #over = false
  #onOutput: (() => void) | undefined

  static start(command: readonly string[], options: PseudoTerminalOptions = {}): PseudoTerminal {
    return new PseudoTerminal(command, options)
  }

  private constructor(command: readonly string[], options: PseudoTerminalOptions) {
    const { columns = 80, rows = 24, cwd = repository, limitMs = 60_000 } = options
    this.screen = new Screen(columns, rows)
    this.#folder = mkdtempSync(join(tmpdir(), 'zask-pty-'))
    writeFileSync(join(this.#folder, 'run.sh'), runner(command, columns, rows))
    // With CI set, Node takes a terminal for one without colours.
    const { NO_COLOR: _, FORCE_COLOR: __, NODE_OPTIONS: ___, CI: ____, ...env } = process.env
    this.#child = spawn('script', ['-qfc', `exec sh '${join(this.#folder, 'run.sh')}'`, '/dev/null'], {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        NODE_COMPILE_CACHE: compiled,
        ...env,
        SHELL: '/bin/sh',
        TERM: 'xterm-256color',
        LC_ALL: 'C.UTF-8',
        ...options.env,
      },
    })
    // Who writes to a program that has just ended writes to nobody.
    this.#child.stdin?.on('error', () => undefined)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
        this.screen.write(text)
        this.#onOutput?.()
      })
    }
    const killer = setTimeout(() => this.#kill(), limitMs)
    this.#closed = new Promise((closed, failed) => {
      this.#child.once('error', failed)
      this.#child.once('close', () => closed())
    })
    this.left = this.#closed.then(() => {
      clearTimeout(killer)
      this.#over = true
      this.#onOutput?.()
      return this.#leave()
    })
    this.left.catch(() => undefined)
  }

  /** Types text, or one of `keys`. */
  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Waits until the screen is as it should be; fails where the program ends before. */
  async until(found: (screen: Screen, output: string) => boolean): Promise<void> {
    while (!found(this.screen, this.output)) {
      if (this.#over) {
        throw new Error(`the program ended too early; it wrote:\n${JSON.stringify(this.output)}`)
      }
      await new Promise<void>((wake) => {
        this.#onOutput = wake
      })
    }
  }

  /** Kills what still runs. To be called at the end of each test, whatever happened. */
  async end(): Promise<void> {
    this.#kill()
    await this.#closed.catch(() => undefined)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The shell leads a session of its own, which ends with all its programs. */
  #kill(): void {
    if (this.#over) return
    try {
      process.kill(-Number(readFileSync(join(this.#folder, 'pid'), 'utf8')), 'SIGKILL')
    } catch {
      // It has not begun, or is gone.
    }
    this.#child.kill('SIGKILL')
  }

  #leave(): Left {
    let told: string
    try {
      told = readFileSync(join(this.#folder, 'left'), 'utf8')
    } catch {
      throw new Error(`the program was killed; it wrote:\n${JSON.stringify(this.output)}`)
    }
    const [code = '', ...settings] = told.split('\n')
    const words = settings.join(' ').split(/[\s;]+/)
    return {
      code: Number(code),
      sane: ['icanon', 'echo', 'isig'].every((word) => words.includes(word)),
      settings: settings.join('\n'),
    }
  }
}

/** Runs the command, and tells afterwards its exit code and the state of the terminal. Ctrl-C is for the command. */
function runner(command: readonly string[], columns: number, rows: number): string {
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  return `cd "$(dirname "$0")" && folder=$PWD && cd "$OLDPWD"
echo $$ > "$folder/pid"
stty cols ${columns} rows ${rows}
trap : INT
${words}
code=$?
{ echo $code; stty -a; } > "$folder/left.new"
mv "$folder/left.new" "$folder/left"
`
}
