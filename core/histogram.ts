/** How many buckets each doubling has: a value is known to a sixteenth of itself. */
const perDoubling = 16
/** Up to 2^31 µs, which is 35 minutes; what takes longer counts as that long. */
const bucketCount = 448

/** So many durations were up to so many microseconds, and longer than the bucket before them says. */
export type Bucket = readonly [upToUs: number, count: number]

/** Counts durations in log-linear buckets: a few operations on numbers per value, nothing allocated. */
export class Histogram {
  readonly #counts = new Float64Array(bucketCount)

  record(ms: number): void {
    const us = Math.min(ms * 1000, 2 ** 31 - 1) | 0
    const shift = 27 - Math.clz32(us)
    const bucket = shift <= 0 ? us : shift * perDoubling + (us >>> shift)
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
  }

  /** The buckets that hold something, from the shortest durations to the longest. */
  buckets(): Bucket[] {
    const filled: Bucket[] = []
    for (const [bucket, count] of this.#counts.entries()) {
      if (count > 0) filled.push([upperBound(bucket), count])
    }
    return filled
  }
}

/**
 * A quantile of durations, in milliseconds: `share` of them, such as 0.99, are at most so long. Null where there are none.
 *
 * ```ts
 * const { latency } = (await client.$call('_zask_stats')) as ServerStats
 * quantile(latency.buckets, 0.999)
 * ```
 */
export function quantile(buckets: readonly Bucket[], share: number): number | null {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0)
  let seen = 0
  for (const [upToUs, count] of buckets) {
    seen += count
    if (seen >= total * share) return upToUs / 1000
  }
  return null
}

function upperBound(bucket: number): number {
  if (bucket < 2 * perDoubling) return bucket + 1
  const shift = Math.floor(bucket / perDoubling) - 1
  return ((bucket % perDoubling) + perDoubling + 1) * 2 ** shift
}
