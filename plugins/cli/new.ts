import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { type Command, type CommandLine, Misuse } from '../command/command.ts'
import { escapeControls, exitCodes, json } from '../command/terminal.ts'
import { ownPackage } from './own-package.ts'
import { projectFiles, projectNames, type ProjectVersions } from './project.ts'

/** `zask new`: the files of a service that runs, with a test that passes. */
export const newCommand: Command = {
  usage: '<folder>',
  says: 'write a new service, with its test',
  more: `Writes package.json, tsconfig.json, .gitignore, app.ts and app.test.ts into a folder that is new or empty. The service
is called as the folder. Nothing is installed and nothing is asked.`,
  options: {},
  least: 1,
  most: 1,
  run: makeProject,
}

async function makeProject({ words, asJson, terminal }: CommandLine): Promise<number | void> {
  const folder = resolve(words[0] ?? '')
  const names = projectNames(checkedName(basename(folder)))
  const files = projectFiles(names, versions())
  try {
    await refuseFull(folder)
    await mkdir(folder, { recursive: true })
    // Whoever else writes there at this moment keeps what they wrote.
    for (const [name, text] of files) await writeFile(join(folder, name), text, { flag: 'wx' })
  } catch (error) {
    if (error instanceof Misuse) throw error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    terminal.complain(`zask: ${escapeControls(folder)} cannot be written: ${escapeControls(message)}.\n`)
    return exitCodes.failed
  }
  const from = relative(process.cwd(), folder)
  const next = [...(from === '' ? [] : [`cd ${quoted(from)}`]), 'npm install', 'npm test', 'npm start']
  const written = [...files.keys()]
  if (asJson) {
    terminal.write(`${json({ name: names.package, service: names.service, folder, files: written, next })}\n`)
    return
  }
  terminal.write(`${names.package} is written: ${written.join(', ')}. Next:

${next.map((command) => `  ${command}\n`).join('')}
and in another terminal, in the same folder:

  npx zask call ${names.service} hello World
`)
}

/** A name that npm, config keys and TypeScript can all bear. */
function checkedName(name: string): string {
  if (!/^[a-z][a-z\d]*([-_][a-z\d]+)*$/.test(name) || name.length > 100) {
    throw new Misuse(
      `'${name}' cannot be the name of a service. Take lower-case letters, digits and single hyphens between them, such ` +
        'as my-service.',
    )
  }
  if (reserved.has(name))
    throw new Misuse(`'${name}' is taken: a project called so could not ${reserved.get(name)}.`)
  return name
}

const reserved: ReadonlyMap<string, string> = new Map([
  ['zask', 'install the package zask'],
  ['typescript', 'install the package typescript'],
  ['node_modules', 'be installed'],
  ['access-log', 'have a config key of its own, for ZERORPC_ACCESS_LOG names a file'],
  ['access_log', 'have a config key of its own, for ZERORPC_ACCESS_LOG names a file'],
])

async function refuseFull(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR')
      throw new Misuse(`${folder} is no folder: a part of it is a file. Name a folder that is new or empty.`)
    throw error
  })
  // A repository that was just made holds nothing that could be overwritten.
  const [found] = names.filter((name) => name !== '.git')
  if (found === undefined) return
  throw new Misuse(`${folder} is not empty: it has ${found}. Name a folder that is new or empty.`)
}

/** As this zask has them: they were seen to work together. */
function versions(): ProjectVersions {
  const { version, engines, devDependencies } = ownPackage()
  return {
    zask: `^${version}`,
    node: engines.node,
    typescript: `^${devDependencies['typescript']}`,
    nodeTypes: `^${devDependencies['@types/node']}`,
  }
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
