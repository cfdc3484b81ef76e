import { inspect } from 'node:util'
import { isRecord } from '../record.ts'

/** A record of bunyan, as its raw streams get it. */
export type LogRecord = Readonly<Record<string, unknown>>

const levels: Readonly<Record<number, { readonly name: string; readonly color: number }>> = {
  10: { name: 'TRACE', color: 90 },
  20: { name: 'DEBUG', color: 36 },
  30: { name: 'INFO ', color: 32 },
  40: { name: 'WARN ', color: 33 },
  50: { name: 'ERROR', color: 31 },
  60: { name: 'FATAL', color: 35 },
}

/** A record as JSON on one line; also what JSON leaves alone cannot steer a terminal. */
export function jsonText(record: LogRecord): string {
  return JSON.stringify(record).replace(unprintable, (character) => `\\u${hex(character, 4)}`)
}

/** A record for people: `13:33:16.433 INFO  users.name: message key=value`, and stacks on lines of their own below. */
export function readableText(record: LogRecord, colors: boolean): string {
  const paint = (code: number, text: string): string => (colors ? `\u001b[${code}m${text}\u001b[0m` : text)
  const { v: _v, name: _name, hostname: _host, pid: _pid, level, time, msg, call, err, ...fields } = record
  const { name, color } = levels[Number(level)] ?? { name: String(level).padEnd(5), color: 0 }
  const where = isRecord(call)
    ? [call['service'], call['method']].filter((part) => typeof part === 'string').join('.')
    : ''
  const words = [paint(90, timeOf(time)), paint(color, name)]
  if (where !== '') words.push(paint(1, `${escaped(where)}:`))
  if (typeof msg === 'string' && msg !== '') words.push(lines(msg).replaceAll('\n', '\n    '))
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) words.push(`${paint(90, `${escaped(key)}=`)}${shown(value)}`)
  }
  if (isRecord(call)) {
    for (const key of ['requestId', 'id']) {
      if (call[key] !== undefined) words.push(paint(90, `${key === 'id' ? 'call' : key}=${shown(call[key])}`))
    }
  }
  const text = words.join(' ')
  return isRecord(err) ? `${text}\n${errorText(err)}` : err === undefined ? text : `${text} err=${shown(err)}`
}

function errorText(error: Readonly<Record<string, unknown>>): string {
  const { stack, name, message, code, remoteTraceback, cause, details } = error
  const head = typeof stack === 'string' && stack !== '' ? stack : `${String(name)}: ${String(message)}`
  const notes = Object.entries({ code, details }).filter(([, value]) => value !== undefined)
  const more = notes.map(([key, value]) => ` ${key}=${shown(value)}`).join('')
  const parts = [`${lines(head)}${more}`]
  if (typeof remoteTraceback === 'string') parts.push(`there: ${lines(remoteTraceback)}`)
  if (isRecord(cause)) parts.push(`caused by: ${errorText(cause).trimStart()}`)
  return parts.map((part) => `    ${part.replaceAll('\n', '\n    ')}`).join('\n')
}

function timeOf(time: unknown): string {
  const date = time instanceof Date ? time : new Date(String(time))
  return Number.isNaN(date.getTime()) ? '--:--:--.---' : date.toISOString().slice(11, 23)
}

/** Plain text as it is where it cannot be misread, else in quotes. */
function shown(value: unknown): string {
  if (typeof value === 'string')
    return /^[\w.:/@*-]+$/.test(value) ? value : JSON.stringify(value).replace(unprintable, show)
  return escaped(inspect(value, { depth: 8, breakLength: Infinity, compact: true }))
}

/** Lines as they are; whoever uses them sets them in, so that nothing logged looks like a record of its own. */
function lines(text: string): string {
  return text.split(/\r?\n/).map(escaped).join('\n')
}

function escaped(text: string): string {
  return text.replace(unprintable, show).replaceAll('\n', '\\n')
}

function show(character: string): string {
  return character.charCodeAt(0) < 256 ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`
}

/** C0 but the newline, DEL, C1, separators of lines, and marks that reverse the direction of text. */
// oxlint-disable-next-line no-control-regex -- finding them is the point
const unprintable = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g

function hex(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, '0')
}
