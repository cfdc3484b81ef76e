import { resolve } from 'node:path'
import { inspect, types } from 'node:util'
import { isUppercase, readConfigFile, uppercaseEntries } from './config-files.ts'
import type { ConfigKind, ConfigRule, Layer } from './config-values.ts'
import { expectation, frozen, overlaid, parsedText } from './config-values.ts'
import { ZaskError } from './errors.ts'
import type { LimitConfig } from './limits.ts'
import { nearMiss } from './near-miss.ts'
import { masked, shown } from './secrets.ts'

export type { ConfigKind, ConfigRule } from './config-values.ts'

/** The keys core owns. docs/limits.md has those of the limits. */
export interface CoreConfig extends LimitConfig {
  /** Everything is logged, readable, to stdout, and errors carry their traceback to the caller. Default: true. */
  DEBUG: boolean
  /** Whether services tell what methods and figures they have. Default: they do. */
  INTROSPECTION?: boolean
  /** Who this process is, as a server and as a client. Default: none; then nothing is encrypted. */
  CURVE_SECRET_KEY?: string | null
  /** Follows from the secret key; where it is set, it must belong to it. */
  CURVE_PUBLIC_KEY?: string | null
  /** Who may call servers here: public keys, `'any'`, or `'plaintext'` for no encryption. */
  CURVE_ALLOW?: readonly string[] | 'any' | 'plaintext' | null
}

/** One line of `config.explain()`. */
export interface ConfigExplanation {
  readonly key: string
  /** Secrets are masked: fit to be shown. */
  readonly value: unknown
  /** The file, variable or call the value is from; several, in the order they were laid over each other. */
  readonly origin: string
  /** Who brought the key's default: a plugin's name, or `core`. */
  readonly owner?: string
}

interface Entry {
  readonly value: unknown
  readonly origin: string
  checked: boolean
}

interface Check {
  /** A key, or the beginning of keys and `*`. */
  readonly pattern: string
  readonly oneOf: readonly (ConfigKind | ConfigRule)[]
}

/**
 * The config of one core: a dictionary of UPPERCASE keys, filled by loaders of which the later ones win, above the
 * defaults of core and plugins, which lie lowest whenever they come. Each key is also a property: `config.DEBUG`.
 *
 * What is loaded is copied and frozen, so that no two cores share a value. To change one at run time, `set` it.
 */
export class Config {
  /** Absolute: relative paths start here. */
  readonly root: string
  readonly #env: NodeJS.ProcessEnv
  readonly #layers = new Map<string, Layer[]>()
  readonly #defaults = new Map<string, { value: unknown; owner: string }>()
  /** What the layers of each key come to. */
  readonly #entries = new Map<string, Entry>()
  readonly #checks: Check[] = []
  /** How many files are being read. */
  #reading = 0
  #rank = 0

  /** @param options `root` defaults to the working directory, `env` to `process.env`. */
  constructor({ root = '', env = process.env }: { root?: string; env?: NodeJS.ProcessEnv } = {}) {
    this.root = resolve(root)
    this.#env = env
    this.setDefault('DEBUG', true, 'core')
    this.check('DEBUG', 'boolean')
    this.check('INTROSPECTION', 'boolean')
  }

  /**
   * Loads a `.ts`, `.js`, `.mjs`, `.json` or `.cfg` file; a relative path starts at `root`. All of it or nothing.
   *
   * @param options `silent` forgives that the file is not there, and nothing else.
   * @returns Whether it was there.
   * @throws ZaskError `ZASK_CONFIG_FILE_MISSING`, `ZASK_CONFIG_FILE_INVALID`.
   */
  fromFile(path: string, { silent = false }: { silent?: boolean } = {}): Promise<boolean> {
    return this.#read(path, silent, this.#rank++)
  }

  /**
   * Loads the file that an environment variable names; an empty variable names none.
   *
   * @param options `silent` forgives that the variable is not set, or that its file is not there.
   * @throws ZaskError `ZASK_CONFIG_ENV_MISSING`, and what `fromFile` throws.
   */
  async fromEnvVar(name: string, { silent = false }: { silent?: boolean } = {}): Promise<boolean> {
    const path = this.#env[name]
    if (path) return this.fromFile(path, { silent })
    if (silent) return false
    const advice = `Set ${name} to the path of a config file, or pass { silent: true } where it may be unset.`
    throw new ZaskError('ZASK_CONFIG_ENV_MISSING', `Environment variable ${name} is not set. ${advice}`, {
      details: { name },
    })
  }

  /**
   * Loads the UPPERCASE keys of an object, a class or a module (`import * as settings`); others are passed over, and
   * so are undefined values.
   *
   * @param origin What `explain()` and error messages call it.
   */
  fromObject(values: object, origin = 'fromObject()'): void {
    if (
      (typeof values !== 'object' && typeof values !== 'function') ||
      values === null ||
      types.isPromise(values)
    ) {
      const advice = types.isPromise(values) ? 'Await it first.' : 'Give an object with UPPERCASE keys.'
      throw new ZaskError('ZASK_OPTION_INVALID', `fromObject() was given ${shown(values)}. ${advice}`)
    }
    this.#lay(uppercaseEntries(values), origin, this.#rank++)
  }

  /**
   * Loads the environment variables that begin with the prefix: `ZASK_A=5` sets `A` to 5, `ZASK_A__B=x` sets `A.B`
   * and leaves the rest of `A`. A value that is JSON is taken as such, any other as text, and so is an integer that
   * a number cannot hold.
   *
   * @throws ZaskError `ZASK_CONFIG_VALUE_INVALID` for `ZASK_A__B` where `A` is set and no object.
   */
  fromPrefixedEnv(prefix = 'ZASK_'): void {
    const rank = this.#rank++
    // Sorted, ZASK_A comes before ZASK_A__B, which goes into it.
    for (const name of Object.keys(this.#env).toSorted()) {
      const text = this.#env[name]
      const [key = '', ...path] = name.slice(prefix.length).split('__')
      if (!name.startsWith(prefix) || text === undefined || !isUppercase(key)) continue
      const origin = `environment variable ${name}`
      if (path.includes('')) {
        const message = `${origin} has nothing before, between or after "__". Write ${prefix}KEY__PART.`
        throw new ZaskError('ZASK_CONFIG_VALUE_INVALID', message, { details: { key, origin } })
      }
      this.#add(key, { path, value: frozen(parsedText(text)), origin, rank })
    }
  }

  /** The value as it was loaded; undefined where nobody set it. @throws ZaskError `ZASK_CONFIG_VALUE_INVALID` */
  get(key: string): unknown {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (!entry.checked) {
      const problem = this.#problem(key, entry)
      if (problem !== undefined) throw invalid([problem], [key])
      entry.checked = true
    }
    return entry.value
  }

  has(key: string): boolean {
    return this.#entries.get(key)?.value !== undefined
  }

  /** Whether somebody has brought a default for the key, or has said how its values must look. */
  isKnown(key: string): boolean {
    return this.#defaults.has(key) || this.#checks.some(({ pattern }) => isOf(pattern, key))
  }

  /** The keys that `isKnown` knows by their whole names. */
  knownKeys(): string[] {
    const checked = this.#checks.map(({ pattern }) => pattern).filter((pattern) => !pattern.endsWith('*'))
    return [...new Set([...this.#defaults.keys(), ...checked])]
  }

  /** All keys that have a value, sorted. */
  keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.has(key)).toSorted()
  }

  /** Sets a key above all that was loaded so far; undefined takes back what was set, down to the default. */
  set(key: string, value: unknown, origin = 'set()'): void {
    if (!isUppercase(key)) throw notUppercase('ZASK_OPTION_INVALID', key, 'set()')
    if (value !== undefined) return this.#lay(new Map([[key, value]]), origin, this.#rank++)
    this.#layers.delete(key)
    this.#commit(key, [])
  }

  /**
   * The value a key has while nobody sets it; undefined claims the key and gives it none.
   *
   * @param owner `core` or the plugin's name; it may bring the default again.
   * @throws ZaskError `ZASK_PLUGIN_CONFIG_KEY` where another owns the key, or it is not UPPERCASE.
   */
  setDefault(key: string, value: unknown, owner: string): void {
    if (!isUppercase(key)) throw notUppercase('ZASK_PLUGIN_CONFIG_KEY', key, owner)
    const other = this.#defaults.get(key)?.owner ?? owner
    if (other !== owner) {
      const advice = 'Remove one of the two, or rename the key in one of them.'
      const message = `Config key ${key} has two owners, ${other} and ${owner}. ${advice}`
      throw new ZaskError('ZASK_PLUGIN_CONFIG_KEY', message, { details: { key, owners: [other, owner] } })
    }
    this.#defaults.set(key, { value: frozen(value), owner })
    this.#commit(key, this.#layers.get(key) ?? [])
  }

  /**
   * The keys that begin with a prefix, as an object of options: `DATABASE_POOL_SIZE` is `pool_size` in
   * `namespace('DATABASE_')`.
   *
   * @param options `lowercase` the keys (default true), `trim` the prefix off (default true).
   */
  namespace(
    prefix: string,
    { lowercase = true, trim = true }: { lowercase?: boolean; trim?: boolean } = {},
  ): Record<string, unknown> {
    const named = (key: string): string => {
      const name = trim ? key.slice(prefix.length) : key
      return lowercase ? name.toLowerCase() : name
    }
    const keys = this.keys().filter((key) => key.startsWith(prefix))
    return Object.fromEntries(keys.map((key) => [named(key), this.get(key)]))
  }

  /** Every key with its value and where that came from, sorted by key, secrets masked. Never throws. */
  explain(): ConfigExplanation[] {
    return [...this.#entries]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { value, origin }]) => {
        const owner = this.#defaults.get(key)?.owner
        return { key, value: masked(value, key), origin, ...(owner !== undefined && { owner }) }
      })
  }

  /**
   * Declares how the values of a key must look, of one of the kinds given: `check('POOL', 'integer', 'null')`. A
   * trailing `*` means all keys that begin so. Several checks of one key must all hold; a key without value passes.
   */
  check(key: string, ...oneOf: [ConfigKind | ConfigRule, ...(ConfigKind | ConfigRule)[]]): void {
    this.#checks.push({ pattern: key, oneOf })
    for (const entry of this.#entries.values()) entry.checked = false
  }

  /**
   * Holds all values against the checks, as reading each of them does.
   *
   * @throws ZaskError `ZASK_CONFIG_VALUE_INVALID` naming all that are wrong, each with its value and origin;
   *   `ZASK_CONFIG_PENDING` while a file is still being read.
   */
  validate(): void {
    if (this.#reading > 0) {
      const message =
        'A config file is still being read. Write "await" before config.fromFile() or fromEnvVar().'
      throw new ZaskError('ZASK_CONFIG_PENDING', message)
    }
    const problems = this.keys().flatMap((key) => {
      const entry = this.#entries.get(key)
      const problem = entry && this.#problem(key, entry)
      return problem === undefined ? [] : [{ key, problem }]
    })
    if (problems.length === 0) return
    throw invalid(
      problems.map(({ problem }) => problem),
      problems.map(({ key }) => key),
    )
  }

  async #read(path: string, silent: boolean, rank: number): Promise<boolean> {
    if (typeof path !== 'string' || path === '') {
      const message = `fromFile() was given ${shown(path)}. Give the path of a config file.`
      throw new ZaskError('ZASK_OPTION_INVALID', message)
    }
    const file = resolve(this.root, path)
    this.#reading++
    try {
      const values = await readConfigFile(file, { silent, env: this.#env })
      if (values !== undefined) this.#lay(values, file, rank)
      return values !== undefined
    } finally {
      this.#reading--
    }
  }

  #lay(values: Map<string, unknown>, origin: string, rank: number): void {
    for (const [key, value] of values) this.#add(key, { path: [], value: frozen(value), origin, rank })
  }

  #add(key: string, layer: Layer): void {
    const layers = [...(this.#layers.get(key) ?? []), layer].toSorted((a, b) => a.rank - b.rank)
    // Whatever lies below a whole value is hidden for good.
    const lowest = layers.findLastIndex(({ path }) => path.length === 0)
    const seen = layers.slice(Math.max(0, lowest))
    this.#commit(key, seen)
    this.#layers.set(key, seen)
  }

  /** Works out what a key comes to; throws before it changes anything. */
  #commit(key: string, layers: readonly Layer[]): void {
    const fallback = this.#defaults.get(key)
    let value = fallback?.value
    let origins = fallback ? [`default of ${fallback.owner}`] : []
    for (const layer of layers) {
      const place = origins.join(', ')
      value = overlaid(value, layer, (path) => `${[key, ...path].join('.')} (from ${place})`)
      origins = layer.path.length === 0 ? [layer.origin] : [...origins, layer.origin]
    }
    if (fallback === undefined && layers.length === 0) this.#entries.delete(key)
    else this.#entries.set(key, { value, origin: origins.join(', '), checked: false })
    this.#expose(key)
  }

  /** Not enumerable, so that a logger given the config, or JSON.stringify, does not write its secrets down. */
  #expose(key: string): void {
    if (Object.hasOwn(this, key)) return
    const get = (): unknown => this.get(key)
    const set = (): never => refuseAssignment(key)
    Object.defineProperty(this, key, { get, set, enumerable: false, configurable: true })
  }

  #problem(key: string, { value, origin }: Entry): string | undefined {
    if (value === undefined) return undefined
    for (const { pattern, oneOf } of this.#checks) {
      if (!isOf(pattern, key)) continue
      const expected = expectation(value, key, oneOf)
      if (expected === undefined) continue
      return `Config key ${key} must be ${expected}, but is ${shown(value, key)} (from ${origin}).`
    }
    return undefined
  }
}

// Beneath the class: an assignment to a key not known yet would make a property that the store knows nothing of.
Object.setPrototypeOf(Config.prototype, new Proxy({}, { set: (_, key) => refuseAssignment(String(key)) }))

// What console.log(config) prints: the values, secrets masked.
Object.defineProperty(Config.prototype, inspect.custom, {
  value(this: Config): Record<string, unknown> {
    return Object.fromEntries(this.explain().map(({ key, value }) => [key, value]))
  },
})

/** What `defineConfig` takes: UPPERCASE keys only, those of core with their types. */
export type ConfigValues<T> = {
  readonly [K in keyof T]: K extends keyof CoreConfig
    ? CoreConfig[K]
    : K extends Uppercase<K & string>
      ? unknown
      : never
}

/**
 * Types a config module: `export default defineConfig({ DEBUG: false })`. A lowercase key, which would not count, is
 * a compile error, and so is a wrong value for a key of core; name a type to have those of plugins checked too:
 * `defineConfig<Settings>({ ... })`. Returns what it is given.
 */
export function defineConfig<T extends ConfigValues<T>>(values: T): T {
  return values
}

function isOf(pattern: string, key: string): boolean {
  return pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern
}

/** Values known in the code have keys known in the code: one that nobody would read is refused. `ZASK_OPTION_INVALID` */
export function checkConfigKeys(config: Config, values: object): void {
  for (const key of Object.keys(values)) {
    if (!isUppercase(key)) throw notUppercase('ZASK_OPTION_INVALID', key, 'createCore')
    if (config.isKnown(key)) continue
    const meant = nearMiss(key, config.knownKeys())
    const advice =
      meant === undefined ? 'List the plugin that owns it, or leave it out.' : `Did you mean ${meant}?`
    const message = `createCore was given the config key ${key}, which nobody owns. ${advice}`
    throw new ZaskError('ZASK_OPTION_INVALID', message, { details: { key } })
  }
}

function refuseAssignment(key: string): never {
  const message = `The config cannot be assigned to, as was tried with ${key}. Write config.set('${key}', value).`
  throw new ZaskError('ZASK_OPTION_INVALID', message)
}

function notUppercase(
  code: 'ZASK_OPTION_INVALID' | 'ZASK_PLUGIN_CONFIG_KEY',
  key: string,
  by: string,
): ZaskError {
  return new ZaskError(code, `Config key ${key} of ${by} is not UPPERCASE. Write ${key.toUpperCase()}.`)
}

function invalid(problems: readonly string[], keys: readonly string[]): ZaskError {
  const advice = 'Correct the value where it is from.'
  return new ZaskError('ZASK_CONFIG_VALUE_INVALID', `${problems.join('\n')} ${advice}`, { details: { keys } })
}
