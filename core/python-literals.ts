import { brokenFile, positionAt } from './broken-file.ts'

/** Words that can only begin or join something that would have to run. */
const keywords = new Set(
  (
    'and as assert async await break class continue def del elif else except finally for from global if import ' +
    'in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
)

const constants = new Map<string, unknown>([
  ['True', true],
  ['False', false],
  ['None', null],
])

const escapes = new Map([
  ['\n', ''],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ...Object.entries({ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }),
])

const advice =
  'A .cfg file holds plain Python literals and is never executed: write the value out, or use a .ts file.'

/** Python's own limit: its parser answers "too many nested parentheses" beyond it. */
const deepest = 200

/**
 * Reads a settings file of Python assignments, so that one file can serve both languages. Nothing is executed.
 *
 * Taken are `NAME = literal` lines: text, bytes (as `Uint8Array`), numbers (an integer beyond 2^53 becomes a
 * BigInt), `True False None`, lists and tuples (both arrays), dicts (objects, keys as JSON writes them), names
 * assigned earlier, `os.environ['X']`, `os.environ.get('X', d)` and `os.getenv('X', d)`. `import os` and a docstring
 * are passed over.
 *
 * @param file Absolute path, for messages only.
 * @returns All names assigned, lowercase ones too, in the order of the file.
 * @throws ZaskError `ZASK_CONFIG_FILE_INVALID` with line and column at the first thing that is none of these.
 */
export function parsePythonLiterals(
  source: string,
  file: string,
  env: NodeJS.ProcessEnv,
): Record<string, unknown> {
  return new Parser(source, file, env).parse()
}

class Parser {
  readonly #source: string
  readonly #file: string
  readonly #env: NodeJS.ProcessEnv
  readonly #names = new Map<string, unknown>()
  /** Where each bracket not yet closed stands. Inside any, a line end is a blank. */
  readonly #open: number[] = []
  #at = 0

  constructor(source: string, file: string, env: NodeJS.ProcessEnv) {
    // Python reads all line ends as \n, inside triple-quoted text as well.
    this.#source = source.replace(/\r\n?/g, '\n')
    this.#file = file
    this.#env = env
  }

  parse(): Record<string, unknown> {
    for (let first = true; this.#nextLine(); first = false) {
      do {
        this.#statement(first)
        this.#skip()
      } while (this.#take(/;/y) !== undefined && !this.#atLineEnd())
      if (!this.#atLineEnd()) this.#fail(`${this.#found()} stands where the line should end`)
    }
    return Object.fromEntries(this.#names)
  }

  /** Goes to the next line that holds something; false at the end of the file. */
  #nextLine(): boolean {
    this.#take(/(?:[ \t\f]*(?:#[^\n]*)?\n)*/y)
    const indent = this.#take(/[ \t\f]*/y)
    if (this.#take(/#[^\n]*$/y) !== undefined || this.#at >= this.#source.length) return false
    if (indent) this.#fail('the line is indented, and there are no blocks here')
    return true
  }

  #statement(first: boolean): void {
    this.#skip()
    if (first && this.#atText()) {
      this.#strings()
      return
    }
    const start = this.#at
    const name = this.#name()
    if (name === undefined) this.#fail(`${this.#found()} stands where a NAME = value should begin`)
    this.#skip()
    if (name === 'import' && this.#take(/os(?![\p{ID_Continue}.])/uy) !== undefined) return
    if (keywords.has(name)) this.#fail(`"${name}" would have to be executed`, start)
    if (constants.has(name)) this.#fail(`"${name}" cannot be assigned to`, start)
    if (this.#take(/=(?!=)/y) === undefined) {
      this.#fail(`${this.#found()} follows the name ${name}, where "=" and a value should`)
    }
    this.#names.set(name, this.#bareTuple())
  }

  /** `1, 2` without parentheses is a tuple in an assignment, and only there. */
  #bareTuple(): unknown {
    const first = this.#expression()
    if (this.#take(/,/y) === undefined) return first
    const items = [first]
    while (!this.#atLineEnd()) {
      items.push(this.#expression())
      if (this.#take(/,/y) === undefined) break
    }
    return items
  }

  #expression(): unknown {
    this.#skip()
    const value = this.#atom()
    this.#skip()
    const start = this.#at
    const word = this.#name()
    this.#at = start
    const operator = word ?? this.#look(/==|[-+*/%|&^<>@!~([.]/y)
    if (operator !== undefined && (word === undefined || keywords.has(word))) {
      this.#fail(`"${operator}" would have to be executed`)
    }
    return value
  }

  #atom(): unknown {
    if (this.#atText()) return this.#strings()
    if (this.#look(/\.?\d/y) !== undefined) return this.#number()
    if (this.#look(/[-+]/y) !== undefined) return this.#signed()
    const bracket = this.#look(/[[({]/y)
    if (bracket === '{') return this.#dict()
    if (bracket !== undefined) return this.#sequence(bracket === '[' ? ']' : ')')
    return this.#named()
  }

  #signed(): number | bigint {
    const minus = this.#take(/[-+]/y) === '-'
    this.#skip()
    if (this.#look(/[-+.\d]/y) === undefined) this.#fail('a sign may stand before a number only')
    const start = this.#at
    const value = this.#look(/[-+]/y) === undefined ? this.#number() : this.#signed()
    // Python's integer -0 is 0; only the float keeps its sign.
    if (!minus || (value === 0 && !isFloat(this.#source.slice(start, this.#at)))) return value
    return -value
  }

  #number(): number | bigint {
    const start = this.#at
    const text = this.#take(
      /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:(?:\d(?:_?\d)*)?\.\d(?:_?\d)*|\d(?:_?\d)*\.?)(?:[eE][-+]?\d(?:_?\d)*)?/y,
    )?.replaceAll('_', '')
    const after = this.#look(/[\p{ID_Continue}.]/uy)
    if (text === undefined || after !== undefined) this.#fail('the number is not one of Python', start)
    if (isFloat(text)) return Number(text)
    if (/^0\d*[1-9]/.test(text)) this.#fail('an integer has no leading zeros (octal is 0o17)', start)
    const integer = BigInt(text)
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer
  }

  #sequence(close: ')' | ']'): unknown {
    const items: unknown[] = []
    let commas = 0
    this.#bracketed(close, () => {
      items.push(this.#expression())
      if (this.#comma(close)) commas++
    })
    return close === ')' && items.length === 1 && commas === 0 ? items[0] : items
  }

  #dict(): Record<string, unknown> {
    const entries = new Map<string, unknown>()
    const start = this.#at
    this.#bracketed('}', () => {
      this.#skip()
      const keyAt = this.#at
      const key = this.#key(this.#expression(), keyAt)
      if (this.#look(/[,}]/y) !== undefined) this.#fail('a set has no counterpart here: write a list', start)
      if (this.#take(/:/y) === undefined)
        this.#fail(`${this.#found()} follows a dict's key, where ":" should`)
      entries.set(key, this.#expression())
      this.#comma('}')
    })
    // fromEntries defines its properties, so a key `__proto__` is a key like any other.
    return Object.fromEntries(entries)
  }

  /** A dict's key as Python's own json module writes it: 1.0 is "1.0", True is "true". */
  #key(key: unknown, at: number): string {
    if (typeof key === 'string') return key
    if (typeof key === 'object' && key !== null)
      this.#fail('a dict has text, numbers, True, False or None as keys', at)
    const text = String(key)
    const written = this.#source.slice(at, this.#at)
    return typeof key === 'number' && isFloat(written) && /^-?\d+$/.test(text) ? `${text}.0` : text
  }

  /** From the opening bracket, which is next, to its `close`; `item` reads one item and the comma after it. */
  #bracketed(close: string, item: () => void): void {
    if (this.#open.length >= deepest) this.#fail(`brackets are nested more than ${deepest} deep`)
    this.#open.push(this.#at++)
    for (this.#skip(); this.#source[this.#at] !== close; this.#skip()) item()
    this.#at++
    this.#open.pop()
  }

  /** True when it took a comma; otherwise the bracket must end here. */
  #comma(close: string): boolean {
    if (this.#take(/,/y) !== undefined) return true
    if (this.#source[this.#at] !== close) this.#fail(`${this.#found()} stands where "," or "${close}" should`)
    return false
  }

  #named(): unknown {
    const start = this.#at
    const name = this.#name()
    if (name === undefined) this.#fail(`${this.#found()} stands where a value should`)
    if (constants.has(name)) return constants.get(name)
    if (name === 'os') return this.#environment(start)
    this.#skip()
    if (keywords.has(name) || this.#look(/[(.]/y) !== undefined) {
      this.#fail(`"${name}" would have to be executed`, start)
    }
    if (!this.#names.has(name)) this.#fail(`${name} is neither a literal nor a name assigned earlier`, start)
    return this.#names.get(name)
  }

  #environment(start: number): unknown {
    const form = this.#take(/\s*\.\s*(?:environ\s*(?:\.\s*get\s*(?=\()|(?=\[))|getenv\s*(?=\())/y)
    if (form === undefined) {
      this.#fail(
        `of "os" there is only os.environ['X'], os.environ.get('X', default) and os.getenv('X', default)`,
        start,
      )
    }
    const indexed = this.#source[this.#at] === '['
    const args = this.#sequenceOfArguments(indexed ? ']' : ')')
    const [name, otherwise = null] = args
    if (typeof name !== 'string' || args.length > (indexed ? 1 : 2)) {
      this.#fail(
        `${indexed ? 'one text' : 'one text, and a default if you like,'} names an environment variable`,
        start,
      )
    }
    if (Object.hasOwn(this.#env, name)) return this.#env[name]
    if (!indexed) return otherwise
    return this.#fail(
      `environment variable ${name} is not set: set it, or write os.environ.get('${name}', default)`,
      start,
    )
  }

  #sequenceOfArguments(close: ')' | ']'): unknown[] {
    const items: unknown[] = []
    this.#bracketed(close, () => {
      items.push(this.#expression())
      this.#comma(close)
    })
    return items
  }

  #atText(): boolean {
    return this.#look(/[A-Za-z]{0,2}['"]/y) !== undefined
  }

  /** One text or bytes, of all the pieces that stand side by side. */
  #strings(): string | Uint8Array {
    const start = this.#at
    const texts: string[] = []
    const bytes: Uint8Array[] = []
    for (; this.#atText(); this.#skip()) {
      const piece = this.#string()
      if (typeof piece === 'string') texts.push(piece)
      else bytes.push(piece)
    }
    if (bytes.length === 0) return texts.join('')
    if (texts.length > 0) this.#fail('text and bytes stand side by side, and do not join', start)
    return new Uint8Array(Buffer.concat(bytes))
  }

  #string(): string | Uint8Array {
    const start = this.#at
    const prefix = this.#take(/[A-Za-z]*/y)?.toLowerCase() ?? ''
    if (!['', 'r', 'u', 'b', 'br', 'rb'].includes(prefix)) {
      const what = prefix.includes('f')
        ? 'an f-string would have to be executed'
        : `no text begins with ${prefix}`
      this.#fail(what, start)
    }
    const quote = this.#take(/'''|"""|['"]/y) ?? ''
    const from = this.#at
    for (;;) {
      const char = this.#source[this.#at]
      if (char === undefined || (char === '\n' && quote.length === 1))
        this.#fail('the text is never closed', start)
      if (this.#source.startsWith(quote, this.#at)) break
      // In raw text too a backslash keeps a quote from closing, though it stays in the value.
      this.#at += char === '\\' ? 2 : 1
    }
    const bytes = prefix.includes('b')
    const written = this.#source.slice(from, this.#at)
    this.#at += quote.length
    const odd = bytes ? written.search(/[^\0-\x7f]/) : -1
    if (odd >= 0) this.#fail('bytes are written in ASCII, other values as \\x41', from + odd)
    const text = prefix.includes('r') ? written : this.#unescape(written, from, bytes)
    return bytes ? Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff) : text
  }

  #unescape(written: string, from: number, bytes: boolean): string {
    const escape = /\\([0-7]{1,3}|x[\da-fA-F]{0,2}|u[\da-fA-F]{0,4}|U[\da-fA-F]{0,8}|[^])/g
    return written.replace(escape, (whole: string, code: string, offset: number) => {
      const simple = escapes.get(code)
      if (simple !== undefined) return simple
      if (/^[0-7]/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8))
      const digits = { x: 2, u: 4, U: 8 }[code.charAt(0)]
      const wide = code.charAt(0) !== 'x'
      // What Python does not know as an escape it leaves as it is, backslash included.
      if ((digits === undefined && code !== 'N') || (bytes && wide)) return whole
      const point = Number.parseInt(code.slice(1), 16)
      if (digits === undefined || code.length !== digits + 1 || point > 0x10ffff) {
        this.#fail(`the escape ${whole} is not complete, or not supported`, from + offset)
      }
      return String.fromCodePoint(point)
    })
  }

  #name(): string | undefined {
    return this.#take(/[\p{ID_Start}_]\p{ID_Continue}*/uy)
  }

  /** Over blanks and comments, and inside brackets over line ends. */
  #skip(): void {
    if (this.#open.length > 0) this.#take(/(?:[ \t\f\n]+|\\\n|#[^\n]*)*/y)
    else this.#take(/(?:[ \t\f]+|\\\n)*(?:#[^\n]*)?/y)
  }

  #atLineEnd(): boolean {
    this.#skip()
    return this.#look(/[\n;]|$/y) !== undefined
  }

  #look(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)?.[0]
  }

  #take(pattern: RegExp): string | undefined {
    const text = this.#look(pattern)
    if (text !== undefined) this.#at += text.length
    return text
  }

  #found(): string {
    const text = this.#look(/[\p{ID_Start}_]\p{ID_Continue}*|[^\n]/uy)
    if (text !== undefined) return JSON.stringify(text)
    return this.#at >= this.#source.length ? 'the end of the file' : 'the end of the line'
  }

  #fail(what: string, at: number = this.#at): never {
    const opening = this.#open.at(-1)
    const ended = at >= this.#source.length && opening !== undefined
    const place = positionAt(this.#source, ended ? opening : at)
    const told = ended ? `"${this.#source[opening]}" is never closed` : what
    throw brokenFile({ file: this.#file, what: `${told}. ${advice}`, ...place })
  }
}

/** Whether a number is written as a float, which its value does not show: 1.0, 1e3, -.5, but not 0xE1. */
function isFloat(written: string): boolean {
  return /^[-+(\s]*(?:[\d_]*\.|\d[\d_]*[eE])/.test(written)
}
