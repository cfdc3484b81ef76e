/** Text in columns. A line ends where its text ends; colours and wide characters are no trouble. */
export async function table(
  rows: readonly (readonly string[])[],
  options: {
    /** Headings, one for each column. Default: none. */
    head?: readonly string[]
    /** Columns whose text stands at the right, from 0. Default: none. */
    right?: readonly number[]
    /** What each line begins with. Default: nothing. */
    indent?: string
  } = {},
): Promise<string> {
  // Who prints no table need not have it in memory.
  const { default: Table } = await import('cli-table3')
  const { head, right = [], indent = '' } = options
  const all = head === undefined ? rows : [head, ...rows]
  const columns = Math.max(0, ...all.map((row) => row.length))
  const made = new Table({
    chars: noLines,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colAligns: Array.from({ length: columns }, (_, column) => (right.includes(column) ? 'right' : 'left')),
  })
  for (const row of all) made.push(Array.from({ length: columns }, (_, column) => row[column] ?? ''))
  const lines = made.toString().split('\n')
  return lines.map((line) => `${indent}${line}`.trimEnd()).join('\n') + (all.length === 0 ? '' : '\n')
}

/** cli-table3 draws a frame of characters by these names. */
const noLines = {
  ...Object.fromEntries(
    ['top', 'bottom', 'mid', 'left', 'right']
      .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
      .map((name) => [name, '']),
  ),
  middle: '   ',
}
