import { expect } from 'chai'
import { ZaskError } from '../../core/errors.ts'
import { parsePythonLiterals } from '../../core/python-literals.ts'

const environment = { SET: 'from outside', EMPTY: '' }

function parse(source: string): Record<string, unknown> {
  return parsePythonLiterals(source, '/etc/app.cfg', environment)
}

/** The value of one literal. */
function value(literal: string): unknown {
  return parse(`A = ${literal}\n`)['A']
}

function refusal(source: string): ZaskError {
  try {
    parse(source)
  } catch (error) {
    if (error instanceof ZaskError) return error
    throw error
  }
  throw new Error(`was accepted: ${source}`)
}

function place(source: string): string {
  const { line, column } = refusal(source).details ?? {}
  return `${String(line)}:${String(column)}`
}

describe('the parser of .cfg files', () => {
  describe('reads numbers as Python does', () => {
    const numbers: [literal: string, expected: unknown][] = [
      ['0', 0],
      ['00', 0],
      ['42', 42],
      ['-42', -42],
      ['+42', 42],
      ['- 42', -42],
      ['--42', 42],
      ['1_000', 1000],
      ['0x1F', 31],
      ['0XfF_0', 4080],
      ['0o17', 15],
      ['0b10_1', 5],
      ['1.', 1],
      ['.5', 0.5],
      ['-1.5', -1.5],
      ['1e3', 1000],
      ['1_0.0_1E-2', 0.1001],
      ['-0', 0],
      ['-0.0', -0],
      ['9007199254740991', Number.MAX_SAFE_INTEGER],
      ['9007199254740993', 9007199254740993n],
      ['-123456789012345678901234567890', -123456789012345678901234567890n],
    ]
    for (const [literal, expected] of numbers) {
      it(`${literal} is ${String(expected)}${typeof expected === 'bigint' ? ', a BigInt' : ''}`, () => {
        expect(Object.is(value(literal), expected)).to.equal(true)
      })
    }

    for (const literal of ['012', '1__0', '1_', '0x', '0b2', '1j', '1.2.3', '1abc', '-True', '-"x"']) {
      it(`${literal} is refused`, () => {
        expect(refusal(`A = ${literal}`).code).to.equal('ZASK_CONFIG_FILE_INVALID')
      })
    }
  })

  describe('reads text and bytes as Python does', () => {
    const texts: [literal: string, expected: string][] = [
      [`'single'`, 'single'],
      [`"double"`, 'double'],
      [`''`, ''],
      [`u'unicode é 😀'`, 'unicode é 😀'],
      [`'''three\n"lines" and ''quotes\n'''`, `three\n"lines" and ''quotes\n`],
      [`"""three\nlines"""`, 'three\nlines'],
      [String.raw`'it\'s \"\\'`, `it's "\\`],
      [String.raw`'\a\b\f\n\r\t\v'`, '\x07\b\f\n\r\t\v'],
      [String.raw`'\x41\101\u00e9\U0001F600\0'`, 'AAé😀\0'],
      [String.raw`'\q \8'`, String.raw`\q \8`],
      [`'joined \\\nline'`, 'joined line'],
      [String.raw`r'C:\new\'s'`, String.raw`C:\new\'s`],
      [`R"a" 'b' """c"""`, 'abc'],
      [`('over '\n  # a comment\n  'lines')`, 'over lines'],
      [`'# no comment'`, '# no comment'],
    ]
    for (const [literal, expected] of texts) {
      it(`${JSON.stringify(literal)} is ${JSON.stringify(expected)}`, () => {
        expect(value(literal)).to.equal(expected)
      })
    }

    it('bytes are a Uint8Array, and join with bytes', () => {
      expect(value(String.raw`b'a\xff' rb"\n" B'\u0041'`)).to.deep.equal(
        Uint8Array.from([0x61, 0xff, 0x5c, 0x6e, ...Buffer.from(String.raw`\u0041`)]),
      )
    })

    it('a line end is \\n whatever the file has', () => {
      expect(parse("A = '''x\r\ny\rz'''\r\nB = 1\r")).to.deep.equal({ A: 'x\ny\nz', B: 1 })
    })

    const refused: [literal: string, column: number][] = [
      [`'never closed`, 5],
      [`'''never closed`, 5],
      [`f'{name}'`, 5],
      [`t'template'`, 5],
      [`'text' b'bytes'`, 5],
      [String.raw`'ab\x4'`, 8],
      [String.raw`'\u12'`, 6],
      [String.raw`'\U00110000'`, 6],
      [String.raw`'\N{BULLET}'`, 6],
      [`b'é'`, 7],
      [String.raw`b'\x1'`, 7],
    ]
    for (const [literal, column] of refused) {
      it(`${literal} is refused at column ${column}`, () => {
        expect(place(`A = ${literal}\n`)).to.equal(`1:${column}`)
      })
    }
  })

  describe('reads collections', () => {
    const collections: [literal: string, expected: unknown][] = [
      ['True', true],
      ['False', false],
      ['None', null],
      ['[]', []],
      ['[1, "a", None,]', [1, 'a', null]],
      ['()', []],
      ['(1,)', [1]],
      ['(1)', 1],
      ['(1, 2)', [1, 2]],
      ['1, 2', [1, 2]],
      ['1,', [1]],
      ['{}', {}],
      ["{'a': {'b': [(1, 2), {'c': None}]},}", { a: { b: [[1, 2], { c: null }] } }],
      ['[ # comment\n  1,\n\n  2, # and another ]\n]', [1, 2]],
      ['\\\n  5', 5],
    ]
    for (const [literal, expected] of collections) {
      it(`${JSON.stringify(literal)} is ${JSON.stringify(expected)}`, () => {
        expect(value(literal)).to.deep.equal(expected)
      })
    }

    it('the keys of a dict become the text that Python writes for them in JSON', () => {
      const dict = value(
        "{'1.0': 1, 2.0: 2, 1.5: 3, 3: 4, -1: 5, True: 6, False: 7, None: 8, 0x10: 9, 1e3: 10}",
      )
      const keys = ['1.0', '2.0', '1.5', '3', '-1', 'true', 'false', 'null', '16', '1000.0']
      expect(Object.keys(Object(dict))).to.have.members(keys)
    })

    it('the later of two equal keys wins', () => {
      expect(value("{'a': 1, 'a': 2}")).to.deep.equal({ a: 2 })
    })

    it('a key __proto__ is a key like any other and reaches no prototype', () => {
      const dict = value("{'__proto__': {'polluted': True}}")
      expect(Object.getPrototypeOf(dict)).to.equal(Object.prototype)
      expect(Object.keys(Object(dict))).to.deep.equal(['__proto__'])
      expect({}).to.not.have.property('polluted')
      expect(Object.keys(parse('__proto__ = 1'))).to.deep.equal(['__proto__'])
    })

    it('a set is refused with what to write instead', () => {
      const error = refusal("A = [\n  {'a', 'b'}]")
      expect(error.message)
        .to.contain('line 2, column 3')
        .and.contain('a set has no counterpart here: write a list')
    })

    for (const literal of [
      '{(1, 2): 1}',
      "{b'a': 1}",
      '{[1]: 1}',
      '{1: 2, 3}',
      '{**a}',
      '[*a]',
      '(,)',
      '[,]',
    ]) {
      it(`${literal} is refused`, () => {
        expect(refusal(`A = ${literal}`).code).to.equal('ZASK_CONFIG_FILE_INVALID')
      })
    }

    it('a bracket that nothing closes is named where it opens', () => {
      const error = refusal('A = 1\nB = [\n  (1, 2),\n')
      expect(error.message).to.contain('line 2, column 5').and.contain('"[" is never closed')
    })

    it('brackets nested too deep are refused, and no stack overflows', () => {
      expect(value('['.repeat(200) + ']'.repeat(200))).to.be.an('array')
      expect(refusal(`A = ${'['.repeat(100_000)}`).message).to.contain('nested more than 200 deep')
    })
  })

  describe('reads names and the environment', () => {
    it('a name stands for the value assigned to it earlier, the last one', () => {
      const source = "host = '10.0.0.1'\nhost = 'tcp://10.0.0.2'\nport = 42\nA = [host, {'p': port}, host]\n"
      expect(parse(source)['A']).to.deep.equal(['tcp://10.0.0.2', { p: 42 }, 'tcp://10.0.0.2'])
    })

    it('all names are returned, in the order of the file', () => {
      expect(Object.keys(parse('b = 1\nA = b\n_c = 2\né = 3'))).to.deep.equal(['b', 'A', '_c', 'é'])
    })

    it('a name that is assigned later, or never, is refused', () => {
      const error = refusal('A = later\nlater = 1')
      expect(error.message)
        .to.contain('line 1, column 5')
        .and.contain('later is neither a literal nor a name')
    })

    const reads: [expression: string, expected: unknown][] = [
      ["os.environ['SET']", 'from outside'],
      ["os.environ.get('SET')", 'from outside'],
      ["os.environ.get('SET', 'd')", 'from outside'],
      ["os.environ.get('EMPTY', 'd')", ''],
      ["os.environ.get('UNSET')", null],
      ["os.environ.get('UNSET', 'd')", 'd'],
      ["os.environ.get('UNSET', [1, 2],)", [1, 2]],
      ["os.getenv('SET')", 'from outside'],
      ["os.getenv('UNSET', 5)", 5],
      ["os . environ [ 'S' 'ET' ]", 'from outside'],
      ["os.environ.get('toString')", null],
    ]
    for (const [expression, expected] of reads) {
      it(`${expression} is ${JSON.stringify(expected)}`, () => {
        expect(value(expression)).to.deep.equal(expected)
      })
    }

    it("os.environ['X'] that is not set is refused, with the way to give a default", () => {
      const error = refusal("import os\nA = os.environ['UNSET']")
      expect(error.message).to.contain('line 2, column 5').and.contain("os.environ.get('UNSET', default)")
    })

    for (const expression of [
      'os',
      'os.environ',
      'os.getcwd()',
      "os.environ.pop('SET')",
      "os.environ['SET', 'd']",
      'os.environ[1]',
      'os.getenv()',
      "os.getenv('SET', 1, 2)",
      "os.environ['SET'].lower()",
      "os.environ['SET'][0]",
    ]) {
      it(`${expression} is refused`, () => {
        expect(refusal(`A = ${expression}`).code).to.equal('ZASK_CONFIG_FILE_INVALID')
      })
    }
  })

  describe('passes over what does nothing', () => {
    it('an empty file, blank lines and comments, indented ones too', () => {
      expect(parse('')).to.deep.equal({})
      expect(parse('# -*- coding: utf-8 -*-\n\n   \n  # indented\n\t# the end')).to.deep.equal({})
    })

    it('import os, wherever it stands', () => {
      expect(parse("import os  # for the key\nA = 1; import os\nB = os.getenv('SET')")).to.deep.equal({
        A: 1,
        B: 'from outside',
      })
    })

    it('a docstring at the beginning, and only there', () => {
      expect(parse('# c\n"""Settings\nof the service."""\nA = 1')).to.deep.equal({ A: 1 })
      expect(place('A = 1\n"""no docstring"""')).to.equal('2:1')
    })

    it('semicolons between assignments', () => {
      expect(parse('A = 1; B = 2;\nC = 3 ; # end')).to.deep.equal({ A: 1, B: 2, C: 3 })
    })
  })

  describe('refuses everything else, where it stands, and executes nothing', () => {
    const refused: [source: string, place: string][] = [
      ['A = 1 + 1', '1:7'],
      ["A = 'a' + 'b'", '1:9'],
      ["A = 'a' % 'b'", '1:9'],
      ["A = 'a'.upper()", '1:8'],
      ['A = [1, 2][0]', '1:11'],
      ['A = 1 == 1', '1:7'],
      ['A = 1 if True else 2', '1:7'],
      ['A = not True', '1:5'],
      ['A = True and False', '1:10'],
      ['A = lambda: 1', '1:5'],
      ['A = dict(a=1)', '1:5'],
      ["A = __import__('os').system('true')", '1:5'],
      ['A = [x for x in y]', '1:6'],
      ['A = [1 for x in y]', '1:8'],
      ['A = (x := 1)', '1:6'],
      ['A = ...', '1:5'],
      ['A = ~1', '1:5'],
      ['A = B = 1', '1:5'],
      ['A: int = 1', '1:2'],
      ['A += 1', '1:3'],
      ['A, B = 1, 2', '1:2'],
      ["A['x'] = 1", '1:2'],
      ['A = 1 2', '1:7'],
      ['A = [1 2]', '1:8'],
      ['A = [1)', '1:7'],
      ["A = {'a' 1}", '1:10'],
      ['A =', '1:4'],
      ['A = # nothing', '1:14'],
      ['A', '1:2'],
      ['\n  A = 1', '2:3'],
      ['A = 1\nif A:\n  B = 2', '2:1'],
      ['from os import environ', '1:1'],
      ['import sys', '1:1'],
      ['import os.path', '1:1'],
      ['import os as o', '1:11'],
      ['import os, sys', '1:10'],
      ['def f(): pass', '1:1'],
      ['print("x")', '1:6'],
      ['True = 1', '1:1'],
      ['1', '1:1'],
      ['A = 1 \\ ', '1:7'],
      ['A = $x', '1:5'],
      ['A = `x`', '1:5'],
    ]
    for (const [source, expected] of refused) {
      it(`${JSON.stringify(source)} at ${expected}`, () => {
        expect(place(source)).to.equal(expected)
      })
    }

    it('with file, line and column in the message and in details, and a way out', () => {
      const error = refusal('A = 1\nB = compute(A)\n')
      expect(error.code).to.equal('ZASK_CONFIG_FILE_INVALID')
      expect(error.details).to.deep.equal({ file: '/etc/app.cfg', line: 2, column: 5 })
      expect(error.message).to.contain('/etc/app.cfg is broken at line 2, column 5')
      expect(error.message).to.contain('"compute" would have to be executed')
      expect(error.message).to.contain('use a .ts file')
    })

    it('without showing the values of the file', () => {
      for (const source of [
        "PASSWORD = 'hunter2' 5",
        "PASSWORD = 'hunter2",
        "PASSWORD = ['hunter2' 'x' b'y']",
      ]) {
        expect(refusal(source).message).to.not.contain('hunter2')
      }
    })
  })
})
