import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { ZaskError } from 'zask'
import { LogFile, type LogFileOptions } from 'zask/plugins/log-file'
import {
  linesIn,
  mkfifo,
  outputOf,
  rotateFromOutside,
  scratchFolder,
  startModule,
  until,
} from './log-file/support.ts'

const writer = new URL('log-file/writer.ts', import.meta.url)

const day = (name: string): LogFileOptions => ({ dayOf: () => name })

/** Writes a line until there is a file that it is in. */
async function untilWritten(file: LogFile, line: string, at: string): Promise<void> {
  await until('a line is written', () => {
    file.write(line)
    file.flush()
    return existsSync(at)
  })
}

describe('a log file', () => {
  let folder: ReturnType<typeof scratchFolder>
  let path: string
  let told: string[]
  let files: LogFile[]

  beforeEach(() => {
    folder = scratchFolder()
    path = join(folder.path, 'a.log')
    told = []
    files = []
  })
  afterEach(() => {
    for (const file of files) file.close()
    folder.remove()
  })

  function open(options: LogFileOptions & { path?: string } = {}): LogFile {
    const file = new LogFile(options.path ?? path, {
      onTrouble: (message) => void told.push(message),
      ...options,
    })
    files.push(file)
    return file
  }

  const content = (name: string = path): string => readFileSync(name, 'utf8')

  it('holds the lines of a turn when the turn is over, and those that wait when it is closed', async () => {
    const file = open()
    file.write('one')
    file.write('two')
    await new Promise((resolve) => setImmediate(resolve))
    expect(content()).to.equal('one\ntwo\n')
    file.write('three')
    file.close()
    expect(content()).to.equal('one\ntwo\nthree\n')
  })

  it('appends to what is there, and takes lines after it was closed', async () => {
    writeFileSync(path, 'before\n')
    const file = open()
    file.close()
    file.write('late')
    await new Promise((resolve) => setImmediate(resolve))
    expect(content()).to.equal('before\nlate\n')
  })

  it('writes a newline within a line as \\n', () => {
    const file = open()
    file.write('a\nb')
    file.flush()
    expect(content()).to.equal('a\\nb\n')
  })

  it('may be read by its group and written by its owner only', () => {
    open().open()
    expect(statSync(path).mode & 0o777).to.equal(0o640 & ~process.umask())
  })

  it('holds what was logged last when the process exits in the middle of a turn', async () => {
    const script = `
      import { LogFile } from 'zask/plugins/log-file'
      new LogFile(process.argv[1]).write('the last words')
      process.exit(0)`
    const args = ['--conditions=zask-source', '--input-type=module', '-e', script, path]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await outputOf(child)
    expect(content()).to.equal('the last words\n')
  })

  /** What `check` says of the path. */
  const refusal = (options: LogFileOptions & { path?: string } = {}): string => {
    try {
      open(options).check()
    } catch (error) {
      expect(error).to.be.instanceOf(ZaskError).and.to.include({ code: 'ZASK_LOG_FILE_REFUSED' })
      return (error as Error).message
    }
    return 'nothing'
  }

  describe('refuses what is no regular file:', () => {
    it('a directory', () => {
      mkdirSync(path)
      expect(refusal()).to.match(
        / is a directory, and lines are written to regular files only\. Name another path\.$/,
      )
    })

    it('a FIFO, without waiting for a reader', () => {
      mkfifo(path)
      expect(refusal()).to.include(' is a FIFO')
      const file = open()
      file.write('lost')
      file.flush()
      expect(file.lost).to.equal(1)
    })

    it('a symbolic link, also where it came to be after the start', () => {
      const target = join(folder.path, 'target')
      symlinkSync(target, path)
      expect(refusal()).to.include(' is a symbolic link')
      const file = open()
      file.write('not to the target')
      file.flush()
      expect(existsSync(target)).to.equal(false)
      expect(file.lost).to.equal(1)
    })

    it('a device, unless it is allowed', () => {
      expect(refusal({ path: '/dev/null' })).to.include('device: true')
      expect(refusal({ path: '/dev/null', device: true })).to.equal('nothing')
    })
  })

  describe('that cannot be written', () => {
    it('costs lines and nothing else, says so once, and goes on when its folder is there', async () => {
      const inner = join(folder.path, 'missing', 'a.log')
      const file = open({ path: inner })
      file.check()
      file.open()
      for (let line = 0; line < 5; line++) {
        file.write('lost')
        file.flush()
      }
      expect(told).to.have.length(1)
      expect(told[0]).to.include(
        `${inner} cannot be written: the folder ${dirname(inner)} does not exist. Create it.`,
      )
      expect(file.lost).to.equal(5)
      mkdirSync(dirname(inner))
      await untilWritten(file, 'kept', inner)
      expect(told).to.have.length(2)
      expect(told[1]).to.include(`is being written again; ${file.lost} lines are lost meanwhile.`)
      expect(content(inner)).to.equal('kept\n')
    })

    it('is noticed when its folder is deleted under it', async () => {
      const inner = join(folder.path, 'gone', 'a.log')
      mkdirSync(dirname(inner))
      const file = open({ path: inner })
      file.write('first')
      file.flush()
      rmSync(dirname(inner), { recursive: true })
      await until('the loss is told', () => {
        file.write('lost')
        file.flush()
        return told.length === 1
      })
      mkdirSync(dirname(inner))
      await untilWritten(file, 'back', inner)
      expect(told).to.have.length(2)
      expect(content(inner)).to.equal('back\n')
    })

    it('for want of space loses and counts what finds none: /dev/full', () => {
      const file = open({ path: '/dev/full', device: true })
      for (let line = 0; line < 3; line++) {
        file.write('lost')
        file.flush()
      }
      expect(told).to.have.length(1)
      expect(told[0]).to.include('there is no space (ENOSPC)')
      expect(file.lost).to.equal(3)
      file.close()
      expect(told[1]).to.include('3 lines are lost')
    })

    it('in the middle of a line begins a new line when there is room, and repeats none', async () => {
      const module = new URL('log-file/full-disk.ts', import.meta.url).pathname
      const shell = 'ulimit -f 8; exec "$0" --conditions=zask-source "$1" "$2"'
      const child = spawn('bash', ['-c', shell, process.execPath, module, path], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      const output: string[] = []
      const reader = createInterface(child.stdout).on('line', (line) => output.push(line))
      await until('the loss is told', () => output.length === 1)
      expect(output[0]).to.include('there is no space (EFBIG)')
      const torn = content()
      expect(torn).to.match(/\nline \d+ x+$/)
      truncateSync(path, torn.length - 1000)
      child.stdin.write('go on\n')
      await once(reader, 'close')
      const { lines, lost } = JSON.parse(output.at(-1)!) as { lines: number; lost: number }
      expect(output[1]).to.match(/ \d+ lines? (is|are) lost meanwhile\.$/)
      const [fragment, ...after] = content()
        .slice(torn.lastIndexOf('\n', torn.length - 1001) + 1)
        .split('\n')
      expect(fragment).to.match(/^line \d+ x*$/)
      expect(after.at(-1)).to.equal('')
      expect(after.slice(0, -1)).to.have.length(1)
      expect(after[0]).to.match(/^line \d+ y{80} end$/)
      // The line that did not fit whole is lost, the ones before it are not.
      expect(Number(/line (\d+) y/.exec(after[0]!)?.[1])).to.equal(lines - 1)
      expect(torn.split('\n').length - 1 + lost + after.length - 1).to.equal(lines)
    })

    it('after somebody else died in the middle of a line begins a new one', () => {
      writeFileSync(path, 'whole\nfragm')
      const file = open()
      file.write('mine')
      file.flush()
      expect(content()).to.equal('whole\nfragm\nmine\n')
    })
  })

  describe('moved away from outside', () => {
    it('is made anew, and nothing is lost in between', async () => {
      const file = open()
      let line = 0
      file.write(`line ${line++}`)
      file.flush()
      renameSync(path, `${path}.1`)
      await until('there is a new file', () => {
        file.write(`line ${line++}`)
        file.flush()
        return existsSync(path)
      })
      const all = content(`${path}.1`) + content()
      expect(all.split('\n').slice(0, -1)).to.deep.equal(
        Array.from({ length: line }, (_, number) => `line ${number}`),
      )
    })

    it('waits a moment for the new one, which may be made by an open that truncates', async () => {
      const file = open()
      const lines = ['one', 'two', 'three']
      for (const line of lines) {
        file.write(line)
        file.flush()
        if (line === 'one') renameSync(path, `${path}.1`)
        await new Promise((resolve) => setTimeout(resolve, 210))
      }
      expect(existsSync(path)).to.equal(false)
      writeFileSync(path, '')
      await until('the new file is written', () => {
        lines.push('more')
        file.write('more')
        file.flush()
        return content() !== ''
      })
      expect(content(`${path}.1`) + content()).to.equal(`${lines.join('\n')}\n`)
    })

    it('goes on being written where no new one can be made: lines are in the old one', async () => {
      const inner = join(folder.path, 'inner', 'a.log')
      mkdirSync(dirname(inner))
      const file = open({ path: inner })
      file.write('one')
      file.flush()
      renameSync(inner, `${path}.moved`)
      rmSync(dirname(inner), { recursive: true })
      for (const line of ['two', 'three', 'four', 'five']) {
        await new Promise((resolve) => setTimeout(resolve, 250))
        file.write(line)
        file.flush()
      }
      expect(content(`${path}.moved`)).to.equal('one\ntwo\nthree\nfour\nfive\n')
      expect(file.lost).to.equal(0)
    })

    it('every 200 ms under four processes: 100,000 whole lines, none torn, none lost', async () => {
      const mover = rotateFromOutside(path)
      const children = ['a', 'b', 'c', 'd'].map((name) => startModule(writer, path, name, '25000'))
      const lost = await Promise.all(children.map(outputOf))
      const moves = await mover.stop()
      expect(lost).to.deep.equal(['0', '0', '0', '0'])
      expect(moves).to.be.greaterThan(2)
      expectAllLines(4, 25_000)
    }).timeout(60_000)
  })

  /** Each line of each process, once, and nothing else. */
  function expectAllLines(processes: number, each: number): string[] {
    const { lines, files: names } = linesIn(folder.path)
    const seen = new Set(lines)
    const odd = lines.filter((line) => !/^[a-d] \d+ x{60} end$/.test(line))
    expect(odd).to.deep.equal([])
    expect(lines).to.have.length(processes * each)
    expect(seen.size).to.equal(processes * each)
    return names
  }

  describe('of a day that has ended', () => {
    it('gets the name of the day, and a new file begins', () => {
      let today = '2026-11-22'
      const file = open({ dayOf: () => today })
      file.write('monday')
      file.flush()
      today = '2026-11-23'
      file.write('tuesday')
      file.flush()
      expect(readdirSync(folder.path).toSorted()).to.deep.equal(['a.log', 'a.log.2026-11-22'])
      expect(content(`${path}.2026-11-22`)).to.equal('monday\n')
      expect(content()).to.equal('tuesday\n')
    })

    it('is found at the start, by the time of its last line', () => {
      writeFileSync(path, 'old\n')
      const yesterday = new Date(Date.now() - 86_400_000)
      utimesSync(path, yesterday, yesterday)
      const file = open()
      file.write('new')
      file.flush()
      expect(content(`${path}.${yesterday.toISOString().slice(0, 10)}`)).to.equal('old\n')
      expect(content()).to.equal('new\n')
    })

    it('never takes the place of another file of that name', () => {
      writeFileSync(`${path}.2026-11-22`, 'precious\n')
      let today = '2026-11-22'
      const file = open({ dayOf: () => today })
      file.write('more')
      file.flush()
      today = '2026-11-23'
      file.write('new')
      file.flush()
      expect(content(`${path}.2026-11-22`)).to.equal('precious\n')
      expect(content(`${path}.2026-11-22.1`)).to.equal('more\n')
    })

    it('is renamed to its end where a process died halfway', () => {
      writeFileSync(path, 'old\n')
      const yesterday = new Date(Date.now() - 86_400_000)
      utimesSync(path, yesterday, yesterday)
      const name = `${path}.${yesterday.toISOString().slice(0, 10)}`
      linkSync(path, name)
      const file = open()
      file.write('new')
      file.flush()
      expect(readdirSync(folder.path)).to.have.length(2)
      expect(content(name)).to.equal('old\n')
      expect(content()).to.equal('new\n')
    })

    it('is kept for 15 days, and other files are left alone', () => {
      let date = 1
      const today = (): string => `2026-10-${String(date).padStart(2, '0')}`
      const file = open({ dayOf: today })
      for (const other of ['a.log.gz', 'a.log.2026-10-01.gz', 'b.log.2026-09-01', 'a.log.old'])
        writeFileSync(join(folder.path, other), '')
      for (; date <= 20; date++) {
        file.write(today())
        file.flush()
      }
      const names = readdirSync(folder.path)
      const rotated = names.filter((name) => /^a\.log\.2026-10-\d\d$/.test(name)).toSorted()
      expect(rotated).to.have.length(15)
      expect(rotated[0]).to.equal('a.log.2026-10-05')
      expect(names).to.include.members(['a.log.gz', 'a.log.2026-10-01.gz', 'b.log.2026-09-01', 'a.log.old'])
    })

    it('stays one file where rotation is off', () => {
      const first = open({ ...day('2026-11-22'), rotate: 'none' })
      first.write('one')
      first.close()
      const second = open({ ...day('2026-11-23'), rotate: 'none' })
      second.write('two')
      second.flush()
      expect(readdirSync(folder.path)).to.deep.equal(['a.log'])
    })

    it('is rotated once by four processes at every end of a short day: 100,000 lines, none torn, none lost', async () => {
      const firstMs = String(Date.now())
      const start = (name: string) => startModule(writer, path, name, '25000', '150', firstMs)
      const children = ['a', 'b', 'c', 'd'].map(start)
      expect(await Promise.all(children.map(outputOf))).to.deep.equal(['0', '0', '0', '0'])
      const names = expectAllLines(4, 25_000)
      expect(names.length).to.be.greaterThan(3)
      const dated = names.filter((name) => name !== 'a.log')
      for (const name of dated) expect(name).to.match(/^a\.log\.\d{4}-\d\d-\d\d$/)
    }).timeout(60_000)
  })
})
