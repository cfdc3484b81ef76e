import { access } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Core, createCore } from '../../core/index.ts'
import { Misuse } from './command.ts'

/** What the modules of an application export. */
export interface Application {
  /** Absolute. */
  readonly file: string
  /** Its export `core`, or a core without plugins. */
  readonly core: Core
  readonly hasCore: boolean
  readonly services: readonly object[]
}

/**
 * Loads an application: its module, and the services that are named, or all it exports.
 *
 * @param names Of exports, of services (`static service`), or files of further modules whose services are meant.
 */
export async function loadApplication(path: string, names: readonly string[]): Promise<Application> {
  const file = resolve(path)
  const exported = await load(file)
  const own = exported['core']
  const core = isCore(own) ? own : createCore({ root: dirname(file) })
  const services: object[] = []
  for (const name of names) services.push(...(await named(name, exported, path)))
  if (names.length === 0) services.push(...servicesOf(exported))
  return { file, core, hasCore: isCore(own), services: [...new Set(services)] }
}

async function load(file: string): Promise<Record<string, unknown>> {
  try {
    await access(file)
  } catch {
    throw new Misuse(
      `There is no file ${file}. Name the module that exports core and services, such as app.ts.`,
    )
  }
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>
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
