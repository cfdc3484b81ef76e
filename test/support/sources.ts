import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { repository } from './processes.ts'

export interface Source {
  /** From the repository's folder, with slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

export interface Import {
  readonly line: number
  /** As it is written. */
  readonly specifier: string
  /** What a relative one leads to, from the repository's folder; undefined for a package. */
  readonly target: string | undefined
}

/** All files of core and plugins. */
export function sources(): Source[] {
  return ['core', 'plugins'].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .toSorted()
      .map((path) => {
        const own = posix.join(folder, ...path.split(/[\\/]/))
        const text = readFileSync(join(repository, own), 'utf8')
        return { path: own, text, imports: importsOf(own, text) }
      }),
  )
}

/** `import`, `export … from` and `import()` alike, those of types included: a type is knowledge, too. */
function importsOf(path: string, text: string): Import[] {
  const found = text.matchAll(
    /^(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  return [...found].map((match) => {
    const specifier = (match[1] ?? match[2] ?? match[3]) as string
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined
    return { line: text.slice(0, match.index).split('\n').length, specifier, target }
  })
}
