import type { Call, CallOrigin } from './call.ts'
import type { CallStorage } from './call-storage.ts'
import type { HookSet } from './hooks.ts'
import type { Limits } from './limits.ts'
import type { ProcessGauge } from './process-gauge.ts'
import type { CoreStats } from './stats.ts'
import type { WireCounters } from './wire/counters.ts'
import type { TimerWheel } from './wire/timer-wheel.ts'

/** What servers and clients share of the core they belong to. */
export interface Kernel extends CallOrigin {
  readonly hooks: HookSet<Call, never, never>
  readonly storage: CallStorage
  readonly wheel: TimerWheel
  readonly counters: WireCounters
  readonly stats: CoreStats
  readonly gauge: ProcessGauge
  /** Those of config and `createCore`; of `start` and `client` those of their own options lie above them. */
  readonly limits: Limits
  /** Tracebacks are sent to callers. Config `DEBUG`, read at each use. */
  readonly debug: boolean
}
