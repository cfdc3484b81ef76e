import { type ChildProcess, spawn } from 'node:child_process'
import { type FSWatcher, watch } from 'node:fs'
import { registerHooks } from 'node:module'
import { basename, dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CommandLine } from '../command/command.ts'
import { exitCodes } from '../command/terminal.ts'

/**
 * Tells the parent process which files this one is made of, if it has a parent that asks; the function returned adds
 * files that no import loads. Packages are left out: who changes those restarts by hand.
 */
export function reportFiles(): (files: readonly string[]) => void {
  const { channel, env } = process
  // Others that start processes have channels, too, but do not set this.
  if (env['ZASK_WATCHED'] === undefined || channel === undefined || channel === null) return () => {}
  delete env['ZASK_WATCHED']
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:') && !url.includes('/node_modules/')) tell([fileURLToPath(url)])
      return next(url, context)
    },
  })
  // A parent that was killed cannot stop this process, which then would hold the endpoint for ever.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  channel.unref()
  return tell
}

function tell(files: readonly string[]): void {
  process.send?.({ files })
}

/** Runs the same command line without `--watch` in a process of its own, anew after each change. */
export async function watchAndRestart({ words, options, terminal }: CommandLine): Promise<number> {
  const told = Object.entries(options).flatMap(([name, value]) =>
    name === 'watch'
      ? []
      : value === true
        ? [`--${name}`]
        : [value].flat().map((one) => `--${name}=${String(one)}`),
  )
  const script = [...process.execArgv, process.argv[1] as string]
  const changes = new Changes()
  changes.add([resolve(words[0] as string)])
  const over = new AbortController()
  terminal.signal.addEventListener('abort', () => over.abort())
  process.once('SIGTERM', () => over.abort())
  const ended = new Promise<void>((done) => over.signal.addEventListener('abort', () => done()))
  while (!over.signal.aborted) {
    // In a group of its own: Ctrl-C reaches it once, from here, for a second one would cut its calls.
    const child = spawn(process.execPath, [...script, 'start', ...told, '--', ...words], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ZASK_WATCHED: '1' },
      detached: true,
    })
    child.on('message', (message: { files?: string[] }) => changes.add(message.files ?? []))
    const exit = new Promise<void>((done) => child.once('exit', () => done()))
    const changed = changes.next()
    const first = await Promise.race([ended, changed, exit.then(() => 'exit' as const)])
    if (first === 'exit' && !over.signal.aborted) {
      terminal.complain('zask: the process ended; waiting for a change\n')
      await Promise.race([ended, changed])
    }
    await stop(child, exit)
    if (!over.signal.aborted)
      terminal.complain(`zask: ${relative('', await changed)} changed, starting again\n`)
  }
  changes.close()
  return exitCodes.done
}

async function stop(child: ChildProcess, exit: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  await exit
}

/** Editors replace a file by another of its name: its folder is watched, for the file itself would be lost. */
class Changes {
  readonly #files = new Set<string>()
  readonly #watchers = new Map<string, FSWatcher>()
  #onChange: ((file: string) => void) | undefined

  add(files: readonly string[]): void {
    for (const file of files) {
      this.#files.add(file)
      const folder = dirname(file)
      if (this.#watchers.has(folder)) continue
      const watcher = watch(folder, (_event, name) => {
        const seen = resolve(folder, basename(name ?? ''))
        if (this.#files.has(seen)) this.#onChange?.(seen)
      })
      // A folder that is gone tells no more changes, which is no fault of the service.
      watcher.on('error', () => watcher.close())
      this.#watchers.set(folder, watcher)
    }
  }

  /** The next file that changes; a moment later, for writing one file is several changes. */
  next(): Promise<string> {
    return new Promise((done) => {
      this.#onChange = (file) => {
        this.#onChange = undefined
        setTimeout(() => done(file), 50)
      }
    })
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
  }
}
