import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ZaskError } from '../errors.ts'

/** Both keys as Z85 text of 40 characters (ZeroMQ RFC 32), as zerorpc, pyzmq and libzmq write them. */
export interface CurveKeyPair {
  /** For everybody: callers need that of a server, a server lists those of its callers. */
  readonly publicKey: string
  /** For its owner alone. */
  readonly secretKey: string
}

/** How a server proves itself and whom it lets in. */
export interface CurveServerKeys {
  readonly secretKey: string
  /** Looked at in each handshake: must answer at once. */
  admits(publicKey: string): boolean
}

/** How a caller proves itself, and which server it wants. */
export interface CurveClientKeys extends CurveKeyPair {
  readonly serverKey: string
  /** The pair was made for this client alone: no server can know it. */
  readonly ephemeral: boolean
}

/** CURVE keys are those of X25519; these DER heads turn 32 raw bytes into what node:crypto reads (RFC 8410). */
const secretHead = Buffer.from('302e020100300506032b656e04220420', 'hex')
const keyBytes = 32

/** Makes a CURVE key pair. */
export function curveKeyPair(): CurveKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return { publicKey: toZ85(rawPublic(publicKey)), secretKey: toZ85(rawSecret(privateKey)) }
}

/** The public key that belongs to a secret one, which must be a key. */
export function publicKeyOf(secretKey: string): string {
  const der = Buffer.concat([secretHead, fromZ85(secretKey) as Buffer])
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return toZ85(rawPublic(createPublicKey(secret)))
}

function rawPublic(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-keyBytes)
}

function rawSecret(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' }).subarray(-keyBytes)
}

/**
 * The value, if it is a CURVE key. Errors bear its length and the place of a wrong character, never the value:
 * it may be a secret.
 *
 * @param called What the caller calls it: `curve.secretKey`.
 * @throws ZaskError `ZASK_CURVE_KEY_INVALID`
 */
export function checkKey(value: unknown, called: string): string {
  const wrong = typeof value === 'string' ? fault(value) : `it is ${kindOf(value)}, and a key is text`
  if (wrong === undefined) return value as string
  throw new ZaskError(
    'ZASK_CURVE_KEY_INVALID',
    `${called} is no CURVE key: ${wrong}. A key is 40 characters of Z85, as \`zask keygen\` prints it.`,
    { details: { key: called } },
  )
}

function fault(key: string): string | undefined {
  if (key.length !== 40) return `it has ${key.length} characters`
  const place = Array.from(key).findIndex((character) => !alphabet.includes(character))
  if (place >= 0) return `its character ${place + 1} is not one of Z85`
  return fromZ85(key) === undefined ? 'five of its characters stand for more than four bytes' : undefined
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `of type ${typeof value}`
}

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

/** Bytes, a multiple of four, as text: base 85, the digits of RFC 32. */
export function toZ85(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ''
  for (let offset = 0; offset < bytes.byteLength; offset += 4) {
    const value = view.getUint32(offset)
    for (let unit = 85 ** 4; unit >= 1; unit /= 85) text += alphabet[Math.floor(value / unit) % 85]
  }
  return text
}

/** Undefined for what is no Z85. */
function fromZ85(text: string): Buffer | undefined {
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let group = 0; group * 5 < text.length; group++) {
    let value = 0
    for (const character of text.slice(group * 5, group * 5 + 5)) {
      const digit = alphabet.indexOf(character)
      if (digit < 0) return undefined
      value = value * 85 + digit
    }
    if (value > 0xffff_ffff) return undefined
    bytes.writeUInt32BE(value, group * 4)
  }
  return bytes
}
