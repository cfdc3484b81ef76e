import { isDeepStrictEqual } from 'node:util'
import type { Call } from './call.ts'
import type { CurveAllow, ServiceCurve } from './curve.ts'
import { ZaskError } from './errors.ts'
import type { EndpointQuery, ResolvedEndpoint } from './hook-contract.ts'
import type { HookSet } from './hooks.ts'
import { isList } from './options.ts'
import { shown } from './secrets.ts'
import type { Service } from './service.ts'

type Resolver = HookSet<Call, never, never>

/** Where a client is to connect; of a service that was asked for by name, also what is known of it. */
export interface Location {
  readonly endpoints: readonly string[]
  readonly about: { readonly service?: string; readonly version?: string }
  readonly curve?: ServiceCurve | undefined
}

/** What plugins refuse with is an answer, and stays as it is; any other error is a fault of the plugin it names. */
async function ask(hooks: Resolver, query: EndpointQuery): Promise<ResolvedEndpoint | undefined> {
  const found = await hooks.resolveEndpoint.run(query).catch((error: unknown) => {
    throw error instanceof ZaskError ? error : hooks.named(error)
  })
  if (found === undefined || isTexts(found.endpoints)) return found
  throw new ZaskError(
    'ZASK_HOOK_FAILED',
    `A tap of resolveEndpoint answered ${shown(found)}: it must answer { endpoints: ['tcp://…'] }, or nothing.`,
    { details: { hook: 'resolveEndpoint' } },
  )
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** Where a service is to bind, by its name and version. Errors: `ZASK_ENDPOINT_MISSING`, and those of plugins. */
async function placeOf(hooks: Resolver, service: Service): Promise<ResolvedEndpoint> {
  const { name, version } = service
  const found = await ask(hooks, { service: name, version, role: 'server' })
  if (found !== undefined && found.endpoints.length > 0) return found
  throw new ZaskError(
    'ZASK_ENDPOINT_MISSING',
    `Service ${service.displayName} has no endpoint. Pass one, start(service, { bind: 'tcp://127.0.0.1:4242' })` +
      (name === undefined
        ? ', or give the class a `static service` name that a plugin can look up.'
        : `, or list a plugin that knows where '${name}' is.`),
    { details: { service: service.displayName } },
  )
}

/**
 * Where a client is to connect: endpoints are taken as they are, a name is looked up.
 * Errors: `ZASK_ENDPOINT_INVALID`, `ZASK_ENDPOINT_MISSING`, and those of plugins.
 */
export async function locate(
  hooks: Resolver,
  target: string | readonly string[],
  version: string | undefined,
): Promise<Location> {
  const targets = isList(target) ? target : [target]
  if (!targets.every((one) => typeof one === 'string')) throw badTarget(target)
  if (targets.length > 0 && targets.every((one) => one.includes('://'))) {
    return { endpoints: targets, about: {} }
  }
  const [service, ...more] = targets
  if (service === undefined || service === '' || more.length > 0) throw badTarget(target)
  const found = await ask(hooks, { service, version, role: 'client' })
  if (found === undefined || found.endpoints.length === 0) {
    throw new ZaskError(
      'ZASK_ENDPOINT_MISSING',
      `Nothing knows where service '${service}' is. Pass an endpoint, client('tcp://127.0.0.1:4242'), or list a ` +
        'plugin that knows it.',
      { details: { service } },
    )
  }
  const chosen = found.version ?? version
  return {
    endpoints: found.endpoints,
    about: { service, ...(chosen === undefined ? {} : { version: chosen }) },
    curve: found.curve,
  }
}

/** Where a server is to be reached. */
export interface Places {
  readonly binds: readonly string[]
  readonly connects: readonly string[]
}

/** An endpoint to bind, with the services that share it. */
export interface Berth {
  readonly endpoint: string
  readonly services: readonly Service[]
  readonly curve: ServiceCurve | undefined
}

/** Which service is to be bound where: at the places given for all of them, or else each at its own. */
export async function berthsOf(
  hooks: Resolver,
  services: readonly Service[],
  { binds, connects }: Places,
): Promise<Berth[]> {
  for (const endpoint of connects) refuseTwins(endpoint, services)
  if (binds.length > 0 || connects.length > 0) {
    return [...new Set(binds)].map((endpoint) => {
      refuseTwins(endpoint, services)
      return { endpoint, services, curve: undefined }
    })
  }
  const berths = new Map<string, { endpoint: string; services: Service[]; curve: ServiceCurve | undefined }>()
  for (const service of services) {
    const { endpoints, curve } = await placeOf(hooks, service)
    for (const endpoint of new Set(endpoints)) {
      const berth = berths.get(endpoint)
      if (berth === undefined) berths.set(endpoint, { endpoint, services: [service], curve })
      else if (!isDeepStrictEqual(callersOf(berth.curve), callersOf(curve))) throw atOdds(berth, service)
      else berth.services.push(service)
    }
  }
  for (const { endpoint, services: served } of berths.values()) refuseTwins(endpoint, served)
  return [...berths.values()]
}

/** Whom a service lets in, lists in one order. */
function callersOf(curve: ServiceCurve | undefined): CurveAllow | undefined {
  const allow = curve?.allow
  return Array.isArray(allow) ? allow.toSorted((a: string, b: string) => (a < b ? -1 : 1)) : allow
}

/** One endpoint can let in but the same callers to all that is served there. */
function atOdds({ endpoint, services }: Berth, service: Service): ZaskError {
  return new ZaskError(
    'ZASK_CURVE_INCOMPLETE',
    `${services[0]?.displayName} and ${service.displayName} share '${endpoint}' and do not let in the same callers. ` +
      'Give them the same curve_allow, or endpoints of their own.',
    { details: { endpoint } },
  )
}

/** The second of two services that callers cannot tell apart would never be called. */
function refuseTwins(endpoint: string, services: readonly Service[]): void {
  const twin = services.find(({ name, version }, index) =>
    services
      .slice(0, index)
      .some((one) => name !== undefined && one.name === name && one.version === version),
  )
  if (twin === undefined) return
  const version = twin.version === undefined ? '' : ` ${twin.version}`
  throw new ZaskError(
    'ZASK_SERVICE_AMBIGUOUS',
    `Two services at '${endpoint}' are called '${twin.name}'${version}, and no caller could mean the second one. ` +
      'Give it another name or version, or an endpoint of its own.',
    { details: { endpoint, service: twin.name } },
  )
}

function badTarget(target: unknown): ZaskError {
  return new ZaskError(
    'ZASK_ENDPOINT_INVALID',
    `A client is made of a service's name, an endpoint, or a list of endpoints, got ${shown(target)}.`,
  )
}

/** One endpoint or several, as a list. From JavaScript anything may come: `ZASK_OPTION_INVALID` names it. */
export function list(option: string, value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  const endpoints = isList(value) ? value : [value]
  if (endpoints.every((one) => typeof one === 'string')) return endpoints
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `${option} is an endpoint, such as 'tcp://127.0.0.1:4242', or a list of them, got ${shown(value)}.`,
  )
}
