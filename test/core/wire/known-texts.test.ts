import { expect } from 'chai'
import { KnownTexts } from '../../../core/wire/known-texts.ts'

function read(known: KnownTexts, bytes: Buffer): string | undefined {
  // Within a frame: what stands around it must not count.
  const frame = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')])
  return known.text(frame, 1, 1 + bytes.length)
}

describe('the texts of a reader', () => {
  it('are those of their bytes, of any length and script, the first time and the next', () => {
    const known = new KnownTexts()
    const lengths = [0, 1, 2, 15, 16, 31, 32, 33, 64, 1000]
    const texts = ['x', 'é', 'ß', '中', '🦄', '\0', '\ufffd', '\ufeff'].flatMap((unit) =>
      lengths.map((length) => unit.repeat(length)),
    )
    for (let round = 0; round < 3; round++) {
      for (const text of texts) expect(read(known, Buffer.from(text))).to.equal(text)
    }
  })

  it('are never taken for others that were there before, however many there are', () => {
    const known = new KnownTexts()
    for (let round = 0; round < 2; round++) {
      for (let count = 0; count < 20_000; count++) {
        const text = `text ${count * 7919}`
        if (read(known, Buffer.from(text)) !== text) expect.fail(`${text} was read as another text`)
      }
    }
  })

  it('are none where the bytes are no UTF-8, and leave nothing behind that is found later', () => {
    const known = new KnownTexts()
    const broken = [
      'ff',
      'c3',
      'c328',
      'e4b8',
      'eda080',
      'c0af',
      '61ff62',
      `${'61'.repeat(40)}c3`,
      'efbfbdff',
    ]
    for (let round = 0; round < 2; round++) {
      for (const hex of broken) expect(read(known, Buffer.from(hex, 'hex')), hex).to.equal(undefined)
    }
    expect(read(known, Buffer.from('a_b'))).to.equal('a_b')
  })
})
