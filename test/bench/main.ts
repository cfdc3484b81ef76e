import { runBench } from './bench.ts'
import { help, parseOptions, UsageError } from './options.ts'

const print = (text: string): void => void process.stdout.write(text)
const say = (line: string): void => void process.stderr.write(`${line}\n`)

async function main(): Promise<number> {
  if (process.argv.includes('--database')) {
    // Loaded here only: the other figures are those of a process without an ORM.
    const { benchDatabase, describeFigures } = await import('./database.ts')
    print(`${describeFigures(await benchDatabase({ rounds: 7, seconds: 1, inFlight: 16, say }))}\n`)
    return 0
  }
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') {
    print(help)
    return 0
  }
  const interruption = new AbortController()
  let interruptedCode: number | undefined
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(name, () => {
      interruptedCode = code
      interruption.abort()
    })
  }
  const code = await runBench(options, interruption.signal, { print, say })
  return interruptedCode ?? code
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  say(`bench: ${error.message}\nRun it with --help for what there is.`)
  process.exitCode = 2
}
