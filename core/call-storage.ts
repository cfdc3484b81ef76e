import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { Call } from './call.ts'

/** Makes a call the current one, `core.call`, for what runs below it. One per core. */
export class CallStorage {
  readonly #storage = new AsyncLocalStorage<Call | undefined>()
  readonly #outside = new AsyncResource('zask', { requireManualDestroy: true })
  readonly #isolates = isolates(this.#outside)

  getStore(): Call | undefined {
    return this.#storage.getStore()
  }

  /**
   * Runs `work` with `call` as the current one, or with none.
   *
   * It begins outside of all that runs now, in the context the core was made in: what the code of one call enters into
   * other storages is not there for the next. `AsyncLocalStorage.run` would leave it there, and copies the context
   * twice, which takes five times as long.
   */
  run<A>(call: Call | undefined, work: (argument: A) => void, argument: A): void {
    if (this.#isolates) this.#outside.runInAsyncScope(enter, undefined, this.#storage, call, work, argument)
    else this.#storage.run(call, work, argument)
  }

  /** Runs `work` in the context the core was made in: what it opens lives on after the current call. */
  outside<R>(work: () => R): R {
    return this.#outside.runInAsyncScope(work)
  }
}

function enter<A>(
  this: undefined,
  storage: AsyncLocalStorage<Call | undefined>,
  call: Call | undefined,
  work: (argument: A) => void,
  argument: A,
): void {
  storage.enterWith(call)
  work(argument)
}

/** Whether what is entered in a scope ends with it: from Node.js 24 on. Before, it stays with the resource. */
function isolates(outside: AsyncResource): boolean {
  const storage = new AsyncLocalStorage<boolean>()
  const kept = outside.runInAsyncScope(() => {
    storage.enterWith(true)
    outside.runInAsyncScope(() => storage.enterWith(false))
    return storage.getStore() === true
  })
  storage.disable()
  return kept
}
