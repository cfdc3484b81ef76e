import { SyncBailHook } from 'tapable'
import type { Call, Outcome } from './call.ts'
import { type CompiledTaps, compileTaps } from './compiled-taps.ts'
import { CustomLine } from './custom-hook.ts'
import { ZaskError } from './errors.ts'
import type { EndpointQuery, HookKind, HookName, Hooks, ResolvedEndpoint, TapPlace } from './hook-contract.ts'
import { createFacade, type TapFunction, type TappableHook } from './hook-facade.ts'
import { type Stop, Tap, TapRunner } from './tap-runner.ts'

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

/**
 * All hooks of one core: `facade` for plugins to tap, the rest for the core to run.
 *
 * Bare tapable does not wait for an async function given to `tap`, and one throwing tap stops the others. Here
 * a run is synchronous until a tap returns something or throws, and makes neither promise nor closure: where there is
 * something to wait for, the other taps run after that; where an observer threw, they run once that is reported.
 */
export class HookSet<C = Call, Cfg = unknown, K = unknown> {
  readonly #runner: TapRunner

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
    const runner = new TapRunner((error, where) => options.onObserverError(error, where))
    this.#runner = runner
    const lines: Line[] = []
    const line = (hook: HookName): Line => {
      const made = new Line(hook, kinds[hook], runner)
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
      const own = new Line(name, 'gate', runner)
      known = new CustomLine(own, {
        onFirstTap: () => lines.push(own),
        named: (error) => runner.named(error),
      })
      customs.set(name, known)
      return known
    }
    this.facade = createFacade(lines, custom, (listener) => {
      runner.listener = listener
    }) as Hooks<C, Cfg, K>
  }

  /** An error for whoever has to know which tap threw it: the tap's own is its cause. Others stay as they are. */
  named(error: unknown): unknown {
    return this.#runner.named(error)
  }

  /** Which tap threw this error (the last one, if several did); undefined for what is no object or no tap's. */
  culprit(error: unknown): TapPlace | undefined {
    return this.#runner.culprit(error)
  }

  /** Taps of the lifecycle hooks that began and have not finished; `sinceMs` is for how long, in milliseconds. */
  pending(): { hook: string; plugin: string; sinceMs: number }[] {
    return this.#runner.pending()
  }
}

/** One hook: its taps in running order, and tapable's hook below. */
class Line implements TappableHook {
  readonly hook: string
  readonly kind: HookKind
  readonly #runner: TapRunner
  readonly #watched: boolean
  readonly #series: SyncBailHook<[subject: unknown, second: unknown], Stop | undefined>
  /** In running order; a new list for each new tap, so that a run goes on with the taps it began with. */
  #taps: readonly Tap[] = []
  /** All taps in one, for runs that nobody looks at; made when it is first needed. */
  #compiled: CompiledTaps<Stop> | undefined

  constructor(hook: string, kind: HookKind, runner: TapRunner) {
    this.hook = hook
    this.kind = kind
    this.#runner = runner
    this.#watched = TapRunner.watches(hook)
    this.#series = new SyncBailHook(['subject', 'second'], hook)
  }

  get taps(): readonly Tap[] {
    return this.#taps
  }

  get used(): boolean {
    return this.#taps.length > 0
  }

  add(plugin: string, fn: TapFunction): void {
    const tap = new Tap(this.hook, this.kind, plugin, fn)
    const first = this.kind === 'observer'
    // A lower stage runs earlier. Never `before`: a name it does not find puts the tap ahead of all stages.
    const options = { name: plugin, stage: first ? -this.#taps.length : 0 }
    this.#series.tap(options, (subject, second) => this.#runner.run(tap, subject, second))
    this.#taps = first ? [tap, ...this.#taps] : [...this.#taps, tap]
    this.#compiled = undefined
  }

  run(subject: unknown, second?: unknown): Promise<void> | undefined {
    const taps = this.#taps
    if (taps.length === 0) return undefined
    const stop = this.#begin(subject, second)
    return stop === undefined ? undefined : (this.#resume(taps, stop, subject, second) as Promise<void>)
  }

  /** As `ask`, of taps that must not wait: what to send instead of an error that was to be hidden is not that error. */
  askAtOnce(subject: unknown, second: unknown): unknown {
    const stop = this.#begin(subject, second)
    if (stop?.waiting === undefined) return stop?.answer
    stop.waiting.catch(() => undefined)
    const { hook, plugin } = stop.tap
    throw new ZaskError(
      'ZASK_HOOK_FAILED',
      `the ${hook} tap of ${plugin} returned a promise: it must return an error, or nothing, at once`,
      { details: { hook, plugin } },
    )
  }

  async ask(subject: unknown): Promise<unknown> {
    const taps = this.#taps
    const stop = this.#begin(subject, undefined)
    return stop === undefined ? undefined : await this.#resume(taps, stop, subject, undefined)
  }

  /** Runs the taps as far as they go in one go. */
  #begin(subject: unknown, second: unknown): Stop | undefined {
    if (this.#watched || this.#runner.listener !== undefined) return this.#series.call(subject, second)
    return (this.#compiled ??= this.#compile())(subject, second)
  }

  #compile(): CompiledTaps<Stop> {
    const taps = this.#taps
    const runner = this.#runner
    const rest = (index: number, subject: unknown, second: unknown): Stop | undefined => {
      let stop: Stop | undefined
      while (stop === undefined && ++index < taps.length) stop = runner.run(taps[index]!, subject, second)
      return stop
    }
    return compileTaps(taps, {
      stopped: (index, answer, subject, second) =>
        runner.take(taps[index]!, answer, subject) ?? rest(index, subject, second),
      failed(index, thrown, subject, second) {
        runner.fail(taps[index]!, thrown)
        return rest(index, subject, second)
      },
    })
  }

  /** The rest of a run that has come upon a tap that waits; ends early with an answer. */
  async #resume(taps: readonly Tap[], stop: Stop, subject: unknown, second: unknown): Promise<unknown> {
    let at: Stop | undefined = stop
    for (let index = taps.indexOf(stop.tap); ;) {
      const answer = at?.waiting === undefined ? at?.answer : await at.waiting
      if (answer !== undefined && answer !== null) return answer
      if (++index >= taps.length) return undefined
      at = this.#runner.run(taps[index]!, subject, second)
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
