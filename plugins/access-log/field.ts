/** Bytes of one value in a line. */
const maxLength = 256

/**
 * A value as a line of the access log shows it, at most 256 bytes long. Whatever is not printable ASCII, the quote
 * and the backslash are written as `\xHH`, byte by byte in UTF-8, so that no value can end its line, its quotes, or
 * speak to a terminal.
 *
 * @param spaces Whether spaces may stand: within quotes they may.
 */
export function field(value: unknown, spaces: boolean): string {
  const text = plainText(value)
  if (text === '') return spaces ? '' : '""'
  const sound = spaces ? quotable : bare
  if (text.length <= maxLength && sound.test(text)) return text
  let shown = ''
  // By characters, and no more of them than can be shown: a caller may send megabytes.
  for (const character of text.slice(0, maxLength + 1)) {
    const part = sound.test(character) ? character : escaped(character)
    if (shown.length + part.length > maxLength) return `${cut(shown)}...`
    shown += part
  }
  return shown
}

/** The start of a text that JSON can show without growing out of bounds. */
export function bounded(value: unknown): string {
  const text = plainText(value)
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 3)}...`
}

const bare = /^[!#-[\]-~]*$/
const quotable = /^[ !#-[\]-~]*$/

function escaped(character: string): string {
  let text = ''
  for (const byte of Buffer.from(character)) text += `\\x${byte.toString(16).padStart(2, '0')}`
  return text
}

/** Room for the dots, and no half of an escape before them. */
function cut(shown: string): string {
  const text = shown.slice(0, maxLength - 3)
  const start = text.lastIndexOf('\\')
  return start > text.length - 4 && start >= 0 ? text.slice(0, start) : text
}

/** Headers hold what the caller likes; nothing of it is run. */
function plainText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value)
    default:
      return Array.isArray(value) ? '[list]' : ArrayBuffer.isView(value) ? '[bytes]' : '[map]'
  }
}
