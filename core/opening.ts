import type { Config } from './config.ts'
import { type CurveServerOptions, refuseOutward, serverKeys } from './curve.ts'
import type { Berth, Places } from './location.ts'
import type { Logger } from './logger.ts'
import { warnOfPlaintext } from './precautions.ts'
import type { Server } from './server.ts'
import type { Service } from './service.ts'
import type { Started } from './start-options.ts'

/** Binds and connects all that a start asks for; answers with where everything really is. */
export async function openAt(
  server: Server,
  services: readonly Service[],
  berths: readonly Berth[],
  { connects }: Places,
  curve: CurveServerOptions | undefined,
  { config, log }: { readonly config: Config; readonly log: Logger },
): Promise<Started> {
  // All of it before anything is bound: keys that are wrong must not leave half of the endpoints open.
  const keyed = berths.map((berth) => ({ ...berth, keys: serverKeys(curve, berth.curve, config) }))
  if (connects.length > 0) refuseOutward(serverKeys(curve, undefined, config), connects)
  const bound: { endpoint: string; services: readonly Service[] }[] = []
  const plain: string[] = []
  for (const { endpoint, services: served, keys } of keyed) {
    const real = await server.bind(endpoint, served, keys === 'plaintext' ? undefined : keys)
    bound.push({ endpoint: real, services: served })
    if (keys === undefined) plain.push(real)
  }
  for (const endpoint of connects) {
    server.connect(endpoint, services)
    bound.push({ endpoint, services })
  }
  warnOfPlaintext(log, plain)
  return {
    endpoints: bound.map(({ endpoint }) => endpoint),
    services: services.map((service) => ({
      service: service.displayName,
      version: service.version,
      endpoints: bound.filter((one) => one.services.includes(service)).map(({ endpoint }) => endpoint),
    })),
  }
}
