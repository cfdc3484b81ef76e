import { SyncBailHook } from 'tapable'
import type { Call, Outcome } from './call.ts'
import { CustomLine } from './custom-hook.ts'
import { describeThrown, ZaskError } from './errors.ts'
import type {
  EndpointQuery,
  HookKind,
  HookName,
  Hooks,
  ResolvedEndpoint,
  TapPlace,
  TraceListener,
} from './hook-contract.ts'
import { createFacade, describeArgument, type TapFunction, type TappableHook } from './hook-facade.ts'

/** Runs synchronously while no tap awaits: then undefined (or a throw), else a promise. The error is the tap's own. */
export interface Gate<A extends unknown[]> {
  /** False while there are no taps; `run` then does nothing. */
  readonly used: boolean
  run(...args: A): Promise<void> | undefined
}

/** As a gate, but never throws nor rejects. */
export interface Observer<A extends unknown[]> {
  readonly used: boolean
  run(...args: A): Promise<void> | undefined
}

/** Resolves to the first answer of a tap, undefined where none had one; rejects with a tap's own error. */
export interface FirstAnswer<A, R> {
  readonly used: boolean
  run(arg: A): Promise<R | undefined>
}

/** Returns the first answer of a tap at once, undefined where none had one; throws a tap's own error. */
export interface PromptAnswer<A extends unknown[]> {
  readonly used: boolean
  run(...args: A): unknown
}

const kinds: Readonly<Record<HookName, HookKind>> = {
  configLoaded: 'gate',
  resolveEndpoint: 'first answer',
  beforeCall: 'gate',
  answerError: 'first answer',
  afterCall: 'observer',
  sessionEnd: 'observer',
  started: 'observer',
  stopping: 'observer',
  stopped: 'observer',
}

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

/** A call, as far as it tells which tap it waits for, or has waited for last. */
export interface Held {
  heldBy: TapPlace | undefined
}

/** What a lifted tap stops the synchronous run with: it waits for something, or has the answer. */
interface Stop {
  /** Resolves to what the tap answers; undefined: nothing. */
  readonly waiting?: Promise<unknown>
  readonly answer?: unknown
  readonly tap: LiftedTap
}

type LiftedTap = (subject: unknown, outcome: unknown) => Stop | undefined

/** A tap, and what was measured of it. */
interface TapRecord extends TapPlace {
  readonly kind: HookKind
  calls: number
  totalMs: number
}

interface TapRunning {
  readonly record: TapRecord
  readonly startedAt: number
}

/**
 * All hooks of one core: `facade` for plugins to tap, the rest for the core to run.
 *
 * Bare tapable does not wait for an async function given to `tap`, and one throwing tap stops the others. Here
 * each tap enters tapable wrapped, in a hook that stops at the first tap that returns something: the wrapper returns
 * something only where there is something to wait for, and the rest of the run goes on after that. So a run of taps
 * that wait for nothing is synchronous from end to end and makes neither promise nor closure; an observer's wrapper
 * keeps errors to itself.
 */
export class HookSet<C = Call, Cfg = unknown, K = unknown> {
  readonly #onObserverError: (error: unknown, where: TapPlace) => void
  readonly #culprits = new WeakMap<object, TapPlace>()
  readonly #running = new Set<TapRunning>()
  #listener: TraceListener | undefined

  readonly configLoaded: Gate<[config: Cfg]>
  readonly resolveEndpoint: FirstAnswer<EndpointQuery, ResolvedEndpoint>
  readonly beforeCall: Gate<[call: C]>
  readonly answerError: PromptAnswer<[call: C, thrown: unknown]>
  readonly afterCall: Observer<[call: C, outcome: Outcome]>
  readonly sessionEnd: Observer<[call: C]>
  readonly started: Observer<[core: K]>
  readonly stopping: Observer<[core: K]>
  readonly stopped: Observer<[core: K]>
  /** `core.hooks`. */
  readonly facade: Hooks<C, Cfg, K>

  constructor(options: { onObserverError(error: unknown, where: TapPlace): void }) {
    this.#onObserverError = (error, where) => options.onObserverError(error, where)
    const lines: Line[] = []
    const make = (hook: string, kind: HookKind): Line =>
      new Line(hook, kind, (record, fn) => this.#lift(record, fn))
    const line = (hook: HookName): Line => {
      const made = make(hook, kinds[hook])
      lines.push(made)
      return made
    }
    this.configLoaded = line('configLoaded')
    this.resolveEndpoint = new Answers<ResolvedEndpoint>(line('resolveEndpoint'))
    this.beforeCall = line('beforeCall')
    this.answerError = new PromptAnswers(line('answerError'))
    this.afterCall = line('afterCall')
    this.sessionEnd = line('sessionEnd')
    this.started = line('started')
    this.stopping = line('stopping')
    this.stopped = line('stopped')
    const customs = new Map<string, CustomLine>()
    const custom = (name: string): CustomLine => {
      let known = customs.get(name)
      if (known !== undefined) return known
      const own = make(name, 'gate')
      known = new CustomLine(own, {
        onFirstTap: () => lines.push(own),
        named: (error) => this.named(error),
      })
      customs.set(name, known)
      return known
    }
    this.facade = createFacade(lines, custom, (listener) => {
      this.#listener = listener
    }) as Hooks<C, Cfg, K>
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
    return [...this.#running].map(({ record, startedAt }) => ({
      hook: record.hook,
      plugin: record.plugin,
      sinceMs: now - startedAt,
    }))
  }

  #lift(record: TapRecord, fn: TapFunction): LiftedTap {
    const watched = lifecycle.has(record.hook)
    const takesTwo = record.hook === 'afterCall' || record.hook === 'answerError'
    const answers = record.kind === 'first answer'
    const holds = ofCalls.has(record.hook)
    const lifted: LiftedTap = (subject, outcome) => {
      const running = watched || this.#listener !== undefined ? this.#begin(record, watched) : undefined
      let answer: unknown
      try {
        answer = takesTwo ? fn(subject, outcome) : fn(subject)
        // Reading `then` may throw, and a foreign thenable may settle twice: Promise.resolve tames the latter.
        if (isObject(answer) && 'then' in answer && typeof answer.then === 'function') {
          if (holds) (subject as Held).heldBy = record
          const waiting = Promise.resolve(answer).then(
            (value: unknown) => {
              if (running !== undefined) this.#finish(running)
              return answers ? value : undefined
            },
            (thrown: unknown) => this.#fail(record, running, thrown),
          )
          return { waiting, tap: lifted }
        }
      } catch (thrown) {
        this.#fail(record, running, thrown)
        return undefined
      }
      if (running !== undefined) this.#finish(running)
      return answers && answer !== undefined && answer !== null ? { answer, tap: lifted } : undefined
    }
    return lifted
  }

  #begin(record: TapRecord, watched: boolean): TapRunning {
    const running = { record, startedAt: performance.now() }
    if (watched) this.#running.add(running)
    return running
  }

  /** Reports the error of an observer; that of any other tap is thrown on. */
  #fail(record: TapRecord, running: TapRunning | undefined, thrown: unknown): void {
    // Callers tell by the error whether there is one, and `throw undefined` in a gate must not open it.
    // And start or stop could not say whose text or number it is.
    const isOpaque = !thrown || (lifecycle.has(record.hook) && !isObject(thrown))
    const error = isOpaque ? opaqueThrown(record, thrown) : thrown
    if (isObject(error)) this.#culprits.set(error, { hook: record.hook, plugin: record.plugin })
    if (running !== undefined) this.#finish(running, { error })
    if (record.kind !== 'observer') throw error
    this.#reportObserver(error, record)
  }

  #finish(running: TapRunning, failure?: { error: unknown }): void {
    this.#running.delete(running)
    const listener = this.#listener
    if (listener === undefined) return
    const { record, startedAt } = running
    const { hook, plugin } = record
    const durationMs = performance.now() - startedAt
    record.calls++
    record.totalMs += durationMs
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

/** One hook: its taps in running order, and tapable's hook below. */
class Line implements TappableHook {
  readonly hook: string
  readonly kind: HookKind
  readonly taps: TapRecord[] = []
  readonly #lift: (record: TapRecord, fn: TapFunction) => LiftedTap
  readonly #series: SyncBailHook<[subject: unknown, outcome: unknown], Stop | undefined>
  /** In running order; a new list for each new tap, so that a run goes on with the taps it began with. */
  #lifted: readonly LiftedTap[] = []

  constructor(hook: string, kind: HookKind, lift: (record: TapRecord, fn: TapFunction) => LiftedTap) {
    this.hook = hook
    this.kind = kind
    this.#lift = lift
    this.#series = new SyncBailHook(['subject', 'outcome'], hook)
  }

  get used(): boolean {
    return this.taps.length > 0
  }

  add(plugin: string, fn: TapFunction): void {
    const record: TapRecord = { hook: this.hook, kind: this.kind, plugin, calls: 0, totalMs: 0 }
    const lifted = this.#lift(record, fn)
    const first = this.kind === 'observer'
    // A lower stage runs earlier. Never `before`: a name it does not find puts the tap ahead of all stages.
    this.#series.tap({ name: plugin, stage: first ? -this.taps.length : 0 }, lifted)
    if (first) this.taps.unshift(record)
    else this.taps.push(record)
    this.#lifted = first ? [lifted, ...this.#lifted] : [...this.#lifted, lifted]
  }

  run(subject: unknown, outcome?: unknown): Promise<void> | undefined {
    if (this.taps.length === 0) return undefined
    const taps = this.#lifted
    const stop = this.#series.call(subject, outcome)
    return stop === undefined ? undefined : (this.#resume(taps, stop, subject, outcome) as Promise<void>)
  }

  /** As `ask`, of taps that must not wait: what to send instead of an error that was to be hidden is not that error. */
  askAtOnce(subject: unknown, second: unknown): unknown {
    const stop = this.#series.call(subject, second)
    if (stop?.waiting === undefined) return stop?.answer
    stop.waiting.catch(() => undefined)
    const { plugin } = this.taps[this.#lifted.indexOf(stop.tap)] as TapRecord
    throw new ZaskError(
      'ZASK_HOOK_FAILED',
      `the ${this.hook} tap of ${plugin} returned a promise: it must return an error, or nothing, at once`,
      { details: { hook: this.hook, plugin } },
    )
  }

  async ask(subject: unknown): Promise<unknown> {
    const taps = this.#lifted
    const stop = this.#series.call(subject, undefined)
    return stop === undefined ? undefined : await this.#resume(taps, stop, subject, undefined)
  }

  /** The rest of a run that has come upon a tap that waits; ends early with an answer. */
  async #resume(
    taps: readonly LiftedTap[],
    stop: Stop,
    subject: unknown,
    outcome: unknown,
  ): Promise<unknown> {
    let at: Stop | undefined = stop
    for (let index = taps.indexOf(stop.tap); ;) {
      const answer = at?.waiting === undefined ? at?.answer : await at.waiting
      if (answer !== undefined && answer !== null) return answer
      if (++index >= taps.length) return undefined
      at = taps[index]?.(subject, outcome)
    }
  }
}

class Answers<R> implements FirstAnswer<unknown, R> {
  readonly #line: Line

  constructor(line: Line) {
    this.#line = line
  }

  get used(): boolean {
    return this.#line.used
  }

  run(query: unknown): Promise<R | undefined> {
    return this.#line.ask(query) as Promise<R | undefined>
  }
}

class PromptAnswers implements PromptAnswer<unknown[]> {
  readonly #line: Line

  constructor(line: Line) {
    this.#line = line
  }

  get used(): boolean {
    return this.#line.used
  }

  run(subject: unknown, second: unknown): unknown {
    return this.#line.askAtOnce(subject, second)
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
