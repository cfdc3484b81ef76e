import { createCore, type StartOptions } from '../../core/index.ts'

/** A service in a process of its own, for tests that signal or kill it. */
export class Work {
  static readonly service: string = 'work'

  echo(value: unknown): unknown {
    return value
  }

  pid(): number {
    return process.pid
  }

  async slow(ms: number): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, ms))
    return 'done'
  }

  async *count(to: number, ms: number): AsyncGenerator<number> {
    for (let item = 1; item <= to; item++) {
      yield item
      await new Promise((resolve) => setTimeout(resolve, ms))
    }
  }
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

if (process.argv[1] === import.meta.filename) {
  const { cores = 1, ...options } = JSON.parse(process.argv[2] ?? '{}') as StartOptions & { cores?: number }
  const endpoints: string[] = []
  for (let index = 0; index < cores; index++) {
    const core = createCore()
    let calls = 0
    let ended = 0
    core.hooks.beforeCall.tap('test', () => void calls++)
    core.hooks.sessionEnd.tap('test', () => void ended++)
    core.hooks.stopping.tap('test', () => say({ stopping: index }))
    core.hooks.stopped.tap('test', () => say({ stopped: index, calls, ended }))
    const started = await core.start(new Work(), { bind: 'tcp://127.0.0.1:*', ...options })
    endpoints.push(...started.endpoints)
  }
  process.on('exit', (code) => say({ exit: code }))
  say({ endpoints })
}
