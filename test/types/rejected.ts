// Setups the compiler must refuse: each @ts-expect-error is an error itself where nothing is refused.
// What the messages say is checked in messages.test.ts. Never run.
import { createCore, type Plugin } from '../../core/index.ts'
import { audit, database, headers, numericKeys, requestChain, timing } from './listed-plugins.ts'

export function missingPlugin(): void {
  // @ts-expect-error nothing in the list adds accessKey
  void createCore({ plugins: [timing(), database()] }).call.accessKey
  // @ts-expect-error nor in no list
  void createCore().call.accessKey
  // @ts-expect-error also not in a tap
  createCore({ plugins: [timing()] }).hooks.beforeCall.tap('a', (call) => call.accessKey)
  // @ts-expect-error requestChain() needs accessKey
  createCore({ plugins: [timing(), requestChain()] })
  // @ts-expect-error audit() needs requestId too
  createCore({ plugins: [headers(), audit()] })
}

export function wrongOrder(): void {
  // @ts-expect-error headers() must come first
  createCore({ plugins: [requestChain(), headers()] })
  // @ts-expect-error a good beginning does not help
  createCore({ plugins: [headers(), audit(), requestChain()] })
  // @ts-expect-error accessKey is there, but a number
  createCore({ plugins: [numericKeys(), requestChain()] })
}

export function noPlugins(): void {
  // @ts-expect-error the factory must be called
  createCore({ plugins: [headers] })
  class Timing implements Plugin {
    readonly name = 'timing'
    apply(): void {}
  }
  createCore({ plugins: [new Timing()] })
  // @ts-expect-error an instance is needed
  createCore({ plugins: [Timing] })
  // @ts-expect-error apply is missing
  createCore({ plugins: [{ name: 'a' }] })
  // @ts-expect-error the name is missing
  createCore({ plugins: [{ apply() {} }] })
  // @ts-expect-error a list in a list
  createCore({ plugins: [[headers()]] })
}

export function wrongConfig(): void {
  // @ts-expect-error DATABASE_URI is text
  createCore({ plugins: [database()], config: { DATABASE_URI: 5 } })
  // @ts-expect-error DEBUG is true or false
  createCore({ config: { DEBUG: 'yes' } })
  // @ts-expect-error what matches the pattern has the type of the pattern
  createCore({ plugins: [headers()], config: { ZERORPC_USERS: { access_key: 5 } } })
  // @ts-expect-error nobody in the list owns DATABASE_URI
  createCore({ plugins: [headers()], config: { DATABASE_URI: 'sqlite://' } })
  // @ts-expect-error nobody at all
  createCore({ config: { DATABASE_URI: 'sqlite://' } })
  // @ts-expect-error a misspelt key
  createCore({ plugins: [database()], config: { DATABASE_URL: 'sqlite://' } })
  // @ts-expect-error config is not assigned to
  createCore({ plugins: [database()] }).config.DATABASE_URI = 'sqlite://'
}

export function wrongTaps(): void {
  const { hooks } = createCore({ plugins: [headers()] })
  // @ts-expect-error there is no such hook
  hooks.beforeCal.tap('a', () => {})
  // @ts-expect-error the argument is a call
  hooks.beforeCall.tap('a', (call: string) => call)
  // @ts-expect-error a gate has no outcome
  hooks.beforeCall.tap('a', (call, outcome) => [call, outcome])
  // @ts-expect-error the name is mandatory
  hooks.beforeCall.tap(() => {})
  // @ts-expect-error callbacks are not waited for
  hooks.beforeCall.tapAsync('a', () => {})
  // @ts-expect-error tapPromise insists on a promise
  hooks.beforeCall.tapPromise('a', () => {})
  // @ts-expect-error the plugin list is the order
  hooks.beforeCall.tap({ name: 'a', stage: -1 }, () => {})
  // @ts-expect-error an error is answered at once
  hooks.answerError.tap('a', async () => new Error('late'))
  // @ts-expect-error an answer has endpoints
  hooks.resolveEndpoint.tap('a', () => ({ version: '1.0' }))
  // @ts-expect-error users and plugins do not run hooks
  hooks.beforeCall.run()
}

/** A plugin gets what it declares, and no more. */
export function undeclared(): Plugin<{ adds: { tenant: string }; config: { TENANT_HEADER: string } }> {
  return {
    name: 'undeclared',
    // @ts-expect-error a default of another type
    defaults: { TENANT_HEADER: 5 },
    apply(core) {
      // @ts-expect-error it declares no need of accessKey
      core.hooks.beforeCall.tap('undeclared', (call) => call.accessKey)
      core.hooks.beforeCall.tap('undeclared', (call) => {
        // @ts-expect-error tenant is text
        call.tenant = 5
        // @ts-expect-error what core says of a call is not for plugins to change
        call.method = 'other'
      })
      // @ts-expect-error it owns no such key
      void core.config.DATABASE_URI
    },
  }
}

export async function wrongStart(): Promise<void> {
  const core = createCore({ config: { INTROSPECTION: false } })
  await core.start({ ping: () => 1 }, { introspection: false })
  // @ts-expect-error true or false
  await core.start({ ping: () => 1 }, { introspection: 'off' })
  // @ts-expect-error true or false
  createCore({ config: { INTROSPECTION: 'off' } })
}

export function wrongFigures(): Plugin<{ stats: { counter: { calls: number } } }> {
  // @ts-expect-error nobody in the list counts under this name
  void createCore({ plugins: [headers()] }).stats.plugins.database
  return {
    name: 'counter',
    apply(core) {
      // @ts-expect-error another name than it has declared
      core.addStats('other', () => ({ calls: 1 }))
      // @ts-expect-error another figure
      core.addStats('counter', () => ({ calls: 'one' }))
      // @ts-expect-error nobody waits for it
      core.addStats('counter', async () => ({ calls: 1 }))
    },
  }
}

export function undeclaredFigures(): Plugin {
  return {
    name: 'timing',
    apply(core) {
      // @ts-expect-error it has declared none
      core.addStats('timing', () => ({ calls: 1 }))
    },
  }
}
