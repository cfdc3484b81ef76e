import { ZaskError, describeThrown } from './errors.ts'
import type { HookKind, HookReport, TraceListener } from './hook-contract.ts'
import { byLikeness, nearMiss } from './near-miss.ts'

export type TapFunction = (subject: unknown, outcome?: unknown) => unknown

/** What the facade needs of a hook; `add` may rely on a sound name and function. */
export interface TappableHook {
  readonly hook: string
  readonly kind: HookKind
  /** In running order. `calls` is 0 where nothing was measured. */
  readonly taps: readonly { readonly plugin: string; readonly calls: number; readonly totalMs: number }[]
  add(plugin: string, fn: TapFunction): void
}

/** The same of a hook that plugins run themselves. */
export interface CustomTappableHook {
  readonly hook: string
  add(plugin: string, fn: TapFunction): void
  run(make: (plugin: string) => unknown): Promise<void>
}

/**
 * What users and plugins see as `core.hooks` (its type is `Hooks`): they can tap, inspect and trace, but not run
 * a hook of core. `hooks` may grow: by custom ones that were tapped.
 */
export function createFacade(
  hooks: readonly TappableHook[],
  custom: (name: string) => CustomTappableHook,
  setListener: (listener: TraceListener | undefined) => void,
): object {
  const names = hooks.map(({ hook }) => hook)
  const members: Record<string, unknown> = {
    custom(name: unknown): object {
      const hook = custom(checkCustomName(name, names))
      return Object.freeze({
        ...createTaps(hook, `custom(${JSON.stringify(hook.hook)})`),
        run: (argument: unknown): Promise<void> => hook.run(() => argument),
        runEach: (make: (plugin: string) => unknown): Promise<void> => hook.run(make),
      })
    },
    inspect: (): HookReport[] => hooks.map(report),
    trace(listener: TraceListener | undefined): void {
      if (listener !== undefined && typeof listener !== 'function') {
        const seen = describeArgument(listener)
        throw new ZaskError(
          'ZASK_HOOK_TAP',
          `hooks.trace wants a function, or undefined to stop; it got ${seen}`,
        )
      }
      setListener(listener)
    },
  }
  for (const hook of hooks) members[hook.hook] = Object.freeze(createTaps(hook, hook.hook))
  return new Proxy(Object.freeze(members), {
    get(target, key) {
      // `await` asks any object for `then`, and JSON for `toJSON`: that is nobody's mistake.
      const known = typeof key === 'symbol' || key in target || key === 'then' || key === 'toJSON'
      if (!known) throw unknownHook(key, names)
      return Reflect.get(target, key)
    },
  })
}

/** @param path How the hook is reached: `hooks.<path>`. */
function createTaps(hook: Pick<TappableHook, 'add'>, path: string): object {
  const add =
    (method: string) =>
    (options: unknown, fn: unknown): void => {
      const name = checkName(path, method, options)
      if (!isTapFunction(fn)) {
        const seen = describeArgument(fn)
        throw badTap(path, method, options, `the second argument must be a function, but is ${seen}`)
      }
      hook.add(name, fn)
    }
  return {
    tap: add('tap'),
    tapPromise: add('tapPromise'),
    tapAsync(options: unknown): never {
      const remedy =
        'callbacks are not waited for. Use tap or tapPromise with a function that returns a promise'
      throw badTap(path, 'tapAsync', options, remedy)
    },
  }
}

/** The name in either form tapable knows; its other options would make the running order differ from the list. */
function checkName(hook: string, method: string, options: unknown): string {
  let name = options
  if (typeof options === 'object' && options !== null) {
    const other = Object.keys(options).find((key) => key !== 'name')
    if (other !== undefined) {
      const remedy = 'Taps run in the order of the plugin list (observers in reverse): move the plugin there'
      throw badTap(hook, method, options, `the option "${other}" is refused. ${remedy}`)
    }
    name = 'name' in options ? options.name : undefined
  }
  if (typeof name === 'string' && name.trim() !== '') return name.trim()
  throw badTap(hook, method, options, `a tap needs a name: hooks.${hook}.${method}('my-plugin', fn)`)
}

function badTap(hook: string, method: string, options: unknown, why: string): ZaskError {
  const call = `hooks.${hook}.${method}(${describeArgument(options)}, …)`
  return new ZaskError('ZASK_HOOK_TAP', `${call}: ${why}`, { details: { hook } })
}

function checkCustomName(name: unknown, known: readonly string[]): string {
  const own = typeof name === 'string' ? name.trim() : ''
  if (own !== '' && !known.includes(own)) return own
  const remedy =
    own === ''
      ? 'a hook needs a name of its own'
      : `${own} is a hook of core: tap hooks.${own}, which core runs`
  throw new ZaskError('ZASK_HOOK_TAP', `hooks.custom(${describeArgument(name)}): ${remedy}`)
}

function unknownHook(name: string, hooks: readonly string[]): ZaskError {
  const meant = nearMiss(name, hooks)
  const question = meant === undefined ? '' : ` Did you mean ${meant}?`
  const list = byLikeness(name, hooks).join(', ')
  return new ZaskError('ZASK_HOOK_UNKNOWN', `there is no hook "${name}".${question} The hooks are: ${list}`)
}

function report({ hook, kind, taps }: TappableHook): HookReport {
  return {
    hook,
    kind,
    taps: taps.map(({ plugin, calls, totalMs }) =>
      calls === 0 ? { plugin } : { plugin, calls, meanMs: totalMs / calls },
    ),
  }
}

/** A value as an error message shows it: text in quotes, small values as they are, the rest by its kind. */
export function describeArgument(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return describeThrown(value).message
}

function isTapFunction(value: unknown): value is TapFunction {
  return typeof value === 'function'
}
