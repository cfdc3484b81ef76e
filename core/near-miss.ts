/** Longer names are compared by their beginnings: the name may come from a stranger, and the cost is quadratic. */
const comparedLength = 64

/** Candidates in order of likeness to a name that was not found, most alike first; ties keep their order. */
export function byLikeness(name: string, candidates: Iterable<string>): string[] {
  return [...candidates]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate)
}

/** The candidate somebody who wrote `name` most likely meant; undefined where none is alike enough to suggest. */
export function nearMiss(name: string, candidates: Iterable<string>): string | undefined {
  const [nearest] = byLikeness(name, candidates)
  if (nearest === undefined) return undefined
  const tolerated = Math.max(1, Math.floor(Math.min(name.length, nearest.length) / 3))
  return editDistance(name, nearest) <= tolerated ? nearest : undefined
}

/** Letters inserted, dropped, replaced or swapped with their neighbour; case counts for nothing. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, comparedLength).toLowerCase()
  const b = right.slice(0, comparedLength).toLowerCase()
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      let cheapest = Math.min(last[column]! + 1, current[column - 1]! + 1, replaced)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cheapest = Math.min(cheapest, beforeLast[column - 2]! + 1)
      }
      current[column] = cheapest
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
