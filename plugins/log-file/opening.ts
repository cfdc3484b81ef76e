import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import { ZaskError } from '../../core/index.ts'

/** Which file it is, whatever name it bears. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
}

/** How a file may be opened. */
export interface OpenRules {
  /** Permissions of a file that is made. */
  readonly mode: number
  /** Whether a character device will do. */
  readonly device: boolean
}

/** A file open for appending; `size` and `changedMs` as they were found. */
export interface OpenedFile extends FileIdentity {
  readonly fd: number
  readonly size: number
  readonly changedMs: number
  readonly device: boolean
}

/** What `path` names now; undefined where it names nothing, or nothing that can be looked at. */
export function identityOf(path: string): FileIdentity | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

export function isSame(one: FileIdentity | undefined, other: FileIdentity): boolean {
  return one !== undefined && one.ino === other.ino && one.dev === other.dev
}

/**
 * Throws `ZASK_LOG_FILE_REFUSED` where the path leads to something that lines must not be written to. What is not
 * there, or cannot be looked at, passes.
 */
export function refuseUnfit(path: string, rules: OpenRules): void {
  let stats: Stats | undefined
  try {
    stats = lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return
  }
  if (stats !== undefined) checkKind(path, stats, rules)
}

/** Opens a file for appending, and makes it where there is none. Throws what the system says, or a refusal. */
export function openForAppending(path: string, rules: OpenRules): OpenedFile {
  refuseUnfit(path, rules)
  // A symbolic link in a folder open to all would let others choose the file; a FIFO without reader would block.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK
  let fd: number
  try {
    // Linux (fs.protected_regular) refuses O_CREAT for another user's file in /tmp, even to those who may write it.
    fd = openSync(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    fd = openSync(path, flags | constants.O_CREAT, rules.mode)
  }
  try {
    const stats = fstatSync(fd)
    checkKind(path, stats, rules)
    const { dev, ino, size, mtimeMs } = stats
    return { fd, dev, ino, size, changedMs: mtimeMs, device: !stats.isFile() }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function checkKind(path: string, stats: Stats, { device }: OpenRules): void {
  if (stats.isFile() || (device && stats.isCharacterDevice())) return
  const kind = stats.isDirectory()
    ? 'a directory'
    : stats.isSymbolicLink()
      ? 'a symbolic link'
      : stats.isFIFO()
        ? 'a FIFO'
        : stats.isSocket()
          ? 'a socket'
          : 'a device'
  const remedy = stats.isCharacterDevice() ? ', or allow it by the option device: true' : ''
  throw new ZaskError(
    'ZASK_LOG_FILE_REFUSED',
    `${path} is ${kind}, and lines are written to regular files only. Name another path${remedy}.`,
    { details: { path } },
  )
}
