import type { Config } from '../../core/index.ts'
import { isRecord } from '../record.ts'

/** Where one version of a service is. */
export interface Place {
  readonly service: string
  /** Null where it is not known. */
  readonly version: string | null
  readonly endpoint: string
}

/** A place as the config names it, and under which key. */
export interface ConfigPlace extends Place {
  readonly key: string
  readonly version: string
}

/** What the config says of one service. */
export interface ConfigService {
  readonly key: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly versions: readonly string[]
}

/** The services of a config, each a `ZERORPC_<SERVICE>`: what a plugin has a default for is the plugin's, and none. */
export function servicesOf(config: Config): ConfigService[] {
  const owned = new Set(config.explain().flatMap(({ key, owner }) => (owner === undefined ? [] : [key])))
  return config.keys().flatMap((key) => {
    const settings = /^ZERORPC_./.test(key) && !owned.has(key) ? config.get(key) : undefined
    if (!isRecord(settings)) return []
    return { key, settings, versions: Object.keys(settings).filter((name) => /^v?\d/.test(name)) }
  })
}

/** All places that a config names: each endpoint of each version of each service. */
export function placesOf(config: Config): ConfigPlace[] {
  return servicesOf(config).flatMap(({ key, settings, versions }) => {
    const service = key.slice('ZERORPC_'.length).toLowerCase()
    return versions.flatMap((version) =>
      [settings[version]].flat().map((endpoint) => ({ key, service, version, endpoint: String(endpoint) })),
    )
  })
}
