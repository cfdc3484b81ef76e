import type { Plugin } from '../../core/index.ts'

/** How one service looks in config, as the plugins below understand it. */
export interface ServiceEntry {
  access_key?: string
  default?: string
}

/** Adds to the call, and owns keys that only a pattern describes. */
export declare function headers(): Plugin<{
  adds: { accessKey: string | undefined }
  config: { [key: `ZERORPC_${string}`]: ServiceEntry }
}>

/** Needs what another adds. */
export declare function requestChain(): Plugin<{
  adds: { requestId: string }
  needs: { accessKey: string | undefined }
}>

/** Needs two things at once. */
export declare function audit(): Plugin<{ needs: { accessKey: string | undefined; requestId: string } }>

/** Adds a property of the same name as `headers`, with another type. */
export declare function numericKeys(): Plugin<{ adds: { accessKey: number } }>

/** A plugin with a public face. */
export interface DatabasePlugin extends Plugin<{
  config: { DATABASE_URI: string; DATABASE_POOL_SIZE: number }
  stats: { database: { queries: number } }
}> {
  readonly em: { find(id: number): Promise<string> }
}
export declare function database(): DatabasePlugin

/** Declares nothing. */
export declare function timing(): Plugin
