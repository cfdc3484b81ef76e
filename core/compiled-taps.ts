import type { Tap } from './tap-runner.ts'

/** Told where a run of taps is left, in what way, and what it was run with; what it returns is the run's result. */
export interface Exits<R> {
  /** The tap at `index` returned something. */
  stopped(index: number, answer: unknown, subject: unknown, second: unknown): R | undefined
  /** The tap at `index` threw. */
  failed(index: number, thrown: unknown, subject: unknown, second: unknown): R | undefined
}

/** Runs taps in their order, up to the first one that throws or returns something but undefined. */
export type CompiledTaps<R> = (subject: unknown, second?: unknown) => R | undefined

/**
 * Makes a function of the taps by generating its code, as tapable does: each tap has a line of its own in it, so the
 * engine knows what is called there and can put the tap's code in its place. Of a loop it knows neither; three hooks with
 * three empty taps each take a quarter of the time so. tapable's code does not tell which tap it was that stopped a run,
 * so each tap would need a wrapper, and the wrappers would share the one line where they call their taps.
 */
export function compileTaps<R>(taps: readonly Tap[], exits: Exits<R>): CompiledTaps<R> {
  const lines = taps.map(({ takesTwo }, index) => {
    const given = takesTwo ? 'subject, second' : 'subject'
    return `at = ${index}; answer = tap${index}(${given}); if (answer !== undefined) break run`
  })
  const body = `'use strict'
    const [${taps.map((_, index) => `tap${index}`).join(', ')}] = functions
    return (subject, second) => {
      let at, answer
      run: try {
        ${lines.join('\n')}
        return undefined
      } catch (thrown) {
        return exits.failed(at, thrown, subject, second)
      }
      return exits.stopped(at, answer, subject, second)
    }`
  const functions = taps.map(({ fn }) => fn)
  // oxlint-disable-next-line typescript/no-implied-eval -- of numbers alone; the taps are handed in
  return new Function('functions', 'exits', body)(functions, exits) as CompiledTaps<R>
}
