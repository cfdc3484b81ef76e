import type { LiveCall, Outcome } from './call.ts'
import { hookTimeout } from './hook-timeout.ts'
import type { Kernel } from './kernel.ts'

/** A served call, as far as its end goes. */
export interface Ending extends LiveCall {
  readonly outcome: Outcome | undefined
  /** Observers that are waited for. Where time runs out, it is for them: they are to be told by `onTimer`. */
  observing: Observing | undefined
}

interface Owner<C> {
  readonly kernel: Kernel
  /** The call's session has ended. */
  onEnded(call: C): void
}

/** Runs the observers of a call whose outcome is known, within the call. Closures are made where one waits only. */
export function observe<C extends Ending>(call: C, owner: Owner<C>): void {
  const after = owner.kernel.hooks.afterCall.run(call, call.outcome as Outcome)
  if (after === undefined) endSession(call, owner)
  else call.observing = new Observing(call, owner.kernel, 'afterCall', after, () => endSession(call, owner))
}

function endSession<C extends Ending>(call: C, owner: Owner<C>): void {
  const ending = owner.kernel.hooks.sessionEnd.run(call)
  if (ending === undefined) owner.onEnded(call)
  else call.observing = new Observing(call, owner.kernel, 'sessionEnd', ending, () => owner.onEnded(call))
}

/** Waits for observers, but not for ever: one that hangs would keep the call's place, and the core from stopping. */
export class Observing {
  readonly #call: Ending
  readonly #kernel: Kernel
  readonly #hook: 'afterCall' | 'sessionEnd'
  readonly #next: () => void

  constructor(
    call: Ending,
    kernel: Kernel,
    hook: 'afterCall' | 'sessionEnd',
    running: Promise<void>,
    next: () => void,
  ) {
    this.#call = call
    this.#kernel = kernel
    this.#hook = hook
    this.#next = next
    kernel.wheel.schedule(call, kernel.limits.hookTimeoutMs)
    void running.then(() => this.#proceed())
  }

  /** The time for them is over. */
  onTimer(): void {
    const { limits, stats } = this.#kernel
    const call = this.#call
    const error = hookTimeout(this.#hook, [call.heldBy?.plugin ?? ''], limits.hookTimeoutMs)
    stats.met.hookTimeoutMs++
    call.log.error({ hook: this.#hook }, `the call goes on without its observers: ${error.message}`)
    this.#proceed()
  }

  #proceed(): void {
    const call = this.#call
    if (call.observing !== this) return
    call.observing = undefined
    this.#kernel.wheel.cancel(call)
    this.#kernel.storage.run(call, this.#next, undefined)
  }
}
