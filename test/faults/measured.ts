import { appendFileSync } from 'node:fs'

/** A figure of a promise, as one run has found it. */
export interface Figure {
  readonly promise: string
  readonly what: string
  readonly value: number
  readonly unit: string
}

/** Names the file that takes the figures; where it is not set nobody wants them. */
export const figuresVariable = 'ZASK_FAULTS_FIGURES'

/**
 * Notes what was measured for a promise, such as `measured('P2', 'kill -9 until the last call failed', 31, 'ms')`. The
 * tests run in several processes: each figure is one line of a file.
 */
export function measured(promise: `P${number}`, what: string, value: number, unit: string): void {
  const path = process.env[figuresVariable]
  if (path === undefined) return
  const figure: Figure = { promise, what, value: rounded(value), unit }
  appendFileSync(path, `${JSON.stringify(figure)}\n`)
}

function rounded(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 10) / 10 : Math.round(value)
}
