import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repository } from '../support/processes.ts'
import { type Figure, figuresVariable } from './measured.ts'
import { page, patternOf, type PromiseRow, promises } from './promises.ts'
import { report, type Result } from './report.ts'

const help = `Usage: npm run test:faults -- [options] [P1 P2 …]

Runs the tests of the promises in ${page}, all of them or those named, and prints each promise with its tests and
what they measured. Ends with 1 where a test failed or was not run.

  --quick   time scaled down and few repetitions, as in npm test; figures to look at, not to quote
  --help    this
`

/** Runs mocha on the tests of some rows. */
function runMocha(rows: readonly PromiseRow[], env: Record<string, string>): Promise<number> {
  const tests = rows.flatMap((row) => row.tests)
  const files = [...new Set(tests.map(({ file }) => file))]
  const args = ['--no-package', '--node-option', 'conditions=zask-source', '--timeout', '120000']
  const child = spawn(
    join(repository, 'node_modules/.bin/mocha'),
    [...args, '--reporter', join(import.meta.dirname, 'reporter.cjs'), '--grep', patternOf(tests), ...files],
    { cwd: repository, stdio: 'inherit', env: { ...process.env, ...env } },
  )
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? 1))
  })
}

function lines<T>(path: string): T[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return text.map((line) => JSON.parse(line) as T)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  })
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const all = promises()
  const unknown = positionals.find((id) => !all.some((row) => row.id === id))
  if (unknown !== undefined) {
    process.stderr.write(`there is no promise ${unknown}; there are ${all.map(({ id }) => id).join(', ')}\n`)
    return 2
  }
  const rows = positionals.length === 0 ? all : all.filter(({ id }) => positionals.includes(id))
  const folder = mkdtempSync(join(tmpdir(), 'zask-promises-'))
  try {
    const [figures, results] = [join(folder, 'figures'), join(folder, 'results')]
    const code = await runMocha(rows, {
      [figuresVariable]: figures,
      ZASK_FAULTS_RESULTS: results,
      FAULTS: values.quick ? '' : 'full',
    })
    const { text, kept } = report(rows, lines<Result>(results), lines<Figure>(figures))
    process.stdout.write(text)
    return code === 0 && kept ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
