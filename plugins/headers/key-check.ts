import { hash, randomBytes } from 'node:crypto'

/** Longer keys are refused unread: hashing megabytes for strangers would be work they choose. */
export const maxKeyLength = 1024

/** Whether a key is one of those of a list. */
export type KeyCheck = (key: string, keys: readonly string[]) => boolean

/**
 * Compares hashes salted with what no caller knows: how long a look-up takes says nothing about the keys. A list is
 * hashed once; config is frozen, so a changed list is another object.
 */
export function createKeyCheck(): KeyCheck {
  const salt = randomBytes(32).toString('base64')
  const hashed = new WeakMap<readonly string[], ReadonlySet<string>>()
  const digest = (key: string): string => hash('sha256', salt + key, 'base64')
  return (key, keys) => {
    if (key.length > maxKeyLength) return false
    let known = hashed.get(keys)
    if (known === undefined) hashed.set(keys, (known = new Set(keys.map(digest))))
    return known.has(digest(key))
  }
}
