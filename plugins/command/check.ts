/**
 * The name of the custom hook by which plugins add checks to `zask doctor`.
 *
 * ```ts
 * core.hooks.custom<CheckList>(checksHook).tap('quota', (list) => list.add(async () => [{ state: 'ok', says: '…' }]))
 * ```
 */
export const checksHook = 'checks'

/** What a check found. `fix` stands only where something is to be done. */
export interface Finding {
  /** A problem keeps the application from running; a warning is for somebody to look at. */
  readonly state: 'ok' | 'warning' | 'problem'
  readonly says: string
  readonly fix?: string
}

export type Check = () => readonly Finding[] | PromiseLike<readonly Finding[]>

/** What taps of `checksHook` are given. */
export interface CheckList {
  /** Adds a check. It runs after the config was found sound; what it throws is shown as a problem of its plugin. */
  add(check: Check): void
}
