import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder: string = fileURLToPath(new URL('peers/', import.meta.url))

/** Installs what `peers/package-lock.json` lists, unless that was done since it last changed. Talks on stderr only. */
export async function installPeers(signal: AbortSignal, say: (line: string) => void): Promise<void> {
  // npm writes the hidden lockfile last, so an install that was interrupted does not count.
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return
  say(`installing the other frameworks: npm ci in ${folder}`)
  const npm = spawn('npm', ['ci'], {
    cwd: folder,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32',
    signal,
  })
  const [code]: (number | null)[] = await once(npm, 'close')
  if (code !== 0) throw new Error(`npm ci failed with code ${code} in ${folder}; run it there to see why.`)
}

function modified(path: string): number {
  return statSync(folder + path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
