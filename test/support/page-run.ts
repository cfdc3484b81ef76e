import { chmod, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import type { Block, Page } from './pages.ts'
import { isFree } from './ports.ts'
import { repository, sourceCondition, Spawned } from './processes.ts'

/*
 * How the blocks of a page are run. Everything a reader could copy is a real file or a real command:
 *
 * - A `ts` or `js` block is a file, called as its fence (```ts app.ts) or its first line (`// app.ts`) says, and is
 *   run: it must end with 0.
 *   `with: previous` appends it to the block before it; `compile only` keeps it from being run;
 *   `run: server` leaves it running to the end of the page, where Ctrl-C must end it with 0.
 * - A `text` block right after it is its output, or the beginning of a server's.
 * - A `console` block is a terminal: lines after `$ ` are commands, the rest is what they print; with
 *   `run: server` the last one is left running.
 * - Any other block whose fence names a file (```json setting.json) is one. The rest is not touched.
 * - All files are there from the beginning; only those whose fence names a folder that the page makes by itself and
 *   enters with `$ cd folder` are written when the page comes to them. Those are not among what the type check reads:
 *   such a page runs one of its own.
 * - `npm start`, `npm run` and what names `docs/examples/` runs in a clone of the repository, unless the page went
 *   elsewhere with `cd`. `npm install` does nothing: what it would bring is there.
 *
 * `…` stands for any text within a line, alone on a line for any lines. Each port a page names is replaced by a
 * free one, throughout the page and the examples it runs; neighbours stay neighbours.
 */

interface Program {
  readonly name: string
  readonly block: Block
  text: string
  output: string | undefined
}

type Step =
  | { readonly kind: 'program'; readonly program: Program }
  | { readonly kind: 'file'; readonly name: string; readonly block: Block }
  | { readonly kind: 'terminal'; readonly block: Block }

/** Commands of those who have cloned the repository. */
const cloned = /^npm |docs\/examples\//

/** The files and steps of one page in a folder of its own. */
export class PageRun {
  readonly page: Page
  readonly folder: string
  readonly #steps: Step[] = []
  readonly #files = new Map<string, string>()
  readonly #root: string
  /** The folders that the page enters, and where it is now. */
  readonly #entered = new Set<string>()
  #cwd: string
  #ports = new Map<string, string>()

  constructor(page: Page, root: string) {
    const name = page.path.replace(/[^\w.-]/g, '_')
    this.page = page
    this.folder = join(root, 'pages', name)
    this.#cwd = this.folder
    this.#root = root
    this.#plan()
  }

  /** Whether there is anything to run. */
  get used(): boolean {
    return this.#steps.length > 0
  }

  /** How many processes it takes. */
  get processes(): number {
    return this.#steps.length + this.#commands.length
  }

  get #commands(): string[] {
    return this.#steps.flatMap((step) =>
      step.kind === 'terminal' ? commandsOf(step.block.text).map(({ command }) => command) : [],
    )
  }

  /** Writes the files. */
  async prepare(): Promise<void> {
    this.#ports = await freePorts(this.page.text)
    await mkdir(this.folder, { recursive: true })
    for (const [name, text] of this.#files) await this.#write(name, text)
    for (const step of this.#steps) {
      if (step.kind !== 'program') continue
      const { name, text } = step.program
      if (!this.#isEntered(name)) await this.#write(name, text)
    }
    if (this.#commands.some((command) => cloned.test(command))) await this.#clone()
  }

  /** Runs all blocks in the order of the page; throws what a reader would have stumbled over. */
  async run(): Promise<void> {
    const servers: { spawned: Spawned; what: string }[] = []
    try {
      for (const step of this.#steps) {
        const { block } = step.kind === 'program' ? step.program : step
        const what = `${this.page.path}:${block.line}`
        try {
          if (block.marks.includes('stop: servers')) await stopAll(servers)
          const server = await this.#step(step)
          if (server !== undefined) servers.push({ spawned: server, what })
        } catch (error) {
          throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
          })
        }
      }
      await stopAll(servers)
    } finally {
      for (const { spawned } of servers) spawned.signal('SIGKILL')
    }
  }

  #plan(): void {
    let last: Program | undefined
    for (const block of this.page.blocks) {
      for (const [, folder = ''] of block.language === 'console'
        ? block.text.matchAll(/^\$ cd ([\w-]+)$/gm)
        : [])
        this.#entered.add(folder)
      const isProgram = block.language === 'ts' || block.language === 'js'
      if (block.name !== undefined && !isProgram) {
        if (this.#isEntered(block.name)) this.#steps.push({ kind: 'file', name: block.name, block })
        else this.#files.set(block.name, block.text)
      } else if (isProgram) {
        if (block.marks.includes('with: previous') && last !== undefined) {
          last.text += `\n${block.text}`
          continue
        }
        const said = /^\/\/ ([\w./-]+\.[tj]s)\b/.exec(block.text)?.[1]
        const name = block.name ?? said ?? `line-${block.line}.${block.language}`
        last = { name, block, text: block.text, output: undefined }
        this.#steps.push({ kind: 'program', program: last })
      } else if (block.language === 'text' && block.follows && last !== undefined) last.output = block.text
      else if (block.language === 'console') this.#steps.push({ kind: 'terminal', block })
    }
  }

  async #step(step: Step): Promise<Spawned | undefined> {
    if (step.kind === 'terminal') return await this.#terminal(step.block)
    const { name, text } = step.kind === 'program' ? step.program : { name: step.name, text: step.block.text }
    if (this.#isEntered(name)) await this.#write(name, text)
    return step.kind === 'program' ? await this.#program(step.program) : undefined
  }

  /** Whether a block belongs into a folder that the page makes and enters. */
  #isEntered(name: string): boolean {
    return this.#entered.has(name.split('/')[0] ?? '')
  }

  async #program({ name, block, output }: Program): Promise<Spawned | undefined> {
    if (block.marks.includes('compile only')) return undefined
    const expected = output === undefined ? undefined : pattern(this.#mapped(output))
    const spawned = new Spawned(
      process.execPath,
      [sourceCondition, relative(this.#cwd, join(this.folder, name))],
      { cwd: this.#cwd, env: this.#env },
      20_000,
    )
    if (block.marks.includes('run: server')) {
      await spawned.until((seen) => (expected === undefined ? true : expected.begins.test(seen)))
      return spawned
    }
    const { code, signal, stdout, output: all } = await spawned.ended
    if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}, having said:\n${all}`)
    if (expected !== undefined && !expected.all.test(stdout))
      throw new Error(`${name} printed:\n${all}\nand the page shows:\n${output}`)
    return undefined
  }

  async #terminal(block: Block): Promise<Spawned | undefined> {
    const commands = commandsOf(this.#mapped(block.text))
    let kept: Spawned | undefined
    for (const [index, { command, output }] of commands.entries()) {
      const entered = /^cd ([\w-]+)$/.exec(command)?.[1]
      if (entered !== undefined) {
        this.#cwd = join(this.#cwd, entered)
        await this.#mapFiles(this.#cwd)
        continue
      }
      const spawned = this.#spawn(command)
      const expected = pattern(output)
      if (block.marks.includes('run: server') && index === commands.length - 1) {
        await spawned.until((seen) => expected.begins.test(withoutBanner(seen)))
        kept = spawned
        continue
      }
      const { output: seen } = await spawned.ended
      if (!expected.all.test(withoutBanner(seen)))
        throw new Error(`${command} printed:\n${seen}\nand the page shows:\n${output}`)
    }
    return kept
  }

  #spawn(command: string): Spawned {
    const inClone = this.#cwd === this.folder && cloned.test(command)
    const bin = join(this.#root, 'node_modules/.bin')
    const line = /^\w+=/.test(command) ? `env ${command}` : command
    return new Spawned('/bin/sh', ['-c', `exec ${line}`], {
      cwd: inClone ? this.#cloneFolder : this.#cwd,
      // A test run by `npm run -s` hands its silence on; a user's terminal has none.
      env: { ...this.#env, npm_config_loglevel: 'error', PATH: `${bin}:${process.env['PATH']}` },
    })
  }

  /** Most of the time of a short process goes into compiling what the one before it compiled already. */
  get #env(): Readonly<Record<string, string>> {
    return { NODE_COMPILE_CACHE: join(this.#root, 'compiled') }
  }

  get #cloneFolder(): string {
    return this.folder.replace('/pages/', '/clones/')
  }

  /** What a clone would have, with examples of its own: they write beside themselves, and take the page's ports. */
  async #clone(): Promise<void> {
    const folder = this.#cloneFolder
    await mkdir(join(folder, 'docs'), { recursive: true })
    for (const name of ['package.json', '.npmrc', 'node_modules', 'core', 'plugins'])
      await symlink(join(repository, name), join(folder, name))
    const examples = join(folder, 'docs/examples')
    await cp(join(repository, 'docs/examples'), examples, {
      recursive: true,
      filter: (path) => basename(path) !== 'data',
    })
    await this.#mapFiles(examples)
  }

  async #mapFiles(folder: string): Promise<void> {
    const names = await readdir(folder, { recursive: true })
    for (const path of names.filter((name) => /\.(ts|json)$/.test(name)).map((name) => join(folder, name))) {
      const text = await readFile(path, 'utf8')
      const mapped = this.#mapped(text)
      if (mapped !== text) await writeFile(path, mapped)
    }
  }

  #mapped(text: string): string {
    let mapped = text
    for (const [port, free] of this.#ports)
      mapped = mapped.replaceAll(new RegExp(`(?<=[:'])${port}\\b`, 'g'), free)
    return mapped
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, this.#mapped(text))
  }
}

/** A folder in which `import 'zask'` means this repository, and `node` and `npx zask` its sources. */
export async function prepareRoot(root: string): Promise<void> {
  const modules = join(root, 'node_modules')
  await mkdir(modules, { recursive: true })
  for (const name of await readdir(join(repository, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(repository, 'node_modules', name), join(modules, name))
  }
  await symlink(repository, join(modules, 'zask'))
  await writeFile(join(root, 'package.json'), '{ "type": "module" }\n')
  const compilerOptions = {
    rootDir: '/',
    // Applications declare nothing for others.
    declaration: false,
    isolatedDeclarations: false,
    declarationMap: false,
    noUnusedLocals: false,
    typeRoots: [join(repository, 'node_modules/@types')],
  }
  const config = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions,
    include: ['pages/**/*.ts'],
  }
  await writeFile(join(root, 'tsconfig.json'), JSON.stringify(config))
  const bin = join(modules, '.bin')
  await mkdir(bin)
  const node = `'${process.execPath}' ${sourceCondition}`
  const zask = `${node} '${repository}/plugins/cli/main.ts'`
  await executable(join(bin, 'node'), `exec ${node} "$@"`)
  await executable(join(bin, 'zask'), `exec ${zask} "$@"`)
  await executable(
    join(bin, 'tsc'),
    `exec '${repository}/node_modules/.bin/tsc' --customConditions zask-source "$@"`,
  )
  // What packages an installation would bring, the test of the package sees.
  await executable(
    join(bin, 'npm'),
    `case "$1" in install|ci) exit 0;; esac
PATH=\${PATH#*:} exec npm "$@"`,
  )
  await executable(
    join(bin, 'npx'),
    `name=$1; shift
case "$name" in
zask) exec ${zask} "$@";;
node) exec ${node} "$@";;
*) echo "npx: the tests know no $name" >&2; exit 127;;
esac`,
  )
}

async function executable(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
}

async function stopAll(servers: { spawned: Spawned; what: string }[]): Promise<void> {
  for (let last = servers.pop(); last !== undefined; last = servers.pop()) await stop(last.spawned, last.what)
}

/** Ctrl-C. The shell that npm puts before a script dies of it by itself, after the script has ended. */
async function stop(server: Spawned, what: string): Promise<void> {
  const before = server.output
  server.signal('SIGINT')
  const { code, signal, output } = await server.ended
  const viaNpm = signal === 'SIGINT' && /^\n?> /.test(before)
  if ((code !== 0 && !viaNpm) || output !== before) {
    throw new Error(`${what}: Ctrl-C ended the server with ${code ?? signal}, having said:\n${output}`)
  }
}

function commandsOf(text: string): { command: string; output: string }[] {
  const commands: { command: string; output: string }[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: '' })
    else if (commands.length > 0) (commands.at(-1) as { output: string }).output += `${line}\n`
  }
  return commands
}

/** What npm says before it runs a script is nobody's output. */
function withoutBanner(output: string): string {
  return output.replace(/^(\n?> .*\n)+/, '')
}

function pattern(text: string): { all: RegExp; begins: RegExp } {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => (line === '…' ? '[\\s\\S]*?' : line.trimEnd().split('…').map(escaped).join('.*')))
  const source = `^\\s*${lines.join('[ \\t]*\\n')}`
  return { all: new RegExp(`${source}\\s*$`), begins: new RegExp(source) }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/** For each port of the page another one that is free now, below those that the system gives out by itself. */
async function freePorts(text: string): Promise<Map<string, string>> {
  const named = new Set(
    [...text.matchAll(/tcp:\/\/[^\s'"`:]+:(\d{2,5})\b/g)].map((match) => match[1] as string),
  )
  const ports = [...named].map(Number)
  for (;;) {
    const shift = 20_000 + Math.floor(Math.random() * 12_000) - Math.min(...ports)
    const free = await Promise.all(ports.map((port) => isFree(port + shift)))
    if (free.every(Boolean)) return new Map(ports.map((port) => [String(port), String(port + shift)]))
  }
}
