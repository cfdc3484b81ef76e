/**
 * What a terminal shows after all that was written to it: as much of a VT100 and of xterm as programs of this
 * repository use. A character is one column wide; colours are not kept.
 */
export class Screen {
  readonly columns: number
  readonly rows: number
  /** Whether the alternate screen is shown, as programs do that fill the window and leave no trace. */
  alternate = false
  cursorVisible = true
  row = 0
  column = 0
  #lines: string[][] = [[]]
  #normal: { lines: string[][]; row: number; column: number } | undefined
  #saved: { row: number; column: number } = { row: 0, column: 0 }
  /** The beginning of a sequence whose end has not come yet. */
  #rest = ''

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  /** The lines of the window, without blanks at their ends, and without empty lines at the end. */
  get text(): string {
    const lines = this.#lines.map((line) =>
      Array.from(line, (character) => character ?? ' ')
        .join('')
        .trimEnd(),
    )
    return lines.join('\n').trimEnd()
  }

  write(text: string): void {
    const all = this.#rest + text
    this.#rest = ''
    // A control sequence, an operating system command, another escape; the beginning of one; a character.
    const tokens =
      // eslint-disable-next-line no-control-regex -- they are what a terminal is told by
      /\x1b\[([<-?]?)([\d;]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*([0-Z^-~])|(\x1b[\s\S]*$)|([\s\S])/gu
    for (const [, mode = '', numbers = '', final, escape, rest, character] of all.matchAll(tokens)) {
      if (final !== undefined) this.#control(mode, numbers.split(';').map(Number), final)
      else if (escape !== undefined) this.#escape(escape)
      else if (rest !== undefined) this.#rest = rest
      else if (character !== undefined) this.#put(character)
    }
  }

  #put(character: string): void {
    if (character === '\r') this.column = 0
    else if (character === '\n') this.#feed()
    else if (character === '\b') this.column = Math.max(0, this.column - 1)
    else if (character === '\t')
      this.column = Math.min(this.columns - 1, (Math.floor(this.column / 8) + 1) * 8)
    else if (character >= ' ') {
      if (this.column >= this.columns) {
        this.column = 0
        this.#feed()
      }
      this.#line(this.row)[this.column++] = character
    }
  }

  #feed(): void {
    if (++this.row < this.rows) return
    this.row = this.rows - 1
    this.#line(this.row)
    this.#lines.shift()
  }

  #line(row: number): string[] {
    while (this.#lines.length <= row) this.#lines.push([])
    return this.#lines[row] as string[]
  }

  #escape(final: string): void {
    if (final === '7') this.#saved = { row: this.row, column: this.column }
    if (final === '8') this.#move(this.#saved.row, this.#saved.column)
  }

  #control(mode: string, [first = 0, second = 0]: number[], final: string): void {
    const count = Math.max(1, first)
    if (mode === '?' && (final === 'h' || final === 'l')) this.#switch(first, final === 'h')
    else if (final === 'A') this.#move(this.row - count, this.column)
    else if (final === 'B') this.#move(this.row + count, this.column)
    else if (final === 'C') this.#move(this.row, this.column + count)
    else if (final === 'D') this.#move(this.row, this.column - count)
    else if (final === 'E') this.#move(this.row + count, 0)
    else if (final === 'F') this.#move(this.row - count, 0)
    else if (final === 'G') this.#move(this.row, count - 1)
    else if (final === 'd') this.#move(count - 1, this.column)
    else if (final === 'H' || final === 'f') this.#move(count - 1, Math.max(1, second) - 1)
    else if (final === 'K') this.#eraseLine(first)
    else if (final === 'J') this.#eraseScreen(first)
  }

  #move(row: number, column: number): void {
    this.row = Math.min(this.rows - 1, Math.max(0, row))
    this.column = Math.min(this.columns - 1, Math.max(0, column))
  }

  #eraseLine(part: number): void {
    const line = this.#line(this.row)
    if (part === 0) line.splice(this.column)
    else if (part === 2) line.splice(0)
    else for (let at = 0; at <= this.column; at++) line[at] = ' '
  }

  #eraseScreen(part: number): void {
    if (part === 0) {
      this.#eraseLine(0)
      this.#lines.splice(this.row + 1)
    } else if (part === 1) {
      this.#eraseLine(1)
      for (let row = 0; row < this.row; row++) this.#lines[row] = []
    } else this.#lines = [[]]
  }

  #switch(mode: number, on: boolean): void {
    if (mode === 25) this.cursorVisible = on
    if (mode !== 1049 || this.alternate === on) return
    this.alternate = on
    if (on) {
      this.#normal = { lines: this.#lines, row: this.row, column: this.column }
      this.#lines = [[]]
      this.#move(0, 0)
    } else if (this.#normal !== undefined) {
      this.#lines = this.#normal.lines
      this.#move(this.#normal.row, this.#normal.column)
    }
  }
}
