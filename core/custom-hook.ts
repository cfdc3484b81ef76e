import type { TapFunction } from './hook-facade.ts'

/** What a custom hook needs of the hook below it. */
export interface CustomBase {
  readonly hook: string
  readonly used: boolean
  add(plugin: string, fn: TapFunction): void
  run(subject: unknown): Promise<void> | undefined
}

/** What a custom hook needs of its core. */
export interface CustomOwner {
  onFirstTap(): void
  /** The error of a tap, as one that names the tap. */
  named(error: unknown): unknown
}

/** A hook that plugins agree on by its name. What it is run with makes the argument of each tap from the tap's name. */
export class CustomLine {
  readonly hook: string
  readonly #base: CustomBase
  readonly #owner: CustomOwner

  constructor(base: CustomBase, owner: CustomOwner) {
    this.hook = base.hook
    this.#base = base
    this.#owner = owner
  }

  add(plugin: string, fn: TapFunction): void {
    if (!this.#base.used) this.#owner.onFirstTap()
    this.#base.add(plugin, (make) => fn((make as (plugin: string) => unknown)(plugin)))
  }

  async run(make: (plugin: string) => unknown): Promise<void> {
    try {
      await this.#base.run(make)
    } catch (error) {
      throw this.#owner.named(error)
    }
  }
}
