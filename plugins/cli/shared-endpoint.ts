import { type Client, ZaskError } from '../../core/index.ts'

/** One of several services at an endpoint. */
export interface SharingService {
  readonly name: string
  readonly version: string | null
  readonly client: Client
}

/**
 * The services that share an endpoint, from the error by which its server asks which of them is meant; none for any
 * other error.
 */
export function sharingServices(error: unknown, client: Client): SharingService[] {
  if (!(error instanceof ZaskError) || error.code !== 'ZASK_SERVICE_AMBIGUOUS') return []
  const listed = error.details?.['services']
  if (!Array.isArray(listed)) return []
  return listed.flatMap((one: unknown) => {
    const [name, told] = Array.isArray(one) ? (one as unknown[]) : []
    if (typeof name !== 'string') return []
    const version = typeof told === 'string' ? told : null
    const headers = { service_name: name, ...(version !== null && { service_version: version }) }
    return [{ name, version, client: client.$with({ headers }) }]
  })
}
