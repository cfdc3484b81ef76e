import type { Config } from './config.ts'
import { ZaskError } from './errors.ts'
import { shown } from './secrets.ts'

/** One limit: its config key, its value while nobody sets it, and what it can be. */
type LimitRule = { readonly key: string; readonly otherwise: number } & (
  | { readonly least: number; readonly most: number; readonly endless?: never }
  /** Milliseconds, or no limit: `Infinity` as an option, `null` in config. */
  | { readonly endless: true }
)

/**
 * Every limit that can be set, by the name of its option. docs/limits.md says of each what it bounds and what happens
 * beyond it; a test keeps the two in step.
 */
export const limitRules = {
  // both ends
  maxEventBytes: { key: 'LIMIT_MAX_EVENT_BYTES', otherwise: 8_388_608, least: 1024, most: 2_147_483_647 },
  maxDepth: { key: 'LIMIT_MAX_DEPTH', otherwise: 100, least: 4, most: 1000 },
  maxNodes: { key: 'LIMIT_MAX_NODES', otherwise: 250_000, least: 100, most: 1_000_000_000 },
  window: { key: 'LIMIT_WINDOW', otherwise: 100, least: 2, most: 10_000 },
  maxPendingBytes: {
    key: 'LIMIT_MAX_PENDING_BYTES',
    otherwise: 16_777_216,
    least: 1024,
    most: 1_099_511_627_776,
  },
  handshakeTimeoutMs: { key: 'LIMIT_HANDSHAKE_TIMEOUT_MS', otherwise: 2000, least: 10, most: 600_000 },
  // servers
  poolSize: { key: 'LIMIT_POOL_SIZE', otherwise: 1000, least: 1, most: 1_000_000 },
  queueSize: { key: 'LIMIT_QUEUE_SIZE', otherwise: 1000, least: 0, most: 1_000_000 },
  maxChannels: { key: 'LIMIT_MAX_CHANNELS', otherwise: 10_000, least: 1, most: 10_000_000 },
  maxChannelsPerPeer: {
    key: 'LIMIT_MAX_CHANNELS_PER_PEER',
    otherwise: 2000,
    least: 1,
    most: 10_000_000,
  },
  streamIdleTimeoutMs: { key: 'LIMIT_STREAM_IDLE_TIMEOUT_MS', otherwise: 60_000, endless: true },
  shutdownTimeoutMs: { key: 'LIMIT_SHUTDOWN_TIMEOUT_MS', otherwise: 25_000, endless: true },
  // clients
  maxWaiting: { key: 'LIMIT_MAX_WAITING', otherwise: 10_000, least: 0, most: 10_000_000 },
  // a core
  hookTimeoutMs: { key: 'LIMIT_HOOK_TIMEOUT_MS', otherwise: 10_000, endless: true },
  blockedLoopMs: { key: 'LIMIT_BLOCKED_LOOP_MS', otherwise: 1000, endless: true },
} as const

export type LimitName = keyof typeof limitRules

/** A value for each limit. */
export type Limits = Readonly<Record<LimitName, number>>

/** The config keys of the limits. An option of `createCore`, `start` or `client` stands above its key. */
export type LimitConfig = {
  [N in LimitName as (typeof limitRules)[N]['key']]?: (typeof limitRules)[N] extends { endless: true }
    ? number | null
    : number
}

/** The longest time that setTimeout takes; with a longer one it fires at once. */
export const longestTimerMs: number = 2 ** 31 - 1

const names = Object.keys(limitRules) as LimitName[]

export const defaultLimits: Limits = Object.fromEntries(
  names.map((name) => [name, limitRules[name].otherwise]),
) as Record<LimitName, number>

/** Makes the keys of the limits known to a config. Without values: nobody wants to see them all who has set none. */
export function declareLimits(config: Config): void {
  for (const name of names) {
    const rule: LimitRule = limitRules[name]
    config.check(rule.key, (value) =>
      isWithin(rule, value) || (value === null && rule.endless === true) ? undefined : range(rule, 'null'),
    )
  }
}

/** What the config says of all limits. `ZASK_CONFIG_VALUE_INVALID` */
export function limitsOf(config: Config): Limits {
  const set = (name: LimitName): unknown => {
    const { key, otherwise } = limitRules[name]
    const value = config.get(key)
    return value === undefined ? otherwise : (value ?? Infinity)
  }
  return Object.fromEntries(names.map((name) => [name, set(name)])) as Record<LimitName, number>
}

/** Refuses values that a limit cannot have. `ZASK_OPTION_INVALID` names option, range and value. */
export function checkLimits(options: Readonly<Partial<Record<LimitName, unknown>>>): void {
  for (const name of names) {
    const value = options[name]
    const rule: LimitRule = limitRules[name]
    if (value === undefined || isWithin(rule, value)) continue
    throw new ZaskError('ZASK_OPTION_INVALID', `${name} is ${range(rule, 'Infinity')}, got ${shown(value)}.`)
  }
}

/** The limits with those options that are there laid over them. */
export function limitsWith(options: Readonly<Partial<Record<LimitName, unknown>>>, limits: Limits): Limits {
  checkLimits(options)
  const given = names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])
  return { ...limits, ...Object.fromEntries(given) }
}

function isWithin(rule: LimitRule, value: unknown): boolean {
  if (typeof value !== 'number') return false
  if (rule.endless === true) return value > 0
  return Number.isInteger(value) && value >= rule.least && value <= rule.most
}

function range(rule: LimitRule, unlimited: string): string {
  return rule.endless === true
    ? `a number of milliseconds above 0, or ${unlimited} for no limit`
    : `a whole number from ${rule.least} to ${rule.most}`
}
