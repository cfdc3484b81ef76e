import type { Config, ConfigRule } from './config.ts'
import { succeeds, ZaskError } from './errors.ts'
import { checkOptions } from './options.ts'
import { shown } from './secrets.ts'
import {
  checkKey,
  type CurveClientKeys,
  curveKeyPair,
  type CurveServerKeys,
  publicKeyOf,
} from './wire/curve.ts'
import { isInproc } from './wire/endpoint.ts'

/**
 * Who may call a server: the callers with these public keys; `'any'` who knows the server's public key; or, with
 * `'plaintext'`, who reaches the endpoint, without encryption. A Set may change: it is looked at in each handshake.
 */
export type CurveAllow = readonly string[] | ReadonlySet<string> | 'any' | 'plaintext'

/** How a server encrypts. Keys are Z85 text, as `curveKeyPair()` and `zask keygen` make them. */
export interface CurveServerOptions {
  /** Default: config `CURVE_SECRET_KEY`. */
  secretKey?: string
  /** Default: what is known of the service's endpoint, then config `CURVE_ALLOW`. */
  allow?: CurveAllow
}

/** How a client encrypts. */
export interface CurveClientOptions {
  /** The public key of the server. Default: what is known of the service's endpoint. */
  serverKey?: string
  /** Who the client is. Default: config `CURVE_SECRET_KEY`, or a pair made for this client alone. */
  secretKey?: string
  /** Follows from the secret key; where it is given, too, it must belong to it. */
  publicKey?: string
}

/** What whoever knows the endpoints of a service may know besides. */
export interface ServiceCurve {
  /** The public key of the service, for its clients. */
  readonly serverKey?: string | undefined
  /** Whom the service lets in. */
  readonly allow?: CurveAllow | undefined
}

const keyForm = 'a CURVE key, 40 characters of Z85 as `zask keygen` prints them'
const allowForm = "a list of public CURVE keys, 'any' or 'plaintext'"

/** Declares the keys of core's config that are about encryption. */
export function declareCurve(config: Config): void {
  config.check('CURVE_SECRET_KEY', keyRule, 'null')
  config.check('CURVE_PUBLIC_KEY', keyRule, 'null')
  config.check('CURVE_ALLOW', allowRule, 'null')
}

const keyRule: ConfigRule = (value) => (succeeds(() => checkKey(value, '')) ? undefined : keyForm)
const allowRule: ConfigRule = (value) => (succeeds(() => checkAllow(value, '')) ? undefined : allowForm)

/**
 * The keys of a server, or undefined where it is to serve without encryption; `'plaintext'` where that was said in so
 * many words. Errors: `ZASK_CURVE_KEY_INVALID`, and `ZASK_CURVE_INCOMPLETE` where there is a key and nothing says who
 * may call, or the other way round.
 */
export function serverKeys(
  given: CurveServerOptions | undefined,
  known: ServiceCurve | undefined,
  config: Config,
): CurveServerKeys | 'plaintext' | undefined {
  if (given !== undefined) checkOptions('curve', given, ['secretKey', 'allow'])
  const own = secretOf(given, config)
  const said = given?.allow ?? known?.allow
  if (said !== undefined) checkAllow(said, given?.allow === undefined ? 'curve_allow' : 'curve.allow')
  // Config is looked at in each handshake: what is set at run time works on the next one.
  const allow = (): CurveAllow | undefined =>
    said ?? (config.get('CURVE_ALLOW') as CurveAllow | null) ?? undefined
  const first = allow()
  if (first === 'plaintext') return first
  if (first === undefined && own === undefined && given === undefined) return undefined
  if (first === undefined) {
    throw incomplete(
      'CURVE is on, and nothing says who may call. Give curve.allow, or CURVE_ALLOW in the config: a list of the ' +
        "callers' public keys, 'any' for whoever knows the server's public key, or 'plaintext' to serve without " +
        'encryption.',
    )
  }
  if (own === undefined) {
    throw incomplete(
      'It is said who may call, and the server has no key to prove itself with. Make a pair with `zask keygen`, and ' +
        'give the secret key as curve.secretKey, or CURVE_SECRET_KEY in the config.',
    )
  }
  if (first !== 'any' && lists(first, own)) {
    throw invalid(
      "The list of those who may call has the server's own secret key in it. It takes public keys.",
    )
  }
  return { secretKey: own, admits: admission(allow) }
}

/**
 * A CURVE server that connects out, to a client that is bound, ends the process as soon as it turns somebody away or
 * connects a second time (libzmq 4.3.5, session_base.cpp: "zap_pipe == NULL").
 */
export function refuseOutward(
  keys: CurveServerKeys | 'plaintext' | undefined,
  connects: readonly string[],
): void {
  if (keys === undefined || keys === 'plaintext' || connects.every(isInproc)) return
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `A service cannot connect out to ${connects.join(', ')} with CURVE: ZeroMQ ends the process when such a ` +
      "connection is refused. Bind the service, or say curve: { allow: 'plaintext' }.",
  )
}

/** The other end of what `refuseOutward` refuses. */
export function refuseWaiting(bound: readonly string[]): void {
  if (bound.every(isInproc)) return
  throw new ZaskError(
    'ZASK_OPTION_INVALID',
    `A client that is bound (${bound.join(', ')}) cannot encrypt, because no service can connect out to it with CURVE. ` +
      'Bind the service.',
  )
}

/** The keys of a client, or undefined where it is to call without encryption. Errors as of `serverKeys`. */
export function clientKeys(
  given: CurveClientOptions | undefined,
  known: ServiceCurve | undefined,
  config: Config,
): CurveClientKeys | undefined {
  if (given !== undefined) checkOptions('curve', given, ['serverKey', 'secretKey', 'publicKey'])
  const secretKey = secretOf(given, config)
  const publicKey = given?.publicKey
  if (publicKey !== undefined) {
    checkKey(publicKey, 'curve.publicKey')
    if (secretKey === undefined)
      throw incomplete('curve.publicKey was given without its secret key. Give curve.secretKey, too.')
    checkPair(publicKey, secretKey, 'curve.publicKey')
  }
  const serverKey = given?.serverKey ?? known?.serverKey
  if (serverKey === undefined) {
    if (given === undefined) return undefined
    throw incomplete(
      'curve was given without the public key of the server, which a client needs beforehand. Give curve.serverKey.',
    )
  }
  checkKey(serverKey, given?.serverKey === undefined ? 'curve_server_key' : 'curve.serverKey')
  if (serverKey === secretKey) {
    throw invalid("The server key is the client's own secret key. It is the public key of the server.")
  }
  const pair = secretKey === undefined ? curveKeyPair() : { secretKey, publicKey: publicKeyOf(secretKey) }
  return { ...pair, serverKey, ephemeral: secretKey === undefined }
}

/** Who this process is, by option or config. */
function secretOf(given: { secretKey?: string } | undefined, config: Config): string | undefined {
  if (given?.secretKey !== undefined) return checkKey(given.secretKey, 'curve.secretKey')
  const configured = config.get('CURVE_SECRET_KEY')
  if (typeof configured !== 'string') return undefined
  const publicKey = config.get('CURVE_PUBLIC_KEY')
  if (typeof publicKey === 'string') checkPair(publicKey, configured, 'CURVE_PUBLIC_KEY')
  return configured
}

function checkPair(publicKey: string, secretKey: string, called: string): void {
  if (publicKeyOf(secretKey) === publicKey) return
  const swapped = publicKeyOf(publicKey) === secretKey
  throw invalid(
    `${called} does not belong to the secret key${swapped ? ': the two are swapped' : ''}. ` +
      'Give the two keys of one pair, as `zask keygen` prints them.',
  )
}

function checkAllow(value: unknown, called: string): void {
  if (value === 'any' || value === 'plaintext') return
  if (!Array.isArray(value) && !(value instanceof Set))
    throw invalid(`${called} is ${allowForm}, got ${shown(value, 'key')}.`)
  ;[...value].forEach((key, index) => checkKey(key, `${called}[${index}]`))
}

/** Looks keys up; a list is made a Set of once, as long as it stays the same one. */
function admission(allow: () => CurveAllow | undefined): (publicKey: string) => boolean {
  let [made, from]: [ReadonlySet<string>, unknown] = [new Set(), undefined]
  return (publicKey) => {
    const now = allow()
    if (now === 'any') return true
    if (now === undefined || now === 'plaintext') return false
    if (isSet(now)) return now.has(publicKey)
    if (now !== from) [made, from] = [new Set(now), now]
    return made.has(publicKey)
  }
}

function lists(allow: readonly string[] | ReadonlySet<string>, key: string): boolean {
  return isSet(allow) ? allow.has(key) : allow.includes(key)
}

function isSet(allow: readonly string[] | ReadonlySet<string>): allow is ReadonlySet<string> {
  return 'has' in allow
}

function incomplete(message: string): ZaskError {
  return new ZaskError('ZASK_CURVE_INCOMPLETE', message)
}

function invalid(message: string): ZaskError {
  return new ZaskError('ZASK_CURVE_KEY_INVALID', message)
}
