import { readFile } from 'node:fs/promises'
import type { Logger } from './logger.ts'

/** Fewer connections and files than this are soon used up: each connection is one. */
const fewOpenFiles = 4096
/** How often the same kind of trouble may be in the log, in milliseconds: strangers decide how often there is some. */
const quietMs = 10_000

/** Whether other machines can connect to a bound endpoint, told by its real address. */
export function isExposed(endpoint: string): boolean {
  const host = /^tcp:\/\/\[?([^\]]*?)\]?:\d+$/.exec(endpoint)?.[1]
  return host !== undefined && !/^(127\.|::1$|::ffff:127\.)/i.test(host)
}

/** Says which of the endpoints just bound anybody may use. */
export function warnOfPlaintext(log: Logger, endpoints: readonly string[]): void {
  const exposed = endpoints.filter(isExposed)
  if (exposed.length === 0) return
  log.warn(
    { endpoints: exposed },
    `${exposed.join(', ')} can be reached from other machines and does not encrypt: whoever gets there can call, and ` +
      'who listens on the way reads calls and keys. Encrypt with CURVE (`zask keygen` makes keys), bind to 127.0.0.1, ' +
      "or say allow: 'plaintext' where the network is private.",
  )
}

/** Says so where the process may open few files. Where the system does not tell, neither does this. */
export async function warnOfFewFiles(log: Logger, path = '/proc/self/limits'): Promise<void> {
  const limits = await readFile(path, 'utf8').catch(() => '')
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? NaN)
  if (!(limit < fewOpenFiles)) return
  log.warn(
    { limit },
    `this process may have ${limit} files open, and each connection is one: beyond it nobody can connect. Raise it ` +
      `with \`ulimit -n ${fewOpenFiles * 4}\` or LimitNOFILE= of systemd.`,
  )
}

/** Logs who was turned away, so seldom that strangers cannot fill the log. */
export class StrangerLog {
  readonly #log: () => Logger
  readonly #seen = new Map<string, { since: number; more: number }>()

  constructor(log: () => Logger) {
    this.#log = log
  }

  /** @param reason As the counters have it. Others than these two are every port scanner's, and not logged. */
  note(reason: string, publicKey?: string, address?: string): void {
    if (reason !== 'unknown key' && reason !== 'not accepted') return
    const [now, last] = [performance.now(), this.#seen.get(reason)]
    if (last !== undefined && now - last.since < quietMs) {
      last.more++
      return
    }
    this.#seen.set(reason, { since: now, more: 0 })
    const times = last === undefined || last.more === 0 ? '' : ` (and ${last.more} times before)`
    if (reason === 'unknown key') {
      this.#log().warn(
        { publicKey, address },
        `turned away a caller at ${address} whose public key ${publicKey} is not listed${times}`,
      )
    } else {
      this.#log().error(
        `cannot take more connections: the process has no file descriptor left${times}. Raise \`ulimit -n\`.`,
      )
    }
  }
}
