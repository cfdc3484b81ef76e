import type { Call } from './call.ts'
import { ZaskError } from './errors.ts'
import type { HookSet } from './hooks.ts'
import type { Service } from './service.ts'

type Resolver = HookSet<Call, never, never>

/** Where a client is to connect; of a service that was asked for by name, also what is known of it. */
export interface Location {
  readonly endpoints: readonly string[]
  readonly about: { readonly service?: string; readonly version?: string }
}

/** Where a service is to bind, by its name and version. Errors: `ZASK_ENDPOINT_MISSING`, and those of plugins. */
export async function endpointsOf(hooks: Resolver, service: Service): Promise<readonly string[]> {
  const { name, version } = service
  const found = await hooks.resolveEndpoint.run({ service: name, version, role: 'server' })
  if (found !== undefined && found.endpoints.length > 0) return found.endpoints
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
  const targets = list(target)
  if (targets.length > 0 && targets.every((one) => one.includes('://'))) {
    return { endpoints: targets, about: {} }
  }
  const [service, ...more] = targets
  if (service === undefined || service === '' || more.length > 0) {
    throw new ZaskError(
      'ZASK_ENDPOINT_INVALID',
      `A client is made of a service's name, an endpoint, or a list of endpoints, got ${JSON.stringify(target)}.`,
    )
  }
  const found = await hooks.resolveEndpoint.run({ service, version, role: 'client' })
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
  }
}

/** One or several, as a list. */
export function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}
