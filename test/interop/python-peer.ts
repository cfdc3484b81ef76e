import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CurveKeyPair } from '../../core/index.ts'

/** A breach of the protocol that the Python peer saw: what zerorpc-python would drop in silence or be killed by. */
export interface Violation {
  violation: string
  seen: string
}

/** What one step of a script came to. Which keys there are depends on the answer. */
export interface StepReport {
  step: number
  value?: unknown
  /** Name, message and traceback of an ERR. */
  error?: [string, string, string]
  /** Class and text of what the Python side raised by itself: `LostRemote`, `TimeoutExpired`. */
  failed?: [string, string]
  count?: number
  hash?: string
  head?: unknown[]
  /** The last event of the stream: `STREAM` where the reader dropped it. */
  terminal?: string
  results?: StepReport[]
  violations: Violation[]
}

/** The books of a Python peer when it ended. `late` counts events that came for channels already closed. */
export interface EndReport {
  violations: Violation[]
  late: number
  open: number
  lost: number
}

export interface ScriptReport extends EndReport {
  steps: StepReport[]
}

/** Any line a Python process prints. */
type Line = { endpoint: string } | StepReport | (EndReport & { end: true }) | Violation

const isStep = (line: Line): line is StepReport => 'step' in line
const isEnd = (line: Line): line is EndReport & { end: true } => 'end' in line

/** A step: a call, a burst of `burst` calls at once (each with its index as last argument), or a pause. */
export type Step =
  | { wait: number }
  | {
      call: string
      args?: readonly unknown[]
      burst?: number
      /** Seconds until the first answer; default 30. */
      timeout?: number
      /** The receive window in events; default 100. */
      slots?: number
      /** Items after which the stream is dropped. */
      take?: number
      /** Seconds the reader rests after each item. */
      delay?: number
      headers?: Record<string, string>
      /** Open the channel with a heartbeat, so that the request comes second. */
      beat_first?: boolean
    }

export interface PythonOptions {
  /** Seconds, or null for none. Default: zerorpc's, 5. */
  heartbeat?: number | null
  /** Beat only once the peer has beaten, as zerorpc's command line does. */
  passive?: boolean
  /** The msgpack type of the ids it makes up; zerorpc-python's is bin. */
  ids?: 'bin' | 'str' | 'int'
  /** A client has the key of its server; a server may have a list of the callers it lets in. */
  curve?: CurveKeyPair & { serverKey?: string; allow?: readonly string[] }
}

const debianPackages = { zmq: 'python3-zmq', msgpack: 'python3-msgpack' }

/** Debian's interpreter comes first, because it is the one for which Debian's packages are installed. */
const interpreters = ['/usr/bin/python3', 'python3']

function hasModule(python: string, module: string): boolean {
  return spawnSync(python, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0
}

function missingPackages(python: string): string[] {
  return Object.entries(debianPackages)
    .filter(([module]) => !hasModule(python, module))
    .map(([, debian]) => debian)
}

const python = interpreters.find((candidate) => missingPackages(candidate).length === 0)

/**
 * Leaves the suite out, by name, where there is no Python with zmq and msgpack. On CI that is a failure: there
 * the packages are installed, and a green run must have talked to Python.
 */
export function requirePython(context: Mocha.Context): void {
  if (python !== undefined) return
  const missing = missingPackages(interpreters[0]!).join(', ')
  const name = context.test?.parent?.title ?? 'interop'
  const reason = `left out: "${name}": no python3 with ${missing} here (apt-get install ${missing})`
  if (process.env['CI']) throw new Error(reason)
  console.log(`  ${reason}`)
  context.skip()
}

function launch(script: string, args: string[]): ChildProcessWithoutNullStreams {
  const file = fileURLToPath(new URL(script, import.meta.url))
  return spawn(python!, [file, ...args], { stdio: 'pipe' })
}

function flags({ heartbeat = 5, passive = false, ids = 'bin', curve }: PythonOptions): string[] {
  return ['--heartbeat', heartbeat === null ? 'none' : String(heartbeat), '--ids', ids].concat(
    passive ? ['--passive'] : [],
    curve === undefined ? [] : ['--curve', JSON.stringify(curve)],
  )
}

/** A Python process and the JSON lines it prints. */
class PythonProcess {
  readonly lines: Line[] = []
  /** Resolves when the process has ended and all it printed was read. */
  readonly ended: Promise<void>
  readonly firstLine: Promise<Line>
  readonly #child: ChildProcessWithoutNullStreams
  #errors = ''

  constructor(script: string, args: string[]) {
    const child = launch(script, args)
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    const first = Promise.withResolvers<Line>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      const report: Line = JSON.parse(line)
      this.lines.push(report)
      first.resolve(report)
    })
    this.firstLine = first.promise
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (code, signal) => {
        const failure = new Error(`${script} ended with ${code ?? signal}: ${this.#errors}`)
        first.reject(failure)
        if (code === 0 || signal === 'SIGKILL') resolve()
        else reject(failure)
      })
    })
    // Awaited later or, where the process ends well, not at all.
    this.firstLine.catch(() => {})
    this.ended.catch(() => {})
  }

  write(input: string): void {
    this.#child.stdin.end(input)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Python prints a traceback of a thread that died and goes on: that must not pass unseen. */
  assertNoTraceback(): void {
    if (this.#errors !== '') throw new Error(`the Python peer printed an error: ${this.#errors}`)
  }
}

/** A zerorpc service in Python; see `Service` in zerorpc_peer.py for its methods. */
export class PythonServer {
  readonly endpoint: string
  readonly #process: PythonProcess

  private constructor(process: PythonProcess, endpoint: string) {
    this.#process = process
    this.endpoint = endpoint
  }

  static async start(options: PythonOptions = {}): Promise<PythonServer> {
    return PythonServer.#listen(new PythonProcess('zerorpc_peer.py', ['serve', ...flags(options)]))
  }

  /** A server that answers a call of method `credit exceeded` by exceeding the credit, and so on. */
  static async startRude(): Promise<PythonServer> {
    return PythonServer.#listen(new PythonProcess('rude_peer.py', ['serve']))
  }

  static async #listen(process: PythonProcess): Promise<PythonServer> {
    const line = await process.firstLine
    if (!('endpoint' in line))
      throw new Error(`a Python server begins with its endpoint, got ${JSON.stringify(line)}`)
    return new PythonServer(process, line.endpoint)
  }

  /** Ends it in good order; its last line says what it saw. */
  async stop(): Promise<EndReport> {
    this.#process.write('')
    await this.#process.ended
    this.#process.assertNoTraceback()
    const end = this.#process.lines.find(isEnd)
    if (end === undefined) throw new Error('the Python server ended without its closing line')
    return end
  }

  async kill(): Promise<void> {
    await this.#process.kill()
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal)
  }
}

/** A Python client at work. `report` rejects where Python itself failed; a killed one reports what it had got. */
export interface RunningScript {
  report: Promise<ScriptReport>
  kill(): Promise<void>
}

export function startScript(
  endpoint: string,
  steps: readonly Step[],
  options: PythonOptions = {},
): RunningScript {
  const process = new PythonProcess('zerorpc_peer.py', ['script', '--connect', endpoint, ...flags(options)])
  process.write(JSON.stringify(steps, tagged))
  const report = process.ended.then((): ScriptReport => {
    process.assertNoTraceback()
    const end = process.lines.find(isEnd)
    return { violations: [], late: 0, open: 0, lost: 0, ...end, steps: process.lines.filter(isStep) }
  })
  return { report, kill: () => process.kill() }
}

export function runScript(
  endpoint: string,
  steps: readonly Step[],
  options?: PythonOptions,
): Promise<ScriptReport> {
  return startScript(endpoint, steps, options).report
}

/** Sends a zerorpc server requests that have a fault, each from its own connection; returns when they are sent. */
export async function runRudeClient(endpoint: string, faults: readonly string[]): Promise<void> {
  const process = new PythonProcess('rude_peer.py', ['client', endpoint, ...faults])
  process.write('')
  await process.ended
}

/** What JSON lacks, spelt as zerorpc_peer.py spells it. */
function tagged(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $int: value.toString() }
  return value instanceof Uint8Array ? { $bytes: Buffer.from(value).toString('hex') } : value
}

/** The `hash` a stream of these items, in this order, is reported with. */
export function hashOf(items: readonly unknown[]): string {
  const lines = items.map((item) => JSON.stringify(item, tagged)).join('\n')
  return createHash('sha256').update(lines).digest('hex')
}
