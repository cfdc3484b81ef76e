import { access, readFile } from 'node:fs/promises'
import { dirname, parse, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Core, createCore, createLogger, ZaskError } from '../../core/index.ts'
import { Misuse } from '../command/command.ts'

/** What the modules of an application export. */
export interface Application {
  /** Absolute. */
  readonly file: string
  /** Its export `core`, or a core without plugins. */
  readonly core: Core
  readonly hasCore: boolean
  readonly services: readonly object[]
  /** What to call the only service, where nothing in the module says so. */
  readonly name?: string
}

/** The application's own code failed while it was loaded; `cause` is its error. */
export class BrokenApplication extends Error {
  readonly file: string

  constructor(file: string, cause: unknown) {
    super(`${file} does not load`, { cause })
    this.file = file
  }
}

/** Where an application is looked for that nobody names, in the working folder. */
const usualFiles = ['app.ts', 'app.js', 'app.mjs']

/** What to do where an application is needed and none is found. */
export const howToName =
  'name the module that exports `core`, with --app app.ts or ZASK_APP=app.ts, or call it app.ts in this folder'

/**
 * The module of the application: the one that is named, that of `ZASK_APP`, or the first of app.ts, app.js and app.mjs
 * in the working folder. One that nobody named must export `core` by its text: any other program is not run by looking.
 */
export async function findApplication(
  told: unknown,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  if (typeof told === 'string') return told
  const { ZASK_APP } = env
  if (ZASK_APP) return ZASK_APP
  for (const file of usualFiles) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (/^export\s+(?:(?:const|let|var)\s+core\b|\{[^}]*\bcore\b)/m.test(text)) return file
  }
  return undefined
}

/**
 * The core that a module exports, for a command that only asks with it: what its plugins log stays out of the results.
 */
export async function loadCore(path: string): Promise<Core> {
  const exported = await load(resolve(path))
  const { core } = exported
  if (!isCore(core))
    throw new Misuse(`${path} exports no core. Write \`export const core = createCore(...)\`.`)
  core.setLogger(createLogger())
  // In debug mode plugins bring loggers that write to stdout, in between the results.
  core.setLogger = () => {}
  return core
}

/**
 * Loads an application: its module, and the services that are named, or all it exports.
 *
 * @param names Of exports, of services (`static service`), or files of further modules whose services are meant.
 * @param anything Whether a module without services is served as it is, as zerorpc does.
 */
export async function loadApplication(
  path: string,
  names: readonly string[],
  anything = false,
): Promise<Application> {
  // Modules of Node are served as easily as zerorpc serves those of Python: `zask --server --bind … node:path`.
  const file = path.startsWith('node:') ? path : resolve(path)
  const exported = await load(file)
  const own = exported['core']
  const core = isCore(own) ? own : createCore({ root: dirname(file) })
  const services: object[] = []
  for (const name of names) services.push(...(await named(name, exported, path)))
  if (names.length === 0) services.push(...servicesOf(exported))
  const found = { file, core, hasCore: isCore(own) }
  const plain = anything && services.length === 0 ? plainService(exported) : undefined
  if (plain === undefined) return { ...found, services: [...new Set(services)] }
  return { ...found, services: [plain], name: parse(path).name.replace(/^node:/, '') }
}

/** The default export, the only class, or the exported functions. */
function plainService(exported: Record<string, unknown>): object | undefined {
  const { default: main, ...others } = exported
  const classes = Object.values(others).filter(isClass)
  const functions = Object.entries(others).filter(
    ([, value]) => typeof value === 'function' && !isClass(value),
  )
  if (isClass(main) || isObject(main)) return service(main)
  if (classes.length === 1 && functions.length === 0) return service(classes[0])
  return functions.length === 0 ? undefined : Object.fromEntries(functions)
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))
}

async function load(file: string): Promise<Record<string, unknown>> {
  if (file.startsWith('node:')) return (await import(file)) as Record<string, unknown>
  try {
    await access(file)
  } catch {
    throw new Misuse(
      `There is no file ${file}. Name the module that exports core and services, such as app.ts.`,
    )
  }
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    throw new BrokenApplication(file, error)
  }
}

/** What may help somebody whose application does not load. */
export function adviceOn({ cause }: BrokenApplication): string | undefined {
  if (!(cause instanceof ZaskError) || cause.code !== 'ZASK_ENDPOINT_IN_USE') return undefined
  return 'It starts services while it is loaded: let it export core, and call core.start in a file of its own, main.ts.'
}

async function named(name: string, exported: Record<string, unknown>, path: string): Promise<object[]> {
  if (/\.[cm]?[jt]s$/.test(name)) {
    const found = servicesOf(await load(resolve(name)))
    if (found.length > 0) return found
    throw new Misuse(`${name} exports no service. A service is a class with \`static service = 'name'\`.`)
  }
  const direct = Object.hasOwn(exported, name) ? service(exported[name]) : undefined
  if (direct !== undefined) return [direct]
  const all = servicesOf(exported)
  const found = all.filter((one) => nameOf(one.constructor) === name)
  if (found.length > 0) return found
  const known = all.map((one) => nameOf(one.constructor) ?? one.constructor.name).join(', ')
  throw new Misuse(`${path} exports no service '${name}'. It exports ${known === '' ? 'none' : known}.`)
}

/** `services`, or else every export whose class says `static service`; a class is instantiated. */
function servicesOf(exported: Record<string, unknown>): object[] {
  const listed = exported['services']
  if (typeof listed === 'object' && listed !== null) {
    return Object.values(listed).flatMap((one) => service(one) ?? [])
  }
  return Object.values(exported).flatMap((value) => {
    const type = typeof value === 'function' ? value : isObject(value) ? value.constructor : undefined
    return nameOf(type) === undefined ? [] : (service(value) ?? [])
  })
}

function service(value: unknown): object | undefined {
  if (typeof value !== 'function') return isObject(value) ? value : undefined
  const made: unknown = Reflect.construct(value, [])
  return isObject(made) ? made : undefined
}

/** What the class calls its service; undefined for what is no class of a service. */
function nameOf(type: unknown): string | undefined {
  if (typeof type !== 'function' || !('service' in type)) return undefined
  return typeof type.service === 'string' ? type.service : undefined
}

function isCore(value: unknown): value is Core {
  return isObject(value) && 'start' in value && 'hooks' in value && 'config' in value
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
