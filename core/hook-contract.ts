import type { Call, Outcome } from './call.ts'
import type { ServiceCurve } from './curve.ts'

/** What a tap is registered under: the plugin's name. tapable's options object is accepted for its `name` alone. */
export type TapName = string | { readonly name: string }

/** One hook as plugins see it. `tap` and `tapPromise` mean the same: what a tap returns is waited for. */
export interface Taps<A extends unknown[], R = unknown> {
  /**
   * Adds a tap that takes part from the next run on. Errors: `ZASK_HOOK_TAP` for a missing name, an option
   * other than `name`, or no function.
   */
  tap(name: TapName, fn: (...args: A) => R | PromiseLike<R>): void
  /** As `tap`, where the type should insist on a promise. */
  tapPromise(name: TapName, fn: (...args: A) => PromiseLike<R>): void
}

/** A hook that plugins agree on by its name: core keeps its taps, and runs it for nobody. A gate. */
export interface CustomHook<A> extends Taps<[argument: A]> {
  /**
   * Runs the taps in list order, each waited for; resolves at once where nobody tapped it. Errors:
   * `ZASK_HOOK_FAILED`, which names the plugin whose tap threw, with that error as its cause; later taps do not run.
   */
  run(argument: A): Promise<void>
  /** As `run`, with an argument for each tap: `make` is given the name it was tapped under. */
  runEach(make: (plugin: string) => A): Promise<void>
}

/** Who asks for an endpoint: a service about to bind (`'server'`) or a client about to connect. */
export interface EndpointQuery {
  /** The name a service bears or a client asked for; undefined: a service without a name is about to bind. */
  readonly service: string | undefined
  readonly version?: string | undefined
  readonly role: 'server' | 'client'
}

/** Where a service is: at least one endpoint, and the version chosen where the query named none. */
export interface ResolvedEndpoint {
  readonly version?: string | undefined
  readonly endpoints: readonly string[]
  /** How it encrypts: whom it lets in, and its public key for clients. */
  readonly curve?: ServiceCurve | undefined
}

/**
 * `core.hooks`. Gates run in the order of the plugin list, and a tap that throws stops what they guard; observers
 * run in reverse order, and a tap that throws is logged while the others still run.
 */
export interface Hooks<C = Call, Cfg = unknown, K = unknown> {
  /** Gate, once: all config is merged, nothing is bound or connected. */
  readonly configLoaded: Taps<[config: Cfg]>
  /** The first tap that answers wins; nothing, or null, leaves the question to the next. */
  readonly resolveEndpoint: Taps<[query: EndpointQuery], ResolvedEndpoint | null | undefined | void>
  /** Gate, each call on both sides: before the method runs, before the request is sent. */
  readonly beforeCall: Taps<[call: C]>
  /**
   * The first tap that returns an error has it sent in place of what the gate or the method threw; that stays the
   * outcome. Server side, and at once: nothing is waited for here.
   */
  readonly answerError: {
    tap(name: TapName, fn: (call: C, thrown: unknown) => Error | null | undefined | void): void
  }
  /** Observer, each call on both sides: its outcome is known; of a stream: it has ended. */
  readonly afterCall: Taps<[call: C, outcome: Outcome]>
  /** Observer, server side, exactly once per call whatever happened to it. */
  readonly sessionEnd: Taps<[call: C]>
  /** Observer: everything is bound. */
  readonly started: Taps<[core: K]>
  /** Observer: draining begins. */
  readonly stopping: Taps<[core: K]>
  /** Observer: the last session has ended. Plugins close here what they opened. */
  readonly stopped: Taps<[core: K]>
  /**
   * A hook of plugins' own, by a name of their own; the same name is the same hook. Errors: `ZASK_HOOK_TAP` for a name
   * that is empty or that of a hook of core.
   */
  custom<A>(name: string): CustomHook<A>
  /**
   * The x-ray: every hook with its taps in running order, and their times as far as `trace` measured them; custom ones
   * once they have a tap.
   */
  inspect(): HookReport[]
  /** Sends each run of each tap to `listener` until it is replaced or undefined. Nobody pays while there is none. */
  trace(listener: TraceListener | undefined): void
}

export type HookName = Exclude<keyof Hooks, 'custom' | 'inspect' | 'trace'>
export type HookKind = 'gate' | 'observer' | 'first answer'

export interface HookReport {
  /** A `HookName`, or the name of a custom hook. */
  readonly hook: string
  readonly kind: HookKind
  /** In running order. `calls` and `meanMs` count what was traced, and are missing where nothing was. */
  readonly taps: readonly { readonly plugin: string; readonly calls?: number; readonly meanMs?: number }[]
}

/** One finished run of one tap; `error` is there only if it failed. */
export interface TapRun {
  /** A `HookName`, or the name of a custom hook. */
  readonly hook: string
  readonly plugin: string
  readonly durationMs: number
  readonly error?: unknown
}

export type TraceListener = (run: TapRun) => void

/** The name of a tap and of the hook it is on. */
export interface TapPlace {
  readonly hook: string
  readonly plugin: string
}
