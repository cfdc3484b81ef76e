/** Routing frames before the payload: more is no proxy chain but an attack. */
export const maxEnvelopeFrames = 8
/** ZeroMQ's limit for the identity of a peer. What is remembered of each must not be the peer's to choose. */
const maxIdentityBytes = 255

/** Whether the first frames of a message can be the way back to its sender. */
export function isEnvelope(frames: Buffer[], length: number): boolean {
  for (let index = 0; index < length; index++) {
    if ((frames[index] as Buffer).length > maxIdentityBytes) return false
  }
  return true
}

/** The way back as the key of a table. */
export function envelopeKey(frames: Buffer[], length: number): string {
  // No identity has this character, so nobody can choose one that is taken for a way through a proxy.
  let key = '\u0100'
  for (let index = 0; index < length; index++) {
    const frame = frames[index] as Buffer
    key += `${frame.length}:${frame.toString('latin1')}`
  }
  return key
}

/**
 * A frame in memory of its own. A view would hold its whole message, and a small copy by `Buffer.from` a slab of 8 KiB
 * that many share: each would be held for as long as one of them is.
 */
export function copyOf(frame: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(frame.length)
  frame.copy(copy)
  return copy
}
