import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** A folder that is removed at the end of the test. */
export function scratchFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'zask-log-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Runs a module of these tests as a process of its own. */
export function startModule(url: URL, ...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--conditions=zask-source', url.pathname, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

/** What a process has written when it ends; an error where it fails. */
export async function outputOf(child: ChildProcess): Promise<string> {
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit')])
  if (code !== 0) throw new Error(`the process ended with ${String(code)}: ${output}`)
  return output.trim()
}

/** The lines of all files of a folder, and the names of these files. */
export function linesIn(folder: string): { lines: string[]; files: string[] } {
  const files = readdirSync(folder)
  const lines: string[] = []
  for (const file of files) {
    const content = readFileSync(join(folder, file), 'utf8')
    if (content !== '' && !content.endsWith('\n')) throw new Error(`${file} ends in the middle of a line`)
    lines.push(...content.split('\n').slice(0, -1))
  }
  return { lines, files }
}

export function mkfifo(path: string): void {
  execFileSync('mkfifo', [path])
}

/** Does with other programs what logrotate does, every 200 ms: moves the file away and makes a new one. */
export function rotateFromOutside(path: string): { stop(): Promise<number> } {
  const script =
    'n=0; while read -r -t 0.2 _ || [ $? -gt 128 ]; do n=$((n+1)); mv "$0" "$0.old$n" && : >> "$0"; done; echo $n'
  const child = spawn('bash', ['-c', script, path], { stdio: ['pipe', 'pipe', 'ignore'] })
  return {
    async stop() {
      child.stdin.end()
      return Number(await outputOf(child))
    },
  }
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 8_000
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`waited 8 s, and it is still not so that ${what}`)
    await sleep(10)
  }
}
