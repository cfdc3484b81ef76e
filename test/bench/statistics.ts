/** Exact samples in a flat array: recording one costs no allocation, whatever the count. */
export class Samples {
  #values = new Float64Array(16_384)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#count++] = value
  }

  /** The values at the given fractions (0 to 1) of the sorted samples; NaN where there are none. */
  quantiles(...fractions: number[]): number[] {
    const sorted = this.#values.subarray(0, this.#count).toSorted()
    return fractions.map((fraction) => sorted[Math.ceil(fraction * sorted.length) - 1] ?? Number.NaN)
  }
}

/** The middle value, or the mean of the two middle ones; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]!
  return (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Half the distance between the least and the greatest value, as a fraction of the median: the 0.04 in "±4 %". */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}
