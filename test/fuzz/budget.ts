import { randomInt } from 'node:crypto'

/** What a run without options tries, all files of this folder together. */
export const defaultCases = 50_000

/**
 * How many cases a test tries: its part of the whole, in hundredths. `npm run test:fuzz` sets the whole.
 */
export function cases(percent: number): number {
  const total = Number(process.env['FUZZ_CASES'] ?? defaultCases)
  return Math.max(1, Math.round((total * percent) / 100))
}

/** Where chance begins. A failure names it, and with it the same cases come again. */
export const seed: number = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31 - 1))

/** Milliseconds a test may take: the more cases, the more. */
export function patienceMs(ofDefault: number): number {
  return Math.max(1, cases(100) / defaultCases) * ofDefault
}

/** The end of a failure's message. */
export function again(part: string): string {
  return `again with: npm run test:fuzz -- --only ${part} --seed ${seed} --cases ${cases(100)}`
}
