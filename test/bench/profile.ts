import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** What V8 writes for `--cpu-prof`: a node for each place in the call tree, and the node seen at each sample. */
interface CpuProfile {
  readonly nodes: readonly {
    id: number
    callFrame: { functionName: string; url: string; lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const root: string = new URL('../../', import.meta.url).href

/** Where the time of each profiled process went: by folder or package, and by function. Time asleep is left out. */
export function renderProfiles(folder: string): string {
  const files = readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))
  const blocks = files.toSorted().map((file) => {
    const profile: CpuProfile = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    return `${basename(file, '.cpuprofile')}\n${renderProfile(profile)}`
  })
  return [...blocks, `The profiles are in ${folder}`].join('\n\n') + '\n'
}

export function renderProfile({ nodes, samples, timeDeltas }: CpuProfile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const byArea = new Map<string, number>()
  const byFunction = new Map<string, number>()
  let all = 0
  for (const [i, id] of samples.entries()) {
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === '(idle)') continue
    const time = timeDeltas[i] ?? 0
    all += time
    const where = place(frame.url)
    // Native code has no url; V8 gives its own doings, like the collector's, a name in brackets.
    const area = where === '' ? (/^\(.*\)$/.test(frame.functionName) ? frame.functionName : 'native') : where
    const name = `${frame.functionName || '(anonymous)'} ${where}${where === '' ? '' : `:${frame.lineNumber + 1}`}`
    byArea.set(area, (byArea.get(area) ?? 0) + time)
    byFunction.set(name, (byFunction.get(name) ?? 0) + time)
  }
  const top = (times: ReadonlyMap<string, number>, count: number): string[] =>
    [...times]
      .toSorted((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(([name, time]) => `  ${((time / all) * 100).toFixed(1).padStart(5)} %  ${name.trimEnd()}`)
  return ['by place', ...top(byArea, 12), 'by function', ...top(byFunction, 20)].join('\n')
}

/** A file of this repository, the name of a package, or 'node:...'. */
function place(url: string): string {
  const [, dependency] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
  if (dependency !== undefined) return dependency
  return url.startsWith(root) ? url.slice(root.length) : url
}
