import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type FileIdentity,
  identityOf,
  isSame,
  openForAppending,
  type OpenedFile,
  type OpenRules,
  refuseUnfit,
} from './opening.ts'
import { prune, rotateAway } from './rotation.ts'

export interface LogFileOptions {
  /** `'daily'` gives the file of a day that has ended (UTC) the name `path.2026-11-22`. Default: `'daily'`. */
  rotate?: 'daily' | 'none'
  /** How many such files are kept. Default: 15. */
  keep?: number
  /** Permissions of a file that is made. Default: 0o640. */
  mode?: number
  /** Whether the path may name a character device. Default: false. */
  device?: boolean
  /** Told in one sentence that lines are being lost, and that no more are. Default: a line to standard error. */
  onTrouble?: (message: string) => void
  /** The name, `YYYY-MM-DD`, of the day that a time in milliseconds belongs to. Default: the date in UTC. */
  dayOf?: (timeMs: number) => string
}

/** How long the file may have been moved, or could not be written, before it is looked at again. */
const recheckMs = 200
/**
 * How long whoever moved the file is given to put a new one in its place. Some do it by a truncating open, as a shell's
 * `>` is: had one been made meanwhile, the lines in it would be gone.
 */
const replaceMs = 500
/** How long the process that gave a file its dated name is given to take the old one away. */
const healMs = 2000
/** Lines wait for the end of the turn, or for so many characters. */
const batchLength = 64 * 1024

/**
 * A log file that many processes append to at once.
 *
 * The lines of one turn of the event loop go out in one write of whole lines on an `O_APPEND` descriptor, which
 * Linux does not mix with other writes to a local file. The write is synchronous: what was logged is there when the
 * process ends, and a line costs less than handing it to a thread would.
 *
 * The file may be moved away at any time; within a second lines go to a new one. What cannot be
 * written is counted and lost: logging never throws, and never holds up those who log.
 */
export class LogFile {
  readonly path: string
  readonly #rules: OpenRules
  readonly #rotates: boolean
  readonly #keep: number
  readonly #onTrouble: (message: string) => void
  readonly #dayOf: (timeMs: number) => string
  #pending = ''
  #pendingLines = 0
  #immediate: NodeJS.Immediate | undefined
  #file: OpenedFile | undefined
  #closed = false
  #checkedAt = 0
  /** The day whose lines the open file holds. */
  #day = ''
  #dayEndedAt: number | undefined
  /** Since when the path names nothing. */
  #missingAt: number | undefined
  /** The file may end in the middle of a line. */
  #torn = false
  #troubledAt: number | undefined
  #rotationFailed = false
  #lostNow = 0
  #lost = 0

  /** @param path Absolute. Nothing is opened before `open` or the first line. */
  constructor(path: string, options: LogFileOptions = {}) {
    this.path = path
    this.#rules = { mode: options.mode ?? 0o640, device: options.device ?? false }
    this.#rotates = options.rotate !== 'none'
    this.#keep = options.keep ?? 15
    this.#onTrouble = options.onTrouble ?? complain
    this.#dayOf = options.dayOf ?? ((timeMs) => new Date(timeMs).toISOString().slice(0, 10))
  }

  /** Lines that could not be written so far. */
  get lost(): number {
    return this.#lost
  }

  /**
   * Throws `ZASK_LOG_FILE_REFUSED` where the path names a directory, a FIFO, a symbolic link, a socket or a device.
   * What may come right by itself, as a folder that is missing, is no error.
   */
  check(): void {
    refuseUnfit(this.path, this.#rules)
  }

  /** Opens the file ahead of the first line, so that trouble is told early. Never throws. */
  open(): void {
    this.#attempt(() => this.#follow(), 0)
  }

  /** Adds a line; a newline within it is written as `\n`. Never throws. */
  write(line: string): void {
    this.#pending += line.includes('\n') ? `${line.replaceAll('\n', '\\n')}\n` : `${line}\n`
    if (this.#pendingLines++ === 0) {
      this.#immediate = setImmediate(this.#flush)
      // Only while lines wait, so that a core nobody stops leaves no listener behind.
      process.on('exit', this.#flush)
    }
    if (this.#pending.length >= batchLength) this.flush()
  }

  /** Writes what waits, now. Never throws. */
  flush(): void {
    const [text, lines] = [this.#pending, this.#pendingLines]
    if (lines === 0) return
    this.#pending = ''
    this.#pendingLines = 0
    clearImmediate(this.#immediate)
    process.off('exit', this.#flush)
    if (this.#troubledAt !== undefined && performance.now() - this.#troubledAt < recheckMs) {
      this.#lose(lines)
      return
    }
    this.#attempt(() => {
      this.#follow()
      return this.#append(text, lines)
    }, lines)
    if (this.#closed) this.#release()
  }

  /** Writes what waits and closes the file. Lines that come after that open it once more, each turn for itself. */
  close(): void {
    this.#closed = true
    // The last chance: what was lost a moment ago may have room now.
    if (this.#pendingLines > 0) this.#troubledAt &&= -Infinity
    this.flush()
    if (this.#lostNow > 0)
      this.#tell(`zask: ${this.path} could not be written: ${lineCount(this.#lostNow)} lost.`)
    this.#lostNow = 0
    this.#release()
  }

  readonly #flush = (): void => this.flush()

  /** @param step Returns how many of the lines it could not write, and why. */
  #attempt(step: () => Unwritten | void, lines: number): void {
    let unwritten: Unwritten | void
    try {
      unwritten = step()
    } catch (error) {
      unwritten = { error, lines }
    }
    if (unwritten === undefined) return this.#recover()
    const first = this.#troubledAt === undefined
    this.#troubledAt = performance.now()
    this.#lose(unwritten.lines)
    if (first)
      this.#tell(
        `zask: ${this.path} cannot be written: ${remedy(unwritten.error, this.path)} Until then its lines are lost and counted; the service goes on.`,
      )
  }

  #recover(): void {
    if (this.#troubledAt === undefined) return
    this.#troubledAt = undefined
    this.#tell(`zask: ${this.path} is being written again; ${lineCount(this.#lostNow)} lost meanwhile.`)
    this.#lostNow = 0
  }

  #lose(lines: number): void {
    this.#lost += lines
    this.#lostNow += lines
  }

  #tell(message: string): void {
    try {
      this.#onTrouble(message)
    } catch {
      // Who cannot be told of trouble must not become one.
    }
  }

  /** Sees to it that the open file is the one that lines belong in now. */
  #follow(): void {
    const file = this.#file
    if (file === undefined) return this.#start()
    const now = performance.now()
    const today = this.#rotates ? this.#dayOf(Date.now()) : this.#day
    if (today === this.#day && now - this.#checkedAt < recheckMs) return
    this.#checkedAt = now
    const named = identityOf(this.path)
    if (named === undefined && today === this.#day && fstatSync(file.fd).nlink > 0) {
      this.#missingAt ??= now
      if (now - this.#missingAt < replaceMs) return
    }
    if (!isSame(named, file)) return this.#reopen(file)
    this.#missingAt = undefined
    if (today <= this.#day || file.device) return
    this.#dayEndedAt ??= now
    this.#rotate(this.#day, file, now - this.#dayEndedAt > healMs)
    if (isSame(identityOf(this.path), file)) {
      // Another process is about to take the old name away, or nobody can: then this file serves one more day.
      if (this.#rotationFailed || now - this.#dayEndedAt > healMs) this.#begin(file, today)
    } else this.#reopen(file)
  }

  #start(): void {
    let file = openForAppending(this.path, this.#rules)
    const today = this.#dayOf(Date.now())
    const written = this.#dayOf(file.changedMs)
    if (this.#rotates && !file.device && file.size > 0 && written < today) {
      this.#rotate(written, file, true)
      closeSync(file.fd)
      file = openForAppending(this.path, this.#rules)
    }
    // Whoever wrote here last may have died in the middle of a line.
    this.#torn = !file.device && file.size > 0
    this.#begin(file, today)
  }

  #reopen(old: OpenedFile): void {
    let file: OpenedFile
    try {
      file = openForAppending(this.path, this.#rules)
    } catch (error) {
      // As long as the old file bears some name, what is written to it is not lost.
      if (fstatSync(old.fd).nlink > 0) return
      throw error
    }
    closeSync(old.fd)
    this.#torn = false
    this.#begin(file, this.#dayOf(Date.now()))
  }

  #begin(file: OpenedFile, day: string): void {
    this.#file = file
    this.#day = day
    this.#dayEndedAt = undefined
    this.#missingAt = undefined
    this.#checkedAt = performance.now()
  }

  #rotate(day: string, file: FileIdentity, heal: boolean): void {
    try {
      if (rotateAway(this.path, day, file, heal)) prune(this.path, this.#keep)
      this.#rotationFailed = false
    } catch (error) {
      if (!this.#rotationFailed)
        this.#tell(`zask: ${this.path} cannot be rotated and grows on: ${remedy(error, this.path)}`)
      this.#rotationFailed = true
    }
  }

  /**
   * Writes whole lines. Where only a part could be written, its last line is repeated as a whole behind a newline:
   * lines of other processes may have come after the fragment.
   */
  #append(text: string, lines: number): Unwritten | undefined {
    const { fd } = this.#file as OpenedFile
    let bytes = Buffer.from(this.#endsTorn() ? `\n${text}` : text)
    let left = lines
    try {
      for (;;) {
        const written = writeSync(fd, bytes)
        if (written === bytes.length) {
          this.#torn = false
          return undefined
        }
        if (written === 0) throw new Error('the system wrote nothing.')
        const whole = bytes.lastIndexOf(0x0a, written - 1) + 1
        const rest = bytes.subarray(whole)
        left = count(rest)
        bytes = whole === written ? rest : Buffer.concat([newline, rest])
        this.#torn = true
      }
    } catch (error) {
      // Other processes met the same full disk: the fragment at the end may be theirs.
      this.#torn = true
      return { error, lines: left }
    }
  }

  /** Whether the file ends in a fragment, on which the next line must not be glued. */
  #endsTorn(): boolean {
    const file = this.#file as OpenedFile
    if (!this.#torn || file.device) return false
    try {
      const fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        // Twice, since a write of another process may be half done.
        return !endsWhole(fd) && !endsWhole(fd)
      } finally {
        closeSync(fd)
      }
    } catch {
      return true
    }
  }

  #release(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
  }
}

/** Lines that could not be written, and why. */
interface Unwritten {
  readonly error: unknown
  readonly lines: number
}

const newline: Buffer = Buffer.from('\n')

function endsWhole(fd: number): boolean {
  const { size } = fstatSync(fd)
  const last = Buffer.alloc(1)
  return size === 0 || readSync(fd, last, 0, 1, size - 1) === 0 || last[0] === 0x0a
}

function lineCount(lines: number): string {
  return lines === 1 ? '1 line is' : `${lines} lines are`
}

function count(bytes: Buffer): number {
  let lines = 0
  for (const byte of bytes) if (byte === 0x0a) lines++
  return lines
}

/** What is wrong, and what to do about it, as a sentence or two. */
function remedy(error: unknown, path: string): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return `the folder ${dirname(path)} does not exist. Create it.`
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `permission is denied (${code}). Let this user write to it and to its folder.`
  }
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return `there is no space (${code}). Free some.`
  return `${message}${message.endsWith('.') ? '' : '.'}`
}

/** Straight to the descriptor: where that is closed as well, nobody is left to be told. */
function complain(message: string): void {
  try {
    writeSync(2, `${message}\n`)
  } catch {
    // See above.
  }
}
