import type { Pair } from './pair.ts'

export interface MemorySample {
  readonly system: string
  readonly calls: number
  readonly clientBytes: number
  readonly serverBytes: number
}

/** Makes `calls` calls in ten parts and reads the bytes in use, heap and external, after each part. */
export async function runMemory(
  pair: Pair,
  calls: number,
  tell: (sample: MemorySample) => void,
): Promise<MemorySample[]> {
  const samples: MemorySample[] = []
  const parts = Math.min(10, calls)
  for (let part = 0; part <= parts; part++) {
    const done = Math.round((calls * part) / parts)
    const { client, server } = await pair.memoryAfter(part === 0 ? 0 : done - samples.at(-1)!.calls)
    const sample = { system: pair.system.name, calls: done, clientBytes: client, serverBytes: server }
    samples.push(sample)
    tell(sample)
  }
  return samples
}

export function renderMemorySample({ system, calls, clientBytes, serverBytes }: MemorySample): string {
  const count = calls.toLocaleString('en').padStart(10)
  return `${system}  ${count} calls  client ${mebibytes(clientBytes)}  server ${mebibytes(serverBytes)}`
}

/**
 * Growth over the second half of the run: the first makes caches and code, and a leak does not stop there.
 *
 * A leak of one object for each call would be at least 16 bytes, so less than one byte is called flat.
 */
export function renderMemoryVerdict(samples: readonly MemorySample[]): string {
  const middle = samples[samples.length >> 1]!
  const last = samples.at(-1)!
  const sides = (['clientBytes', 'serverBytes'] as const).map((side) => {
    const perCall = (last[side] - middle[side]) / Math.max(last.calls - middle.calls, 1)
    return `${side === 'clientBytes' ? 'client' : 'server'} ${perCall < 1 ? 'flat' : 'not flat'} (${perCall.toFixed(2)} bytes a call)`
  })
  return `${last.system}  second half: ${sides.join(', ')}`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`.padStart(10)
}
