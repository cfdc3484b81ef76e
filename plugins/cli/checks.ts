import { access, constants, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Config, type Core, createCore, RemoteError } from '../../core/index.ts'
import type { Finding } from '../command/check.ts'
import { isRecord } from '../record.ts'
import { messageOf } from './complaint.ts'
import { type ConfigPlace, placesOf, servicesOf } from './places.ts'

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
    return problem(
      `ZeroMQ does not work: ${messageOf(error)}`,
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
  for (const { key, settings, versions } of servicesOf(config)) {
    const before = found.length
    const { default: standard, client_keys: taken, access_key: sent } = settings
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
    for (const { version, endpoint } of placesOf(config).filter((place) => place.key === key)) {
      const other = owners.get(endpoint)
      const here = `${key} ${version}`
      if (other === undefined) owners.set(endpoint, here)
      else found.push(problem(`${other} and ${here} share ${endpoint}`, 'Give each an endpoint of its own.'))
    }
    if (found.length === before) found.push(ok(`${key}: versions ${versions.join(', ') || 'none'}`))
  }
  return [...found, ...services.flatMap((service) => checkService(config, service) ?? [])]
}

/**
 * Asks the services that run now whether they send heartbeats. Callers by zerorpc expect them as soon as they send some
 * themselves, and give up calls that take longer than two of theirs; who calls a server without knows nothing of it.
 */
export async function checkHeartbeats(config: Config, withinMs = 1_000): Promise<Finding[]> {
  const core = createCore({ config: { DEBUG: false } })
  try {
    const found = await Promise.all(placesOf(config).map((place) => checkHeartbeat(core, place, withinMs)))
    return found.flatMap((one) => one ?? [])
  } finally {
    await core.stop()
  }
}

async function checkHeartbeat(
  core: Core,
  { key, version, endpoint }: ConfigPlace,
  timeoutMs: number,
): Promise<Finding | undefined> {
  try {
    await using client = await core.client(
      endpoint.replace(/^tcp:\/\/(\*|0\.0\.0\.0):/, 'tcp://127.0.0.1:'),
      { timeoutMs },
    )
    // Who refuses to answer is there as well, and says how often it beats.
    await client.$call('_zerorpc_ping').catch((error: unknown) => {
      if (!(error instanceof RemoteError)) throw error
    })
    const where = `${key} ${version}: ${endpoint} answers`
    if (client.$endpoints[0]?.heartbeatMs !== null) return ok(where)
    return warning(
      `${where}, and sends no heartbeats: callers by zerorpc expect them, and give up what takes longer than 10 s`,
      'Leave `heartbeat` out where it is started, or switch heartbeats off at all of its callers.',
    )
  } catch {
    // Nobody is there now, which is no fault of the config.
    return undefined
  }
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
