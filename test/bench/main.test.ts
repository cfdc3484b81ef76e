import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const mainFile: string = fileURLToPath(new URL('main.ts', import.meta.url))

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--conditions=zask-source', mainFile, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(...args: string[]): Promise<Ended> {
  const bench = start(...args)
  const [stdout, stderr] = await Promise.all([text(bench.stdout!), text(bench.stderr!)])
  if (bench.exitCode === null) await once(bench, 'close')
  return { code: bench.exitCode, stdout, stderr }
}

/** Resolves to all that was printed on stderr until `pattern` was seen there. It is read on, or the writer would fail. */
function stderrUntil(bench: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    bench.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      seen += chunk
      if (pattern.test(seen)) resolve(seen)
    })
    bench.on('exit', () => reject(new Error(`The benchmark ended before it printed ${pattern}:\n${seen}`)))
  })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('npm run bench', function () {
  // Real processes under load, on machines that may have other things to do.
  this.timeout(60_000)

  it('prints nothing but one array of results with --json', async () => {
    const { code, stdout, stderr } = await run(
      '--json',
      '--system',
      'raw-zeromq',
      '--seconds',
      '0.2',
      '--rounds',
      '1',
    )
    expect(code, stderr).to.equal(0)
    const results: Record<string, unknown>[] = JSON.parse(stdout)
    expect(results.map(({ payload, inFlight }) => [payload, inFlight])).to.deep.equal([
      ['small-integer', 1],
      ['small-integer', 64],
      ['small-integer', 512],
      ['object-1KiB', 1],
      ['object-1KiB', 64],
      ['object-1KiB', 512],
    ])
    const figures = ['callsPerSecond', 'p50Us', 'p99Us', 'clientCpu', 'serverCpu']
    for (const result of results) {
      expect(Object.keys(result)).to.deep.equal(['system', 'payload', 'inFlight', ...figures])
      expect(result['system']).to.equal('raw-zeromq')
      for (const figure of figures) expect(result[figure], figure).to.be.a('number').above(0)
      expect(result['p99Us']).to.be.at.least(Number(result['p50Us']))
    }
  })

  it('measures zask, with and without plugins, streams included', async () => {
    const { code, stdout, stderr } = await run(
      ...'--json --quick --system zask,zask-plugins --seconds 0.05 --rounds 1'.split(' '),
    )
    expect(code, stderr).to.equal(0)
    const results: Record<string, unknown>[] = JSON.parse(stdout)
    expect(results).to.have.length(14)
    expect(results[12]).to.include({ system: 'zask', payload: 'stream-100000', inFlight: 1 })
    expect(results[13]).to.include({ system: 'zask-plugins', payload: 'stream-100000', inFlight: 1 })
  })

  it('prints a table in which a system that does not stream has a dash', async () => {
    const { code, stdout, stderr } = await run('--system', 'raw-zeromq', '--seconds', '0.05', '--rounds', '1')
    expect(code, stderr).to.equal(0)
    expect(stdout).to.match(/^echo of a small integer, 64 in flight +calls\/s +spread +p50 µs/m)
    expect(stdout).to.match(
      /^ {2}raw-zeromq +[\d,]+ +±0 % +[\d,.]+ +[\d,.]+ +\d+ % +\d+ % +[\d,.]+ +1\.00 +-$/m,
    )
    expect(stdout).to.match(/^stream of 100,000 items .*\n {2}raw-zeromq( +-)+$/m)
  })

  it('says what each process has in use with --memory, and whether that grew', async () => {
    const { code, stdout, stderr } = await run('--memory', '--system', 'raw-zeromq', '--calls', '2000')
    expect(code, stderr).to.equal(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).to.have.length(12)
    expect(lines[10]).to.match(/^raw-zeromq +2,000 calls +client +[\d.]+ MiB +server +[\d.]+ MiB$/)
    expect(lines[11]).to.match(/second half: client (not )?flat \(.* bytes a call\), server (not )?flat/)
  })

  it('ends its processes and exits with 130 when it is interrupted', async () => {
    const bench = start('--system', 'raw-zeromq', '--seconds', '60')
    const printed = await stderrUntil(bench, /warming up/)
    const pids = [...printed.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid))
    expect(pids).to.have.length(2)
    expect(pids.map(isRunning)).to.deep.equal([true, true])
    bench.kill('SIGINT')
    const [code] = await once(bench, 'exit')
    expect(code).to.equal(130)
    expect(pids.map(isRunning)).to.deep.equal([false, false])
  })

  it('explains each of its flags with --help', async () => {
    const { code, stdout, stderr } = await run('--help')
    expect(code, stderr).to.equal(0)
    expect(stderr).to.equal('')
    for (const flag of [
      'quick',
      'json',
      'system',
      'rounds',
      'seconds',
      'memory',
      'calls',
      'profile',
      'help',
    ]) {
      expect(stdout).to.match(new RegExp(`^  --${flag}\\b`, 'm'))
    }
  })

  for (const { args, message } of [
    { args: ['--nonsense'], message: "Unknown option '--nonsense'" },
    { args: ['--system', 'zask,corba'], message: '--system names "corba", which is not one of: zask, ' },
    { args: ['--rounds', '0'], message: '--rounds must be a whole number of at least 1, and is "0"' },
    {
      args: ['--seconds', 'long'],
      message: '--seconds must be a number above 0 and up to 3600, and is "long"',
    },
  ]) {
    it(`refuses ${args.join(' ')} with code 2 and without results`, async () => {
      const { code, stdout, stderr } = await run(...args)
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' })
      expect(stderr).to.include(message).and.to.include('--help')
    })
  }
})
