import { type Call, type Outcome, ZaskError } from '../../core/index.ts'
import { bounded, field } from './field.ts'

/** How a call looks in the log. */
export type AccessFormat = 'classic' | 'combined' | 'json'

/** What other plugins add to a call, where they are listed. */
type LoggedCall = Call & {
  readonly accessKey?: unknown
  readonly requestId?: unknown
  readonly dbStats?: unknown
}

/** One call as one line, without its newline. `timeMs` is when it ended, since the epoch. */
export type LineWriter = (call: LoggedCall, outcome: Outcome, timeMs: number) => string

/** Makes the lines of each format. */
export const lineWriters: Readonly<Record<AccessFormat, LineWriter>> = {
  /** `KEY - [2014-12-18 13:33:16,433] - "MySrv" - "foo" - OK - 1ms` */
  classic(call, outcome, timeMs) {
    const key = keyOf(call)
    const time = new Date(timeMs).toISOString().replace('T', ' ').replace('.', ',').slice(0, -1)
    const words = [
      key === undefined ? 'None' : field(key, false),
      `[${time}]`,
      `"${field(call.className ?? '-', true)}"`,
      `"${field(call.method, true)}"`,
      outcome.ok ? 'OK' : 'ERROR',
      `${Math.round(outcome.durationMs)}ms`,
    ]
    return words.join(' - ')
  },

  /** `- - KEY [22/Nov/2026:17:46:35 +0000] "MySrv foo" OK - - - - 1 a979357c-e69c-11f1-9b0e-02fc00000001` */
  combined(call, outcome, timeMs) {
    const [key, requestId] = [keyOf(call), requestIdOf(call)]
    const method = `"${field(call.className ?? '-', false)} ${field(call.method, true)}"`
    const words = [
      '- -',
      key === undefined ? '-' : field(key, false),
      `[${commonTime(timeMs)}]`,
      method,
      outcome.ok ? 'OK' : 'ERROR',
      // What the format has for web servers: bytes, referrer, user agent, cookies.
      '- - - -',
      Math.round(outcome.durationMs),
      requestId === undefined ? '-' : field(requestId, false),
    ]
    return words.join(' ')
  },

  json(call, outcome, timeMs) {
    const [key, requestId] = [keyOf(call), requestIdOf(call)]
    const record = {
      time: new Date(timeMs).toISOString(),
      key: key === undefined ? null : bounded(key),
      service: call.service === undefined ? null : bounded(call.service),
      version: call.version === undefined ? null : bounded(call.version),
      class: call.className ?? null,
      method: bounded(call.method),
      status: outcome.ok ? 'OK' : 'ERROR',
      ms: Math.round(outcome.durationMs * 1000) / 1000,
      ...(outcome.items !== undefined && { items: outcome.items }),
      ...(!outcome.ok && { error: errorOf(outcome.error) }),
      ...(requestId !== undefined && { requestId: bounded(requestId) }),
      // What a call asked of its databases, where a plugin has counted it.
      ...(call.dbStats !== undefined && { db: call.dbStats }),
      call: call.id,
      peer: call.peer ?? null,
    }
    return ascii(JSON.stringify(record))
  },
}

/** As the headers plugin took it, else as it was sent: the call may have been refused before any plugin ran. */
function keyOf({ accessKey, headers }: LoggedCall): unknown {
  return accessKey ?? headers['access_key'] ?? undefined
}

function requestIdOf({ requestId, headers }: LoggedCall): unknown {
  return requestId ?? headers['uuid'] ?? undefined
}

/** Name and code only: messages may hold what a log that many read must not show. */
function errorOf(error: unknown): { name: string; code?: string } {
  try {
    const name = error instanceof Error ? bounded(error.name) : 'Error'
    return error instanceof ZaskError ? { name, code: bounded(error.code) } : { name }
  } catch {
    return { name: 'Error' }
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** The time of the Common Log Format. */
function commonTime(timeMs: number): string {
  const date = new Date(timeMs)
  const day = String(date.getUTCDate()).padStart(2, '0')
  return `${day}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${date.toISOString().slice(11, 19)} +0000`
}

/** JSON leaves DEL, C1 and the separators of lines as they are. */
function ascii(json: string): string {
  return json.replace(
    /[\x7f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
