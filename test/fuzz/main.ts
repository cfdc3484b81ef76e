import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repository, sourceCondition } from '../support/processes.ts'
import { runGuided } from './guided.ts'

const help = `npm run test:fuzz -- [options]

  --cases N      how many cases in all (1,000,000; npm test tries 50,000)
  --seed N       where chance begins; a failure names it
  --only PART    one of: ${parts().join(', ')}
  --guided       look for inputs that run code which none has run yet, and keep them
  --minutes N    how long to look (1)
`

/** `codec.test.ts` is the part `codec`. */
function parts(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.test.ts'.length))
    .toSorted()
}

interface Options {
  readonly cases: number
  readonly seed: string | undefined
  readonly only: readonly string[]
  /** How long to look for new ways; undefined where the tests are to be run. */
  readonly minutes: number | undefined
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000000' },
      seed: { type: 'string' },
      only: { type: 'string' },
      guided: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    process.exit(0)
  }
  const [cases, minutes] = [Number(values.cases), Number(values.minutes)]
  if (!Number.isInteger(cases) || cases < 1)
    throw new Error(`--cases is a whole number from 1, got ${values.cases}`)
  if (!(minutes > 0)) throw new Error(`--minutes is a number above 0, got ${values.minutes}`)
  const known = parts()
  if (values.only !== undefined && !known.includes(values.only))
    throw new Error(`--only is one of ${known.join(', ')}, got ${values.only}`)
  return {
    cases,
    seed: values.seed,
    only: values.only === undefined ? known : [values.only],
    minutes: values.guided ? minutes : undefined,
  }
}

/** All files in one process: what they print must not mix. */
function runTests({ cases, seed, only }: Options): void {
  const args = [
    '--no-package',
    '--no-parallel',
    '--reporter',
    'spec',
    '--node-option',
    sourceCondition.slice(2),
  ]
  const files = only.map((part) => join(import.meta.dirname, `${part}.test.ts`))
  const child = spawn(
    process.execPath,
    [join(repository, 'node_modules/mocha/bin/mocha.js'), ...args, ...files],
    {
      cwd: repository,
      stdio: 'inherit',
      env: { ...process.env, FUZZ_CASES: String(cases), ...(seed === undefined ? {} : { FUZZ_SEED: seed }) },
    },
  )
  child.on('close', (code) => {
    process.exitCode = code ?? 1
  })
}

let options: Options | undefined
try {
  options = readOptions()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
  process.exitCode = 2
}
if (options?.minutes !== undefined) await runGuided(options.minutes)
else if (options !== undefined) runTests(options)
