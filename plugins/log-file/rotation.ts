import { randomBytes } from 'node:crypto'
import { linkSync, readdirSync, renameSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type FileIdentity, identityOf, isSame } from './opening.ts'

/**
 * Gives the file at `path` the name `path.DAY`, with a number behind it where that is taken. Any number of processes
 * may do so at once: a hard link is made by exactly one of them, and nothing is ever overwritten, so that there is no
 * lock to be left behind and no line to lose, wherever a process dies.
 *
 * @param heal Takes the old name away also where another process has given the new one: it may have died before that.
 * @returns Whether this process gave the name.
 */
export function rotateAway(path: string, day: string, file: FileIdentity, heal: boolean): boolean {
  for (let number = 0; ; number++) {
    const target = dated(path, day, number)
    try {
      linkSync(path, target)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Another process has been faster, or an administrator.
      if (code === 'ENOENT') return false
      if (code !== 'EEXIST') throw error
      if (!isSame(identityOf(target), file)) continue
      if (heal && isSame(identityOf(path), file)) takeAway(path, day, file)
      return false
    }
    if (isSame(identityOf(target), file)) {
      takeAway(path, day, file)
      return true
    }
    // In between the path has come to name a newer file, which is nobody's to rotate yet.
    unlinkSync(target)
    return false
  }
}

/** Removes the rotated files but the newest `keep`. */
export function prune(path: string, keep: number): void {
  const [folder, base] = [dirname(path), basename(path)]
  const rotated: { name: string; day: string; number: number }[] = []
  for (const name of readdirSync(folder)) {
    const [, day, number] =
      (name.startsWith(base) && /^\.(\d{4}-\d\d-\d\d)(?:\.(\d{1,6}))?$/.exec(name.slice(base.length))) || []
    if (day !== undefined) rotated.push({ name, day, number: Number(number ?? 0) })
  }
  rotated.sort((a, b) => (a.day === b.day ? b.number - a.number : a.day < b.day ? 1 : -1))
  for (const { name } of rotated.slice(keep)) attempt(() => unlinkSync(join(folder, name)))
}

function dated(path: string, day: string, number: number): string {
  return number === 0 ? `${path}.${day}` : `${path}.${day}.${number}`
}

/**
 * Removes the name `path` from the file, which bears a dated one too. It is moved aside before it is removed: what
 * turns out to be another file gets its name back, or a dated one, with all that is in it.
 */
function takeAway(path: string, day: string, file: FileIdentity): void {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (isSame(identityOf(aside), file)) return unlinkSync(aside)
  for (let number = -1; number < 1000; number++) {
    if (attempt(() => linkSync(aside, number < 0 ? path : dated(path, day, number)))) return unlinkSync(aside)
  }
}

function attempt(step: () => void): boolean {
  try {
    step()
    return true
  } catch {
    return false
  }
}
