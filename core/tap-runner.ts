import { describeThrown, ZaskError } from './errors.ts'
import type { HookKind, TapPlace, TraceListener } from './hook-contract.ts'
import { describeArgument, type TapFunction } from './hook-facade.ts'
import { isThenable } from './item-source.ts'

/** Hooks that run while a user waits for start, stop or a client: their unfinished taps are kept, to name one that hangs. */
const lifecycle: ReadonlySet<string> = new Set([
  'configLoaded',
  'resolveEndpoint',
  'started',
  'stopping',
  'stopped',
])

/** Hooks of a call, whose subject bears the name of the tap it waits for. */
const ofCalls: ReadonlySet<string> = new Set(['beforeCall', 'afterCall', 'sessionEnd'])

/** Hooks whose taps are handed something beside their subject. */
const takeTwo: ReadonlySet<string> = new Set(['afterCall', 'answerError'])

/** A call, as far as it tells which tap it waits for, or has waited for last. */
export interface Held {
  heldBy: TapPlace | undefined
}

/** One function on one hook, and what was measured of it. */
export class Tap implements TapPlace {
  readonly hook: string
  readonly kind: HookKind
  readonly plugin: string
  readonly fn: TapFunction
  /** It is handed what the run was given second. */
  readonly takesTwo: boolean
  calls = 0
  totalMs = 0

  constructor(hook: string, kind: HookKind, plugin: string, fn: TapFunction) {
    this.hook = hook
    this.kind = kind
    this.plugin = plugin
    this.fn = fn
    this.takesTwo = takeTwo.has(hook)
  }
}

/** What a tap stops the synchronous run with: it waits for something, or has the answer. */
export interface Stop {
  /** Resolves to what the tap answers; undefined: nothing. */
  readonly waiting?: Promise<unknown>
  readonly answer?: unknown
  readonly tap: Tap
}

interface Running {
  readonly tap: Tap
  readonly startedAt: number
}

/** Runs single taps of all hooks of a core: takes what they return or throw, traces them, and knows who has not ended. */
export class TapRunner {
  /** Who traces the runs. */
  listener: TraceListener | undefined
  readonly #onObserverError: (error: unknown, where: TapPlace) => void
  readonly #culprits = new WeakMap<object, TapPlace>()
  readonly #running = new Set<Running>()

  constructor(onObserverError: (error: unknown, where: TapPlace) => void) {
    this.#onObserverError = onObserverError
  }

  /** Whether runs of the hook are looked after even where nobody traces them. */
  static watches(hook: string): boolean {
    return lifecycle.has(hook)
  }

  /** An error for whoever has to know which tap threw it: the tap's own is its cause. Others stay as they are. */
  named(error: unknown): unknown {
    const culprit = this.culprit(error)
    if (culprit === undefined) return error
    return new ZaskError(
      'ZASK_HOOK_FAILED',
      `plugin ${culprit.plugin} failed in ${culprit.hook}: ${describeThrown(error).message}`,
      { cause: error, details: { ...culprit } },
    )
  }

  /** Which tap threw this error (the last one, if several did); undefined for what is no object or no tap's. */
  culprit(error: unknown): TapPlace | undefined {
    return isObject(error) ? this.#culprits.get(error) : undefined
  }

  /** Taps of the lifecycle hooks that began and have not finished; `sinceMs` is for how long, in milliseconds. */
  pending(): { hook: string; plugin: string; sinceMs: number }[] {
    const now = performance.now()
    return [...this.#running].map(({ tap: { hook, plugin }, startedAt }) => ({
      hook,
      plugin,
      sinceMs: now - startedAt,
    }))
  }

  /** Runs the tap; undefined: that is all, and the next one may run. Throws what a tap throws that is no observer's. */
  run(tap: Tap, subject: unknown, second: unknown): Stop | undefined {
    const watched = TapRunner.watches(tap.hook)
    const running = watched || this.listener !== undefined ? this.#begin(tap, watched) : undefined
    let answer: unknown
    try {
      const { fn } = tap
      answer = tap.takesTwo ? fn(subject, second) : fn(subject)
    } catch (thrown) {
      this.fail(tap, thrown, running)
      return undefined
    }
    return this.take(tap, answer, subject, running)
  }

  /** The same, of a tap that was run and has returned `answer`. */
  take(tap: Tap, answer: unknown, subject: unknown, running?: Running): Stop | undefined {
    const answers = tap.kind === 'first answer'
    try {
      // Reading `then` may throw, and a foreign thenable may settle twice: Promise.resolve tames the latter.
      if (isThenable(answer)) {
        if (ofCalls.has(tap.hook)) (subject as Held).heldBy = tap
        const waiting = Promise.resolve(answer).then(
          (value: unknown) => {
            if (running !== undefined) this.#finish(running)
            return answers ? value : undefined
          },
          (thrown: unknown) => this.fail(tap, thrown, running),
        )
        return { waiting, tap }
      }
    } catch (thrown) {
      this.fail(tap, thrown, running)
      return undefined
    }
    if (running !== undefined) this.#finish(running)
    return answers && answer !== undefined && answer !== null ? { answer, tap } : undefined
  }

  /** The same, of a tap that was run and has thrown: reports the error of an observer, throws that of any other tap. */
  fail(tap: Tap, thrown: unknown, running?: Running): void {
    // Callers tell by the error whether there is one, and `throw undefined` in a gate must not open it.
    // And start or stop could not say whose text or number it is.
    const isOpaque = !thrown || (TapRunner.watches(tap.hook) && !isObject(thrown))
    const error = isOpaque ? opaqueThrown(tap, thrown) : thrown
    if (isObject(error)) this.#culprits.set(error, { hook: tap.hook, plugin: tap.plugin })
    if (running !== undefined) this.#finish(running, { error })
    if (tap.kind !== 'observer') throw error
    this.#reportObserver(error, tap)
  }

  #begin(tap: Tap, watched: boolean): Running {
    const running = { tap, startedAt: performance.now() }
    if (watched) this.#running.add(running)
    return running
  }

  #finish(running: Running, failure?: { error: unknown }): void {
    this.#running.delete(running)
    const { listener } = this
    if (listener === undefined) return
    const { tap, startedAt } = running
    const { hook, plugin } = tap
    const durationMs = performance.now() - startedAt
    tap.calls++
    tap.totalMs += durationMs
    try {
      listener({ hook, plugin, durationMs, ...failure })
    } catch (error) {
      this.#reportObserver(error, { hook, plugin: 'trace' })
    }
  }

  #reportObserver(error: unknown, { hook, plugin }: TapPlace): void {
    try {
      this.#onObserverError(error, { hook, plugin })
    } catch {
      // An observer can change nothing, and neither can the log that failed to take its error.
    }
  }
}

function opaqueThrown({ hook, plugin }: TapPlace, thrown: unknown): ZaskError {
  return new ZaskError(
    'ZASK_HOOK_FAILED',
    `the ${hook} tap of ${plugin} threw ${describeArgument(thrown)}: throw an Error that says why`,
    { cause: thrown, details: { hook, plugin } },
  )
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
