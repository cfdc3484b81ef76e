import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { brokenFile, positionAt } from './broken-file.ts'
import { describeThrown, ZaskError } from './errors.ts'
import { parsePythonLiterals } from './python-literals.ts'
import { isRecord } from './secrets.ts'

interface Reading {
  /** Whether a file that is not there is no error. Nothing else is forgiven. */
  silent: boolean
  env: NodeJS.ProcessEnv
}

const readers: Readonly<
  Record<string, (file: string, source: Buffer, env: NodeJS.ProcessEnv) => object | Promise<object>>
> = {
  '.ts': readModule,
  '.js': readModule,
  '.mjs': readModule,
  '.json': (file, source) => readJson(file, decoded(file, source)),
  '.cfg': (file, source, env) => parsePythonLiterals(decoded(file, source), file, env),
}

/**
 * The UPPERCASE values of a config file, in its order; undefined where it is missing and `silent`.
 *
 * @param file Absolute path.
 * @throws ZaskError `ZASK_CONFIG_FILE_MISSING`, `ZASK_CONFIG_FILE_INVALID`.
 */
export async function readConfigFile(
  file: string,
  { silent, env }: Reading,
): Promise<Map<string, unknown> | undefined> {
  const extension = extname(file)
  const read = Object.hasOwn(readers, extension) ? readers[extension] : undefined
  if (read === undefined) {
    const python = ' Python files are not run: plain literals may stand in a .cfg file.'
    const what = extension ? `"${extension}" files are not read` : 'its name has no extension'
    const advice = `Config files end in ${Object.keys(readers).join(' ')}.${extension === '.py' ? python : ''}`
    throw brokenFile({ file, what: `${what}. ${advice}` })
  }
  const source = await contents(file, silent)
  // Read before a module is imported too: only so is a missing file told from a missing import inside it.
  return source && uppercaseEntries(await read(file, source, env))
}

/**
 * The keys that count as config, with their values: UPPERCASE ones, own or inherited (a class may extend another).
 * Of a module its named exports and those of its default export; a named one wins. Undefined is as good as absent.
 */
export function uppercaseEntries(values: object): Map<string, unknown> {
  const entries = new Map<string, unknown>()
  const inner: unknown = types.isModuleNamespaceObject(values) ? Reflect.get(values, 'default') : undefined
  if (inner !== null && (typeof inner === 'object' || typeof inner === 'function')) {
    for (const [key, value] of uppercaseEntries(inner)) entries.set(key, value)
  }
  for (const key in values) {
    if (!isUppercase(key)) continue
    const value: unknown = Reflect.get(values, key)
    if (value !== undefined) entries.set(key, value)
  }
  return entries
}

/** At least one letter, and none that is not a capital: Python's `str.isupper`, by which the original goes. */
export function isUppercase(key: string): boolean {
  return key === key.toUpperCase() && key !== key.toLowerCase()
}

async function contents(file: string, silent: boolean): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'for no known reason'
    if (code !== 'ENOENT') {
      const what = `it cannot be read (${code}). Give a readable file.`
      throw brokenFile({ file, what, cause })
    }
    if (silent) return undefined
    const advice = 'Put it there, or pass { silent: true } where it may be absent.'
    const message = `There is no config file ${file}. ${advice}`
    throw new ZaskError('ZASK_CONFIG_FILE_MISSING', message, { details: { file }, cause })
  }
}

function decoded(file: string, source: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(source)
  } catch (cause) {
    throw brokenFile({ file, what: 'it is not UTF-8 text. Save it as UTF-8.', cause })
  }
}

async function readModule(file: string, source: Buffer): Promise<object> {
  let namespace: Record<string, unknown>
  try {
    namespace = await import(pathToFileURL(file).href)
  } catch (thrown) {
    throw await brokenModule(file, source, thrown)
  }
  if (typeof namespace['default'] === 'function' && uppercaseEntries(namespace).size === 0) {
    const what =
      'its default export is a function. Export the values themselves; await works at the top level.'
    throw brokenFile({ file, what })
  }
  return namespace
}

async function brokenModule(file: string, source: Buffer, thrown: unknown): Promise<ZaskError> {
  const { name, message, stack } = describeThrown(thrown)
  const syntax = name === 'SyntaxError'
  const place = placeInStack(file, stack) ?? (syntax ? await placeOfSyntaxError(file, source) : undefined)
  // Node prints the broken line above a syntax error's stack; it may hold a secret, so that error stays here.
  return brokenFile({ file, what: `${name}: ${message}`, ...place, ...(!syntax && { cause: thrown }) })
}

/** The first line of the file that a stack names: as `file:///x.ts:3:20` in a frame, as `/x.ts:3` above the stack. */
function placeInStack(file: string, stack: string): { line: number } | undefined {
  for (const name of [file, pathToFileURL(file).href]) {
    const line = stack.split(`${name}:`)[1]?.match(/^\d+/)?.[0]
    if (line !== undefined) return { line: Number(line) }
  }
  return undefined
}

/** V8 does not tell where an ES module is broken, but for TypeScript, which Node strips first and which does. */
async function placeOfSyntaxError(
  file: string,
  source: Buffer,
): Promise<{ line: number; column: number } | undefined> {
  if (file.endsWith('.ts')) return undefined
  const text = source.toString('utf8')
  const { parse } = await import('acorn')
  try {
    parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true })
    return undefined
  } catch (error) {
    const offset = error instanceof Error && 'pos' in error ? error.pos : undefined
    return typeof offset === 'number' ? positionAt(text, offset) : undefined
  }
}

function readJson(file: string, text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // V8's own message quotes the text around the fault, secrets included, and often leaves the place out.
    const at = jsonFault(text)
    const char = text[at] === '"' ? 'the text that begins here' : JSON.stringify(text[at])
    const what = `${char ?? 'the end of the file'} is not what JSON has here (no comments, no trailing commas, double quotes only).`
    throw brokenFile({ file, what, ...positionAt(text, at) })
  }
  if (isRecord(value)) return value
  const what = 'it holds no object. Write { "KEY": value, ... } with UPPERCASE keys.'
  throw brokenFile({ file, what, ...positionAt(text, text.search(/\S|$/)) })
}

/** The offset at which a text that JSON.parse refused stops being JSON. */
function jsonFault(text: string): number {
  const token =
    /[ \t\n\r]*(?:[[\]{},:]|"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])|(?:true|false|null)\b)/y
  const blank = /[ \t\n\r]*/y
  const open: string[] = []
  // What may come next: a value, a key, or what follows a value; `]` and `}` may also come right after `[` and `{`.
  let next: 'value' | 'key' | ':' | 'after' = 'value'
  let fresh = false
  for (let at = 0; ; at = token.lastIndex) {
    token.lastIndex = blank.lastIndex = at
    const found = token.exec(text)?.[0].trimStart() ?? ''
    blank.exec(text)
    const inside = open.at(-1)
    const closes = (found === ']' && inside === '[') || (found === '}' && inside === '{')
    if (closes && (next === 'after' || fresh)) {
      open.pop()
      next = 'after'
    } else if (next === 'after' ? found === ',' && inside !== undefined : next === ':' && found === ':') {
      next = next === 'after' && inside === '{' ? 'key' : 'value'
    } else if (next === 'key' && found.startsWith('"')) {
      next = ':'
    } else if (next === 'value' && (found === '[' || found === '{')) {
      open.push(found)
      next = found === '{' ? 'key' : 'value'
    } else if (next === 'value' && /^["\-\dtfn]/.test(found)) {
      next = 'after'
    } else {
      return blank.lastIndex
    }
    fresh = found === '[' || found === '{'
  }
}
