import {
  type Call,
  checkOptions,
  type Logger,
  type OptionRule,
  type Plugin,
  ZaskError,
} from '../core/index.ts'
import { isRecord } from './record.ts'

/** What happens to which calls. A rule delays, aborts, delays and then aborts, or drops. */
export interface FaultRule {
  /** The service's name. Default: every service, and calls to bare endpoints. */
  readonly service?: string
  /** The method's name. Default: every method but the built-in ones (`_zerorpc_ping` …), which health checks use. */
  readonly method?: string
  /** Served calls, made calls, or both. Default: both. */
  readonly side?: 'server' | 'client'
  /** Milliseconds that the call is held back. */
  readonly delayMs?: number
  /** The error that answers the call; the method does not run, or the request is not sent. */
  readonly abort?: FaultError
  /** Nobody answers: the method does not run, or the request is not sent, and the caller waits for its deadline. */
  readonly drop?: true
  /** How many of the calls it happens to, in percent. Default: 100. */
  readonly percent?: number
  /** How many calls may be held back or dropped by this rule at the same time; others go on. Default: no limit. */
  readonly maxActive?: number
}

export interface FaultError {
  /** Default: `ZASK_FAULT_INJECTED`. */
  readonly code?: string
  /** The class name a caller sees. Default: `InjectedFault`. */
  readonly name?: string
  readonly message?: string
  /** Default: false. */
  readonly retryable?: boolean
}

export interface FaultsConfig {
  FAULTS: readonly FaultRule[] | null
}

/** What has happened so far; `active` calls are held back or dropped now. All but that only ever grow. */
export interface FaultCounts {
  readonly delayed: number
  readonly aborted: number
  readonly dropped: number
  /** Calls that a rule would have hit, had not `maxActive` calls been active. */
  readonly spared: number
  readonly active: number
}

export interface FaultsOptions {
  /** The value of `FAULTS` where the config has none. Default: none, and nothing happens to any call. */
  readonly rules?: readonly FaultRule[]
  /** A number from 0 up to 1, asked for at each call that a rule below 100 percent matches. Default: `Math.random`. */
  readonly random?: () => number
}

/**
 * Does to calls what networks and services do to them, for rehearsals: late, failed and missing answers. Where no
 * rule is given, in the options or in `FAULTS`, it does nothing.
 *
 * `FAULTS` is read at each call, so that a rehearsal begins and ends with `core.config.set('FAULTS', …)`. Rules that
 * are unclear are refused: by `faults()` as `ZASK_OPTION_INVALID`, at the start as `ZASK_CONFIG_VALUE_INVALID`; set
 * at run time they are logged, and nothing happens to any call.
 */
export function faults(
  options: FaultsOptions = {},
): Plugin<{ config: FaultsConfig }> & { readonly counts: FaultCounts } {
  checkFaultsOptions(options)
  const { rules = null, random = Math.random } = options
  const counts = { delayed: 0, aborted: 0, dropped: 0, spared: 0, active: 0 }
  return {
    name: 'faults',
    defaults: { FAULTS: rules },
    get counts() {
      return { ...counts }
    },
    apply(core) {
      const stage = new Stage(counts, random)
      core.config.check('FAULTS', (value) => (value === null ? undefined : expectation(value)))
      core.hooks.configLoaded.tap('faults', () => stage.read(core.config, core.log))
      core.hooks.beforeCall.tap('faults', (call) => {
        stage.read(core.config, core.log)
        return stage.play(call)
      })
      core.hooks.stopping.tap('faults', () => stage.release())
    },
  }
}

type Counts = { -readonly [K in keyof FaultCounts]: FaultCounts[K] }

/** A rule, and how many calls it has hold of now. */
interface ActingRule {
  readonly rule: FaultRule
  active: number
}

/** The rules of one core that hold now, and the calls they have dropped. */
class Stage {
  readonly #counts: Counts
  readonly #random: () => number
  /** The value that the acting rules were read from. */
  #given: unknown = null
  #acting: readonly ActingRule[] = []
  #complaint = ''
  readonly #dropped = new Set<(error: ZaskError) => void>()

  constructor(counts: Counts, random: () => number) {
    this.#counts = counts
    this.#random = random
  }

  /** Takes the rules as they are now; never throws, and logs what has changed, once. */
  read(config: { readonly FAULTS: unknown }, log: Logger): void {
    let given: unknown = null
    let complaint = ''
    try {
      given = config.FAULTS ?? null
    } catch (error) {
      complaint = error instanceof ZaskError ? error.message : 'it cannot be read.'
    }
    if (complaint !== this.#complaint && complaint !== '') log.error(`no faults are injected: ${complaint}`)
    this.#complaint = complaint
    if (given === this.#given) return
    const before = this.#acting.length
    this.#given = given
    this.#acting = ((given ?? []) as readonly FaultRule[]).map((rule) => ({ rule, active: 0 }))
    const { length } = this.#acting
    if (length > 0) log.warn({ faults: given }, `faults are on: ${length} ${length === 1 ? 'rule' : 'rules'}`)
    else if (before > 0) log.warn('faults are off')
  }

  /** Undefined for a call that no rule is for, which then is not held up at all. */
  play(call: Call): Promise<void> | undefined {
    const first = this.#acting.findIndex(({ rule }) => matches(rule, call))
    return first < 0 ? undefined : this.#play(this.#acting.slice(first), call)
  }

  /** Lets go of what would keep the core from stopping: nobody will answer those any more. */
  release(): void {
    for (const letGo of this.#dropped) {
      letGo(injected({ message: 'The plugin faults dropped this call, and the core stops now.' }, 'server'))
    }
  }

  /** Lets each rule that matches have its way, in their order; resolves where the call may go on. */
  async #play(acting: readonly ActingRule[], call: Call): Promise<void> {
    for (const one of acting) {
      const { rule } = one
      if (!matches(rule, call) || !this.#hits(rule)) continue
      if (rule.maxActive !== undefined && one.active >= rule.maxActive) {
        this.#counts.spared++
        continue
      }
      if (rule.abort === undefined || rule.delayMs !== undefined) await this.#hold(one, call)
      if (rule.abort !== undefined) {
        this.#counts.aborted++
        throw injected(rule.abort, call.side)
      }
    }
  }

  #hits({ percent = 100 }: FaultRule): boolean {
    return percent >= 100 || this.#random() * 100 < percent
  }

  /** Ends with the delay, or with the call: then it throws, so that nothing waits for a call that is over. */
  async #hold(acting: ActingRule, { signal }: Call): Promise<void> {
    const { delayMs, drop } = acting.rule
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => reject(signal.reason)
    const timer = drop === true ? undefined : setTimeout(resolve, delayMs)
    if (drop === true) {
      this.#counts.dropped++
      this.#dropped.add(reject)
    } else this.#counts.delayed++
    this.#counts.active++
    acting.active++
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#dropped.delete(reject)
      this.#counts.active--
      acting.active--
    }
  }
}

function matches({ side, service, method }: FaultRule, call: Call): boolean {
  if (side !== undefined && side !== call.side) return false
  if (service !== undefined && service !== call.service) return false
  return method === undefined ? !call.method.startsWith('_') : method === call.method
}

function injected(fault: FaultError, side: Call['side']): ZaskError {
  const { code = 'ZASK_FAULT_INJECTED', name, message, retryable = false } = fault
  return new ZaskError(code, message ?? 'The plugin faults was told to fail this call.', {
    name: name ?? 'InjectedFault',
    retryable,
    ...(side === 'client' && { sent: false }),
  })
}

const ruleKeys: readonly string[] = [
  'service',
  'method',
  'side',
  'delayMs',
  'abort',
  'drop',
  'percent',
  'maxActive',
] satisfies (keyof FaultRule)[]
const errorKeys: readonly string[] = ['code', 'name', 'message', 'retryable'] satisfies (keyof FaultError)[]

const optionRules: Readonly<Record<keyof FaultsOptions, OptionRule | undefined>> = {
  // Its message says which rule is wrong, and how.
  rules: undefined,
  random: {
    called: 'a function that gives a number below 1',
    accepts: (value) => typeof value === 'function',
  },
}

/** What a value must be to be rules, and where it is none; undefined where it is. */
function expectation(value: unknown): string | undefined {
  const form = "a list of rules such as { method: 'name', delayMs: 200, percent: 10 }"
  if (!Array.isArray(value)) return form
  for (const [index, rule] of value.entries()) {
    const complaint = complaintAbout(rule)
    if (complaint !== undefined) return `${form}, and rule ${index + 1} ${complaint}`
  }
  return undefined
}

/** What a rule does not say, or says twice, nobody should have to guess: it may be production that it is tried in. */
function complaintAbout(rule: unknown): string | undefined {
  if (!isRecord(rule)) return 'is to be an object'
  const { service, method, side, delayMs, abort, drop, percent, maxActive } = rule
  const unknown = Object.keys(rule).find((key) => !ruleKeys.includes(key))
  if (unknown !== undefined) return `has '${unknown}', where a rule has only ${ruleKeys.join(', ')}`
  for (const [key, name] of Object.entries({ service, method })) {
    if (name !== undefined && (typeof name !== 'string' || name === '')) return `needs text as its ${key}`
  }
  if (side !== undefined && side !== 'server' && side !== 'client')
    return "needs 'server' or 'client' as its side"
  if (delayMs !== undefined && !isWithin(delayMs, 0, 2 ** 31 - 1))
    return 'needs milliseconds from 0 up as its delayMs'
  if (percent !== undefined && !isWithin(percent, 0, 100))
    return 'needs a number from 0 to 100 as its percent'
  if (maxActive !== undefined && !(isWithin(maxActive, 0, Infinity) && Number.isInteger(maxActive)))
    return 'needs a whole number from 0 up as its maxActive'
  if (drop !== undefined && drop !== true) return 'needs true as its drop, or none'
  if (abort !== undefined) {
    const wrong = complaintAboutError(abort)
    if (wrong !== undefined) return wrong
  }
  if (delayMs === undefined && abort === undefined && drop === undefined)
    return 'is to have delayMs, abort or drop: it says nothing that is to happen'
  if (drop === true && (delayMs !== undefined || abort !== undefined))
    return 'is not to have drop beside delayMs or abort: a call that nobody answers has no end to put off'
  if (maxActive !== undefined && delayMs === undefined && drop === undefined)
    return 'is not to have maxActive: it only aborts calls, and those are not active'
  return undefined
}

function complaintAboutError(abort: unknown): string | undefined {
  if (!isRecord(abort))
    return "needs an error as its abort, such as { name: 'DatabaseError', message: 'gone' }"
  const unknown = Object.keys(abort).find((key) => !errorKeys.includes(key))
  if (unknown !== undefined) return `has '${unknown}' in its abort, which has only ${errorKeys.join(', ')}`
  const { code, name, message, retryable } = abort
  if (code !== undefined && !(typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code)))
    return 'needs a code such as BANK_EMPTY in its abort'
  for (const [key, text] of Object.entries({ name, message })) {
    if (text !== undefined && (typeof text !== 'string' || text === ''))
      return `needs text as ${key} of its abort`
  }
  if (retryable !== undefined && typeof retryable !== 'boolean')
    return 'needs true or false as retryable of its abort'
  return undefined
}

function checkFaultsOptions(options: FaultsOptions): void {
  checkOptions('faults', options, optionRules)
  const wanted = options.rules === undefined ? undefined : expectation(options.rules)
  if (wanted !== undefined) throw new ZaskError('ZASK_OPTION_INVALID', `rules of faults must be ${wanted}.`)
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most
}
