/**
 * Whether the time that something takes tells which of two kinds it was given: the t of Welch, over times measured in
 * random order, after "Dude, is my code constant time?" (Reparaz, Balasch, Verbauwhede, 2017). Beyond 4.5, in either
 * direction, it does.
 */
export const telling = 4.5

/** Welch's t of two samples; positive where the second has the larger mean. */
export function welchT(first: readonly number[], second: readonly number[]): number {
  const [a, b] = [momentsOf(first), momentsOf(second)]
  return (b.mean - a.mean) / Math.sqrt(a.variance / first.length + b.variance / second.length)
}

function momentsOf(sample: readonly number[]): { mean: number; variance: number } {
  const mean = sample.reduce((sum, value) => sum + value, 0) / sample.length
  const variance = sample.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (sample.length - 1)
  return { mean, variance }
}

/** Both without what is longer than such a share of all: what the machine did meanwhile is no property of a check. */
export function cropped(
  first: readonly number[],
  second: readonly number[],
  share: number,
): [number[], number[]] {
  const all = [...first, ...second].toSorted((a, b) => a - b)
  const longest = all[Math.ceil(all.length * share) - 1] ?? 0
  const within = (value: number): boolean => value <= longest
  return [first.filter(within), second.filter(within)]
}

/** So many checks are timed together: one alone is hardly longer than it takes to look at the clock. */
const batchSize = 20
/** Kept of the times, the shortest first. */
const keptShare = 0.9

/**
 * Times `checks` checks of each kind of keys, in an order that chance decides.
 *
 * @param makeKey Makes one of either kind: a text of its own for each check, as one from the wire is.
 */
export function compareTimes(
  check: (key: string) => boolean,
  makeKey: (kind: 0 | 1) => string,
  checks: number,
): number {
  const times: [number[], number[]] = [[], []]
  const kinds = shuffled(2 * Math.ceil(checks / batchSize))
  let passed = 0
  const time = (kind: 0 | 1): number => {
    const batch = Array.from({ length: batchSize }, () => makeKey(kind))
    const begun = process.hrtime.bigint()
    for (const key of batch) if (check(key)) passed++
    return Number(process.hrtime.bigint() - begun)
  }
  // Before, some that count for nothing: code is not compiled while it is timed.
  for (const kind of kinds.slice(0, kinds.length / 4)) time(kind)
  for (const kind of kinds) times[kind].push(time(kind))
  if (passed > 0) throw new Error(`${passed} keys passed that were to be wrong`)
  return welchT(...cropped(...times, keptShare))
}

/** As many of either kind. */
function shuffled(count: number): (0 | 1)[] {
  const kinds = Array.from({ length: count }, (_, index) => (index % 2) as 0 | 1)
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    ;[kinds[last], kinds[other]] = [kinds[other] as 0 | 1, kinds[last] as 0 | 1]
  }
  return kinds
}
