import { readdirSync } from 'node:fs'
import { collectGarbage } from '../support/garbage.ts'

/** What a process holds at one moment, garbage left out. */
export interface Sample {
  /** Heap and external memory in use. */
  readonly liveBytes: number
  readonly rssBytes: number
  /** Open files and sockets. */
  readonly files: number
  /** What keeps the process from ending, by its kind. */
  readonly resources: Readonly<Record<string, number>>
}

export async function sample(): Promise<Sample> {
  // What buffers held is given back a turn later.
  for (let round = 0; round < 2; round++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  return {
    liveBytes: heapUsed + external,
    rssBytes: rss,
    files: readdirSync('/proc/self/fd').length,
    resources,
  }
}
