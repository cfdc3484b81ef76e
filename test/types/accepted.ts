// Accepted setups with what is inferred from them. Checked by the compiler, never run.
import { type Call, type Config, type Core, type CoreConfig, createCore } from '../../core/index.ts'
import type { Outcome, Plugin, PluginCore, StatsReport } from '../../core/index.ts'
import { type Equal, same } from './equal.ts'
import { audit, database, headers, requestChain, type ServiceEntry, timing } from './listed-plugins.ts'

export async function withoutPlugins(): Promise<void> {
  const bare = createCore()
  createCore({})
  createCore({ root: '/srv', config: { DEBUG: false } })
  same<Equal<keyof typeof bare.call, keyof Call>>()
  same<Equal<typeof bare.config.DEBUG, boolean>>()
  const core: Core = bare
  core.hooks.beforeCall.tap('a', (call) => same<Equal<typeof call.method, string>>())
}

export async function withPlugins(): Promise<void> {
  const db = database()
  const core = createCore({
    plugins: [headers(), requestChain(), timing(), db, audit()],
    config: {
      DEBUG: true,
      DATABASE_URI: 'sqlite://',
      ZERORPC_USERS: { access_key: 'k' },
      ZERORPC_OTHERS: { default: '1.0' },
    },
  })
  same<Equal<typeof core.call.accessKey, string | undefined>>()
  same<Equal<typeof core.call.requestId, string>>()
  same<Equal<NonNullable<typeof core.currentCall>['requestId'], string>>()
  same<Equal<typeof core.config.DATABASE_URI, string>>()
  same<Equal<typeof core.config.DATABASE_POOL_SIZE, number>>()
  same<Equal<typeof core.config.ZERORPC_USERS, ServiceEntry | undefined>>()
  same<Equal<ReturnType<typeof db.em.find>, Promise<string>>>()
  same<Equal<typeof core.stats.plugins, Readonly<{ database?: { queries: number } }>>>()
  same<Equal<keyof typeof core.stats.plugins, 'database'>>()

  core.hooks.beforeCall.tap('a', (call) => void same<Equal<typeof call.requestId, string>>())
  core.hooks.beforeCall.tap('a', async (call) => void same<Equal<typeof call.requestId, string>>())
  core.hooks.beforeCall.tapPromise({ name: 'a' }, (call) => Promise.resolve(call.accessKey))
  // What a tap of a gate or an observer returns means nothing: arrow functions need no braces.
  core.hooks.sessionEnd.tap('a', (call) => new Map<string, Call>().delete(call.id))
  core.hooks.afterCall.tap('a', (call, outcome) => {
    same<Equal<typeof call.requestId, string>>()
    same<Equal<typeof outcome, Outcome>>()
  })
  core.hooks.configLoaded.tap('a', (config) => void same<Equal<typeof config.DATABASE_URI, string>>())
  core.hooks.started.tap('a', (started) => void same<Equal<typeof started, typeof core>>())
  core.hooks.resolveEndpoint.tap('a', (query) => {
    same<Equal<typeof query.role, 'server' | 'client'>>()
    if (query.service === 'users') return { version: '1.0', endpoints: ['tcp://127.0.0.1:1'] }
    return undefined
  })
  core.hooks.resolveEndpoint.tap('a', () => {})
  core.hooks.resolveEndpoint.tap('a', async () => null)
  const greetings = core.hooks.custom<string[]>('greetings')
  greetings.tap('a', (list) => void same<Equal<typeof list, string[]>>())
  greetings.tapPromise('a', async (list) => list.push('hello'))
  same<Equal<ReturnType<typeof greetings.run>, Promise<void>>>()
  void greetings.runEach((plugin) => [plugin])
  core.hooks.trace((run) => void same<Equal<typeof run.durationMs, number>>())
  core.hooks.trace(undefined)
}

/** Part of a list may come from elsewhere, and a plugin may be left out: what is then known is what is certain. */
export async function composedLists(condition: boolean, unknownPlugins: Plugin[]): Promise<void> {
  const standard = [headers(), requestChain()] as const
  const extended = createCore({ plugins: [...standard, audit(), database()], config: { DATABASE_URI: '' } })
  same<Equal<typeof extended.call.requestId, string>>()

  createCore({ plugins: [timing(), ...(condition ? [timing()] : [])] })
  const open = createCore({ plugins: unknownPlugins })
  same<Equal<keyof typeof open.call, keyof Call>>()
}

/** An inline plugin sees a typed core, and does not hide what its neighbours add. */
export async function inlinePlugins(): Promise<void> {
  const core = createCore({
    plugins: [
      headers(),
      {
        name: 'inline',
        apply(inner) {
          same<Equal<typeof inner, PluginCore>>()
          inner.hooks.beforeCall.tap('inline', (call) => void same<Equal<typeof call.id, string>>())
        },
      },
    ],
  })
  same<Equal<typeof core.call.accessKey, string | undefined>>()
}

/** A core with plugins serves wherever any core does. */
export const anyCore: Core = createCore({ plugins: [headers(), database()] })

/** Whoever looks at the figures of any core finds those of plugins by their names. */
export function shown({ plugins }: StatsReport): object | undefined {
  return plugins['database']
}
shown(createCore({ plugins: [database()] }).stats)

/** Counts under its name. */
export function counter(): Plugin<{ stats: { counter: { calls: number } } }> {
  return {
    name: 'counter',
    apply(core) {
      core.addStats('counter', () => ({ calls: 1 }))
      same<Equal<Parameters<typeof core.addStats>[0], 'counter'>>()
    },
  }
}

/** The example of the doc comment of `Plugin`, and what the core gives a plugin. */
export function tenant(): Plugin<{
  adds: { tenant: string }
  needs: { requestId: string }
  config: { TENANT_HEADER: string; TENANT_LIMIT: number | undefined }
}> {
  return {
    name: 'tenant',
    requires: ['request-chain'],
    defaults: { TENANT_HEADER: 'tenant' },
    apply(core) {
      core.hooks.beforeCall.tap('tenant', (call) => {
        same<Equal<typeof call.requestId, string>>()
        call.tenant = String(call.headers[core.config.TENANT_HEADER])
      })
      core.hooks.stopped.tap('tenant', (stopped) => void same<Equal<typeof stopped, typeof core>>())
      same<Equal<typeof core.call.tenant, string>>()
      same<Equal<typeof core.config.TENANT_LIMIT, number | undefined>>()
      same<Equal<typeof core.config.DEBUG, CoreConfig['DEBUG']>>()
      const config: Config = core.config
      config.get('ANYTHING')
      core.log.child({ component: 'tenant' }).info({ a: 1 }, 'text %s', 'b')
    },
  }
}
