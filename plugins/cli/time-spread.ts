/** How many calls took longer than the bar before it says, and no longer than this one. */
export interface Bar {
  readonly upToMs: number
  readonly calls: number
}

/** Bounds of the bars, in microseconds: 10, 20, 50, 100 and so on, to over a quarter of an hour. */
const bounds: readonly number[] = Array.from(
  { length: 25 },
  (_, step) => ([1, 2, 5][step % 3] as number) * 10 ** (1 + Math.floor(step / 3)),
)

/** Times sorted into bars for people to look at: Node's histogram knows quantiles, and not how many are where. */
export class TimeSpread {
  readonly #counts: number[] = Array.from({ length: bounds.length }, () => 0)

  record(microseconds: number): void {
    let at = 0
    while (at < bounds.length - 1 && microseconds > (bounds[at] as number)) at++
    this.#counts[at] = (this.#counts[at] as number) + 1
  }

  /** From the first one that has calls to the last. */
  get bars(): Bar[] {
    const first = this.#counts.findIndex((count) => count > 0)
    const last = this.#counts.findLastIndex((count) => count > 0)
    return first < 0
      ? []
      : bounds.slice(first, last + 1).map((bound, at) => ({
          upToMs: bound / 1000,
          calls: this.#counts[first + at] as number,
        }))
  }
}
