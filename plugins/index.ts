import { accessLog } from './access-log.ts'
import { debugLog } from './debug-log.ts'
import { endpoints } from './endpoints.ts'
import { headers } from './headers.ts'
import { requestChain } from './request-chain.ts'

/** What `defaults()` gives, in this order. */
export type Defaults = readonly [
  ReturnType<typeof endpoints>,
  ReturnType<typeof headers>,
  ReturnType<typeof requestChain>,
  ReturnType<typeof accessLog>,
  ReturnType<typeof debugLog>,
]

/**
 * The list the original comes with: `createCore({ plugins: [...defaults(), mine()] })`. Plugins are made anew at each
 * call, so that cores share none. To leave one out, or to give it options, write the list yourself.
 */
export function defaults(): Defaults {
  return [endpoints(), headers(), requestChain(), accessLog(), debugLog()]
}
