import { access, constants, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Config, createCore } from '../../core/index.ts'
import type { Finding } from '../command/check.ts'

const ok = (says: string): Finding => ({ state: 'ok', says })
const warning = (says: string, fix: string): Finding => ({ state: 'warning', says, fix })
const problem = (says: string, fix: string): Finding => ({ state: 'problem', says, fix })

/** Node runs TypeScript as it is from here on. */
const leastNode: readonly [major: number, minor: number] = [22, 18]

/** Whether Node is new enough, and the native part of ZeroMQ loads and carries a call. */
export async function checkMachine(version: string = process.versions.node): Promise<Finding[]> {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNew = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
  const node = isNew
    ? ok(`Node.js ${version}`)
    : problem(`Node.js ${version} is too old`, `Install Node.js ${leastNode.join('.')} or newer.`)
  return [node, await checkNative()]
}

async function checkNative(): Promise<Finding> {
  const core = createCore({ config: { DEBUG: false } })
  try {
    const bind = 'inproc://zask-doctor'
    await core.start({ answer: () => 42 }, { bind, signals: false })
    const client = await core.client(bind, { timeoutMs: 5000 })
    await client.$call('answer')
    return ok('ZeroMQ loads, and a call is answered')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return problem(
      `ZeroMQ does not work: ${reason}`,
      'Run `npm rebuild zeromq` on this machine; do not copy node_modules between systems.',
    )
  } finally {
    await core.stop()
  }
}

/** Each `ZERORPC_<SERVICE>`: its default version, its keys, its endpoints, and what the exported services need. */
export function checkEndpoints(config: Config, services: readonly object[]): Finding[] {
  const found: Finding[] = []
  const owners = new Map<string, string>()
  const owned = new Set(config.explain().flatMap(({ key, owner }) => (owner === undefined ? [] : [key])))
  for (const key of config.keys().filter((one) => one.startsWith('ZERORPC_') && !owned.has(one))) {
    const places = config.get(key)
    if (!isRecord(places)) continue
    const before = found.length
    const versions = Object.keys(places).filter((name) => /^v?\d/.test(name))
    const { default: standard, client_keys: taken, access_key: sent } = places
    if (typeof standard === 'string' && !versions.includes(standard)) {
      found.push(
        problem(`${key}: the default version ${standard} has no endpoint`, `Add '${standard}' to ${key}.`),
      )
    }
    if (Array.isArray(taken) && (typeof sent !== 'string' || !taken.includes(sent))) {
      const what =
        typeof sent === 'string' ? 'has an access_key that is not in its client_keys' : 'has no access_key'
      const fix = `Callers that use this config are refused: set access_key in ${key} to one of client_keys.`
      found.push(warning(`${key}: ${what}`, fix))
    }
    for (const version of versions) {
      for (const endpoint of [places[version]].flat().map(String)) {
        const other = owners.get(endpoint)
        const here = `${key} ${version}`
        if (other === undefined) owners.set(endpoint, here)
        else
          found.push(problem(`${other} and ${here} share ${endpoint}`, 'Give each an endpoint of its own.'))
      }
    }
    if (found.length === before) found.push(ok(`${key}: versions ${versions.join(', ') || 'none'}`))
  }
  return [...found, ...services.flatMap((service) => checkService(config, service) ?? [])]
}

/** A service finds its endpoint by name and version, where `--bind` does not say it. */
function checkService(config: Config, service: object): Finding | undefined {
  const { service: name, version } = service.constructor as { service?: unknown; version?: unknown }
  if (typeof name !== 'string') return undefined
  const key = `ZERORPC_${name.toUpperCase()}`
  const places = config.get(key)
  if (!isRecord(places)) {
    return warning(`${name}: ${key} is not in the config`, `Add ${key}, or start it with --bind.`)
  }
  if (typeof version !== 'string') {
    return warning(
      `${name}: its class says no version`,
      "Add `static readonly version = '1.0'`, or start it with --bind.",
    )
  }
  if (Object.hasOwn(places, version)) return undefined
  return problem(
    `${name}: version ${version} is not in ${key}`,
    `Add '${version}' and its endpoint to ${key}.`,
  )
}

/** Log files must be writable, or their folder where they do not exist yet. */
export async function checkFiles(config: Config): Promise<Finding[]> {
  const keys = config.keys().filter((key) => key.endsWith('_LOG') && typeof config.get(key) === 'string')
  return Promise.all(
    keys.map(async (key) => {
      const file = resolve(config.root, String(config.get(key)))
      const there = await stat(file).catch(() => undefined)
      try {
        await access(there === undefined ? dirname(file) : file, constants.W_OK)
        return ok(`${key}: ${file} can be written`)
      } catch {
        const fix = `Let the user of the service write it, or set ${key} to another path.`
        return problem(`${key}: ${file} cannot be written`, fix)
      }
    }),
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
