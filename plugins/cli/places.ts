import type { Config } from '../../core/index.ts'

/** Where one version of a service is. */
export interface Place {
  readonly service: string
  /** Null where it is not known. */
  readonly version: string | null
  readonly endpoint: string
}

/** All places that a config names: each endpoint of each version of each `ZERORPC_<SERVICE>`. */
export function placesOf(config: Config): Place[] {
  return config.keys().flatMap((key) => {
    const name = /^ZERORPC_(.+)$/.exec(key)?.[1]
    const versions: unknown = config.get(key)
    if (name === undefined || typeof versions !== 'object' || versions === null) return []
    return Object.entries(versions).flatMap(([version, endpoints]) =>
      /^v?\d/.test(version)
        ? [endpoints].flat().map((endpoint) => {
            return { service: name.toLowerCase(), version, endpoint: String(endpoint) }
          })
        : [],
    )
  })
}
