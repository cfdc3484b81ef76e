import { randomUUID } from 'node:crypto'
import type { Call, Plugin } from '../core/index.ts'

export interface RequestChainAdds {
  /** The same for a call, and for all calls made from within it, however deep. */
  requestId: string
  /** The access key of the first caller of the chain, as the callers say; undefined where there was none. */
  originAccessKey: string | undefined
}

/**
 * Gives each request an id at its first hop and takes it along: a call made within a served call bears the id of that
 * call, so that the logs of all services can be read as one story. Headers `uuid` and `origin_access_key`, as the
 * original.
 *
 * The current call is core's to know, so nothing is kept here and nothing can leak from one call into another.
 */
export function requestChain(): Plugin<{ adds: RequestChainAdds }> {
  return {
    name: 'request-chain',
    apply(core) {
      core.hooks.beforeCall.tap('request-chain', (call) => {
        if (call.side === 'server') receive(call)
        else pass(call, core.currentCall)
      })
    },
  }
}

function receive(call: Call & RequestChainAdds): void {
  const { uuid, origin_access_key: origin, access_key: key } = call.headers
  call.requestId = sound(uuid) ?? randomUUID()
  call.originAccessKey = sound(origin, 1024) ?? sound(key, 1024)
}

/** Outside of any call each call begins a chain: the original shares one id in a greenlet, which is no request. */
function pass(call: Call & RequestChainAdds, within: (Call & Partial<RequestChainAdds>) | undefined): void {
  const { headers } = call
  call.requestId = sound(headers['uuid']) ?? within?.requestId ?? randomUUID()
  headers['uuid'] = call.requestId
  call.originAccessKey = sound(headers['origin_access_key'], 1024) ?? within?.originAccessKey
  if (call.originAccessKey !== undefined) headers['origin_access_key'] = call.originAccessKey
}

/** Ids and keys from the wire go into logs and on to other services: what is odd or long is not taken over. */
function sound(value: unknown, maxLength = 128): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > maxLength) return undefined
  return /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value) ? undefined : value
}
