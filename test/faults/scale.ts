/**
 * Whether the whole set runs: real heartbeats and every repetition. Else, inside `npm test`, time is scaled down: the
 * beats come ten times as often, so what takes 15 seconds there is seen here in one and a half.
 */
export const full: boolean = process.env['FAULTS'] === 'full'

/** Milliseconds between heartbeats. */
export const beatMs: number = full ? 5000 : 500

/** How often something is done that is to hold every time. */
export function times(inFull: number, otherwise: number): number {
  return full ? inFull : otherwise
}
