import type { Call } from './call.ts'
import type { Config, CoreConfig } from './config.ts'
import { describeThrown, ZaskError } from './errors.ts'
import type { Hooks } from './hook-contract.ts'
import type { Logger } from './logger.ts'
import { nearMiss } from './near-miss.ts'
import type { StatsReport } from './stats.ts'
import type { SeenEvent } from './wire/counters.ts'

/**
 * What a plugin declares about itself: the properties it `adds` to every call, those it `needs` earlier plugins to
 * have added, the config keys it owns, and what it counts: an object of numbers under its name.
 */
export interface PluginShape {
  adds?: object
  needs?: object
  config?: object
  stats?: object
}

/** Carries `S` in the type of a plugin, so that it need not be guessed from `apply`; no value ever has it. */
declare const shape: unique symbol

/**
 * A plugin: what a factory function with a written return type returns. The object may carry a public face of its
 * own beside these properties.
 *
 * ```ts
 * export function tenant(): Plugin<{ adds: { tenant: string }; config: { TENANT_HEADER: string } }> {
 *   return {
 *     name: 'tenant',
 *     defaults: { TENANT_HEADER: 'tenant' },
 *     apply(core) {
 *       core.hooks.beforeCall.tap('tenant', (call) => {
 *         call.tenant = String(call.headers[core.config.TENANT_HEADER])
 *       })
 *     },
 *   }
 * }
 * ```
 */
export interface Plugin<S extends PluginShape = {}> {
  /** Mandatory, unique in a list; also the name of its taps and the log component. */
  readonly name: string
  /** Names of plugins that must stand earlier in the list. Default: none. */
  readonly requires?: readonly string[]
  /** Default values of config keys it owns. A key without one is undefined until somebody sets it. */
  readonly defaults?: Partial<ConfigOfShape<S>>
  /** Called once, in list order, before any config is read: taps hooks. No I/O, and nothing to wait for. */
  apply(core: PluginCore<S>): void
  readonly [shape]?: S
}

/** The core as a plugin sees it. */
export interface PluginCore<S extends PluginShape = {}> {
  readonly hooks: Hooks<CallOfShape<S>, ConfigView<ConfigOfShape<S>>, PluginCore<S>>
  /** Read it when it is needed, in taps; in `apply` it holds nothing but defaults. */
  readonly config: ConfigView<ConfigOfShape<S>>
  /** Absolute: the folder that relative paths in config start from. */
  readonly root: string
  readonly log: Logger
  /** Replaces `log` for the core, its plugins and the calls to come. */
  setLogger(log: Logger): void
  /** Sends each event of the wire to `listener` until it is replaced or undefined. Nobody pays while there is none. */
  traceEvents(listener: ((seen: SeenEvent) => void) | undefined): void
  /** The current call; outside of one, an error `ZASK_NO_CALL`. */
  readonly call: CallOfShape<S>
  readonly currentCall: CallOfShape<S> | undefined
  /** Counters since the core was made; a new report at each reading. */
  readonly stats: StatsReport
  /**
   * Adds to `core.stats.plugins` what a plugin counts, under the plugin's name. `report` is called at each reading and
   * makes an object of numbers, at once; where it throws, the log names the plugin, and the rest is reported.
   *
   * Throws `ZASK_PLUGIN_INVALID` for a name that has a report.
   */
  addStats<K extends keyof Part<S, 'stats'> & string>(name: K, report: () => Part<S, 'stats'>[K]): void
}

/** The store, with the keys of the core and of `K` readable as properties. */
export type ConfigView<K> = Config & Readonly<CoreConfig & K>

type Part<S, Key extends keyof PluginShape> = S extends { readonly [k in Key]: infer T extends object }
  ? T
  : {}
type ConfigOfShape<S> = Part<S, 'config'>
type CallOfShape<S> = Call & Part<S, 'adds'> & Part<S, 'needs'>

type ShapeOf<P> = P extends { readonly [shape]?: infer S } ? S : {}

/** One part of the shapes of a list, joined. Of a list whose length the compiler does not know, nothing is known. */
type Joined<P, Key extends keyof PluginShape> = P extends readonly [infer First, ...infer Rest]
  ? Part<ShapeOf<First>, Key> & Joined<Rest, Key>
  : {}

/** What a list of plugins adds to every call. */
export type AddsOf<P> = Joined<P, 'adds'>
/** What the plugins of a list rely on, whether or not the list has it. */
export type NeedsOf<P> = Joined<P, 'needs'>
/** The config keys the plugins of a list own. */
export type ConfigOf<P> = Joined<P, 'config'>

/** What the plugins of a list count, by their names. */
export type StatsOf<P> = Joined<P, 'stats'>

/** A call in a core made from the list `P`. */
export type CallOf<P> = Call & AddsOf<P>

/** `config` of a core made from the list `P`. */
export type ConfigViewOf<P> = ConfigView<ConfigOf<P>>

/**
 * The list itself where each plugin finds what it needs; where one does not, a sentence that says so stands in its
 * place, for the compiler to print.
 */
export type CheckPlugins<P extends readonly unknown[], Added = {}, Whole = AddsOf<P>> = P extends readonly [
  infer First,
  ...infer Rest,
]
  ? readonly [
      Checked<First, Added, Whole>,
      ...CheckPlugins<Rest, Added & Part<ShapeOf<First>, 'adds'>, Whole>,
    ]
  : P

type Checked<P, Added, Whole, Needed = Part<ShapeOf<P>, 'needs'>> = P extends Uncalled
  ? 'a plugin is what its factory returns: call it'
  : Added extends Needed
    ? P
    : Complaint<Exclude<keyof Needed, keyof Added> & string, Whole, keyof Needed & string>

/** By its `name` and its `apply` any function would pass for a plugin. */
type Uncalled = ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown)

type Complaint<Missing extends string, Whole, Needed extends string> = [Missing] extends [never]
  ? `an earlier plugin adds with another type: ${Needed}`
  : [Missing] extends [keyof Whole]
    ? `an earlier plugin must add: ${Missing} (a later one does: put that one first)`
    : `an earlier plugin must add: ${Missing}`

/**
 * Options of `createCore`. `P` must have no default of its own there: a plugin written inline takes the type of
 * `core` from the bound of `P`, and would take it from the default.
 */
export interface CreateCoreOptions<P extends readonly Plugin[] = readonly Plugin[]> {
  /** The folder that relative paths in config start from. Default: the working directory. */
  root?: string
  /** The application: gates run in this order, observers in reverse. Default: none, which is bare zerorpc. */
  plugins?: CheckPlugins<P> & P
  /** Values known in the code. Only keys that the core or a listed plugin owns. */
  config?: Partial<CoreConfig & ConfigOf<P>>
}

const rightShape =
  "A plugin is { name: 'my-plugin', apply(core) { core.hooks.beforeCall.tap('my-plugin', (call) => {}) } }"

/**
 * The checks of `CheckPlugins` for those who have no compiler, and those only names can tell: shape, duplicate
 * names, `requires`. Errors: `ZASK_PLUGIN_INVALID`, `ZASK_PLUGIN_DUPLICATE`, `ZASK_PLUGIN_REQUIRES`.
 */
export function checkPlugins(plugins: readonly Plugin[]): void {
  if (!Array.isArray(plugins)) {
    throw new ZaskError(
      'ZASK_PLUGIN_INVALID',
      'plugins must be a list: createCore({ plugins: [endpoints()] })',
    )
  }
  const places = new Map<string, number>()
  for (const [place, plugin] of plugins.entries()) {
    checkShape(plugin, `plugins[${place}]`)
    const twin = places.get(plugin.name)
    if (twin !== undefined) {
      const where = `plugins[${twin}] and plugins[${place}]`
      throw new ZaskError(
        'ZASK_PLUGIN_DUPLICATE',
        `two plugins are called "${plugin.name}": ${where}. Remove one of them`,
        { details: { plugin: plugin.name } },
      )
    }
    places.set(plugin.name, place)
  }
  for (const [place, plugin] of plugins.entries()) {
    for (const required of plugin.requires ?? []) checkRequired(plugin, place, required, plugins, places)
  }
}

function checkRequired(
  plugin: Plugin,
  place: number,
  required: string,
  plugins: readonly Plugin[],
  places: ReadonlyMap<string, number>,
): void {
  const found = places.get(required)
  if (found !== undefined && found < place) return
  const [dependent, wanted] = [factoryCall(plugin.name), factoryCall(required)]
  const refuse = (seen: string, remedy: string): never => {
    throw new ZaskError(
      'ZASK_PLUGIN_REQUIRES',
      `the plugin "${plugin.name}" requires "${required}", which ${seen}: ${remedy}`,
      { details: { plugin: plugin.name, requires: required } },
    )
  }
  if (found === undefined) {
    const meant = nearMiss(required, places.keys())
    const question = meant === undefined ? '' : ` Did ${plugin.name} mean "${meant}"?`
    refuse('is not in the list', `add ${wanted} to the list before ${dependent}.${question}`)
  } else if (found === place) {
    refuse('is itself', 'take the name out of its requires')
  } else if (plugins[found]?.requires?.includes(plugin.name)) {
    refuse('requires it in turn', 'no order satisfies both. Take one of the two requires out')
  } else {
    refuse('stands later', `put ${wanted} before ${dependent} in the list`)
  }
}

function checkShape(plugin: unknown, place: string): void {
  const refuse = (why: string): never => {
    throw new ZaskError('ZASK_PLUGIN_INVALID', `${place} ${why}. ${rightShape}`)
  }
  if (typeof plugin === 'function') refuse(describeFunction(plugin))
  if (Array.isArray(plugin)) refuse('is a list: spread it, ...defaults()')
  if (typeof plugin !== 'object' || plugin === null) {
    const seen = describeThrown(plugin).message
    const remedy =
      typeof plugin === 'boolean'
        ? 'a plugin for some cases only is ...(condition ? [plugin()] : [])'
        : 'check the name it is imported by, and that its factory returns it'
    return refuse(`is ${seen}: ${remedy}`)
  }
  const { name, apply, requires, defaults, then } = plugin as Readonly<Record<string, unknown>>
  if (typeof then === 'function') refuse('is a promise: await it, and put what it resolves to in the list')
  if (Object.prototype.toString.call(plugin) === '[object Module]') {
    refuse('is a whole module: import its factory by name, and call it')
  }
  if (typeof name !== 'string' || name.trim() === '') refuse('has no name')
  if (typeof apply !== 'function') {
    const other = ['setup', 'install', 'register'].find((key) => key in plugin)
    const remedy = other === undefined ? '' : `: rename its ${other}`
    return refuse(`("${String(name)}") has no function apply${remedy}`)
  }
  if (Object.prototype.toString.call(apply) === '[object AsyncFunction]') {
    refuse(
      `("${String(name)}") has an async apply: nobody waits for it. Do the waiting in a tap of configLoaded`,
    )
  }
  if (
    requires !== undefined &&
    !(Array.isArray(requires) && requires.every((one) => typeof one === 'string'))
  ) {
    refuse(`("${String(name)}") has requires that are no list of names`)
  }
  if (
    defaults !== undefined &&
    (typeof defaults !== 'object' || defaults === null || Array.isArray(defaults))
  ) {
    refuse(`("${String(name)}") has defaults that are no object of config keys`)
  }
}

function describeFunction(value: Function): string {
  const isClass =
    /^class\b/.test(Function.prototype.toString.call(value)) || 'apply' in Object(value.prototype)
  if (isClass) return `is the class ${value.name}: make one, new ${value.name}()`
  return value.name === ''
    ? 'is a function: call it'
    : `is the function ${value.name}: call it, ${value.name}()`
}

/** How the list most likely spells a plugin: factories bear the name of their plugin in camel case. */
function factoryCall(name: string): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) return `"${name}"`
  return `${name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())}()`
}
