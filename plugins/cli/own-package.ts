import { readFileSync } from 'node:fs'

/** What is used of zask's own package.json. */
export interface OwnPackage {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly devDependencies: Readonly<Record<string, string>>
}

/** zask's own package.json, which is found from the sources and from `dist` alike. */
export function ownPackage(): OwnPackage {
  const file = new URL(import.meta.resolve('zask/package.json'))
  return JSON.parse(readFileSync(file, 'utf8')) as OwnPackage
}
