import { expect } from 'chai'
import { keys, PseudoTerminal } from './pseudo-terminal.ts'
import { Screen } from './screen.ts'

function shown(...texts: string[]): Screen {
  const screen = new Screen(10, 3)
  for (const text of texts) screen.write(text)
  return screen
}

describe('the screen of a pseudo-terminal', () => {
  it('shows what a terminal would', () => {
    expect(shown('one\r\ntwo\rT\n').text).to.equal('one\nTwo')
    expect(shown('0123456789ab').text).to.equal('0123456789\nab')
    expect(shown('1\r\n2\r\n3\r\n4').text).to.equal('2\n3\n4')
    expect(shown('\u001b[31mred\u001b[0m \u001b]0;title\u0007on').text).to.equal('red on')
    expect(shown('one\r\u001b[Ktwo\u001b[2D\u001b[1Kx').text).to.equal(' xo')
    expect(shown('a\r\nb\r\nc\u001b[2;2Hx\u001b[J\u001b[A!').text).to.equal('a !\nbx')
  })

  it('waits for the end of a sequence that comes in parts', () => {
    expect(shown('a\u001b', '[', '1', 'G', 'b').text).to.equal('b')
  })

  it('knows the alternate screen, and whether the cursor is seen', () => {
    const screen = shown('before\u001b[?1049h\u001b[?25lduring')
    expect([screen.text, screen.alternate, screen.cursorVisible]).to.deep.equal(['during', true, false])
    screen.write('\u001b[?25h\u001b[?1049l after')
    expect([screen.text, screen.alternate, screen.cursorVisible]).to.deep.equal([
      'before aft\ner',
      false,
      true,
    ])
  })
})

describe('a pseudo-terminal', () => {
  const program = `
    console.log(process.stdin.isTTY, process.stdout.columns, process.stdout.rows)
    process.on('SIGINT', () => process.exit(5))
    process.stdin.once('data', (line) => console.log('got', String(line).trim()))`

  it('is one: it has a size, its keys arrive, and Ctrl-C is a signal', async () => {
    const terminal = PseudoTerminal.start([process.execPath, '-e', program], { columns: 100, rows: 30 })
    try {
      await terminal.until(({ text }) => text.includes('true 100 30'))
      terminal.write(`word${keys.enter}`)
      await terminal.until(({ text }) => text.includes('got word'))
      terminal.write(keys.interrupt)
      expect(await terminal.left).to.include({ code: 5, sane: true })
    } finally {
      await terminal.end()
    }
  })

  it('tells of a program that leaves it without echo, and kills what does not end', async () => {
    const raw = PseudoTerminal.start(['stty', '-echo', '-icanon'])
    const endless = PseudoTerminal.start(['sleep', '1000'], { limitMs: 300 })
    try {
      expect(await raw.left).to.include({ code: 0, sane: false })
      const error = await endless.left.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(String(error)).to.match(/the program was killed/)
    } finally {
      await Promise.all([raw.end(), endless.end()])
    }
  })
})
