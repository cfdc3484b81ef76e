import { expect } from 'chai'
import { EventEmitter } from 'node:events'
import { runInNewContext } from 'node:vm'
import { ZaskError } from '../../core/errors.ts'
import { Service } from '../../core/service.ts'

class Base {
  hello(): string {
    return 'hello'
  }
  shared(): string {
    return 'base'
  }
}

class Users extends Base {
  static readonly service: string = 'users'
  static readonly version: string = '1.0'
  static create(): Users {
    return new Users()
  }
  readonly #names = ['ada', 'bob']
  readonly limit = 5
  readonly Row = Base
  readonly first = (): string => this.#names[0]!
  touched = 0
  get size(): number {
    this.touched++
    return this.#names.length
  }
  set size(_value: number) {
    this.touched++
  }
  name(id: number): string | undefined {
    return this.#names[id]
  }
  async later(): Promise<void> {}
  *count(): Generator<number> {
    yield 1
  }
  async *countLater(): AsyncGenerator<number> {
    yield 1
  }
  override shared(): string {
    return 'users'
  }
  _private(): void {}
  $money(): void {}
  [Symbol.iterator](): void {}
}

function namesOf(target: object, options = {}): string[] {
  return [...Service.from(target, options).methods.keys()].toSorted()
}

/** What a caller in JavaScript, whom no type holds back, is told. */
function refusal(target: unknown, options: object = {}): string {
  try {
    Reflect.apply(Reflect.get(Service, 'from'), Service, [target, options])
  } catch (error) {
    if (!(error instanceof ZaskError)) throw error
    expect(error.code).to.equal('ZASK_SERVICE_INVALID')
    expect(error.name).to.equal('ServiceError')
    return error.message
  }
  throw new Error('nothing was thrown')
}

describe('a service made of a class instance', () => {
  it('serves own and inherited methods and function fields, and nothing else', () => {
    expect(namesOf(new Users())).to.deep.equal(
      ['count', 'countLater', 'first', 'hello', 'later', 'name', 'shared'].toSorted(),
    )
  })

  it('runs no getter while it collects', () => {
    const users = new Users()
    const service = Service.from(users)
    expect(users.touched).to.equal(0)
    expect(service.method('size')).to.equal(undefined)
  })

  it('hides an inherited method that an accessor or a value stands over', () => {
    class Muted extends Users {}
    Object.defineProperty(Muted.prototype, 'hello', { get: () => () => 'got' })
    const muted = Object.assign(new Muted(), { shared: 'text' })
    expect(namesOf(muted)).to.not.include.members(['hello'])
    expect(namesOf(muted)).to.not.include.members(['shared'])
    expect(namesOf(muted)).to.include.members(['name'])
  })

  it('gives the nearest of several methods with one name, unbound, to be called on the target', () => {
    const users = new Users()
    const service = Service.from(users)
    const call = (name: string, ...args: unknown[]): unknown =>
      Reflect.apply(service.method(name)!.fn, service.target, args)
    expect(service.target).to.equal(users)
    expect(call('shared')).to.equal('users')
    expect(call('name', 1)).to.equal('bob')
    expect(call('first')).to.equal('ada')
    expect(service.method('name')!.fn).to.equal(Reflect.get(users, 'name'))
    expect(service.method('name')!.name).to.equal('name')
  })

  it('finds nothing of Object.prototype, nor what is not text, whatever a peer asks for', () => {
    const service = Service.from(new Users())
    const hostile = [
      'toString',
      'constructor',
      'hasOwnProperty',
      '__proto__',
      'valueOf',
      '',
      'create',
      'prototype',
    ]
    for (const name of [...hostile, '_private', '$money', 'limit', 'Row']) {
      expect(service.method(name), name).to.equal(undefined)
    }
    for (const name of [null, undefined, 1, {}, ['name']]) {
      const found: unknown = Reflect.apply(Reflect.get(service, 'method'), service, [name])
      expect(found).to.equal(undefined)
    }
  })

  it('serves a method of its own that bears a name of Object.prototype', () => {
    class Printer {
      toString(): string {
        return 'printed'
      }
    }
    expect(namesOf(new Printer())).to.deep.equal(['toString'])
  })

  it('does not serve a function that came afterwards, and keeps the one it collected', () => {
    class Growing {
      [more: string]: unknown
      here(): string {
        return 'first'
      }
    }
    const target = new Growing()
    const service = Service.from(target)
    target['late'] = () => 'late'
    Object.assign(Growing.prototype, { later: () => 'later', here: () => 'second' })
    expect([...service.methods.keys()]).to.deep.equal(['here'])
    expect(Reflect.apply(service.method('here')!.fn, target, [])).to.equal('first')
  })

  it('serves what a class of node.js that it extends declares', () => {
    class Radio extends EventEmitter {
      tune(): void {}
    }
    expect(namesOf(new Radio())).to.include.members(['tune', 'emit', 'once'])
  })

  it('serves classes written as functions, and classes whose chain ends at null', () => {
    const written: object = runInNewContext(`
      function Old() {}
      Old.prototype.ask = function () {}
      Old.service = 'old'
      new Old()`)
    expect(namesOf(written)).to.deep.equal(['ask'])
    expect(Service.from(written).name).to.equal('old')
    expect(Service.from(written).className).to.equal('Old')
    expect(
      namesOf(runInNewContext('class N extends null { ask() {} }; Object.create(N.prototype)')),
    ).to.deep.equal(['ask'])
  })

  it('takes its name and version from statics, own or inherited, and from options before them', () => {
    class Admins extends Users {}
    const service = Service.from(new Admins())
    expect([service.name, service.version, service.className]).to.deep.equal(['users', '1.0', 'Admins'])
    expect(service.displayName).to.equal('users')
    const other = Service.from(new Admins(), { service: 'admins', version: '2.0' })
    expect([other.name, other.version, other.displayName]).to.deep.equal(['admins', '2.0', 'admins'])
  })

  it('shows the class name where it has no other, and Object where there is none at all', () => {
    const service = Service.from(new Base())
    expect([service.name, service.version]).to.deep.equal([undefined, undefined])
    expect(service.displayName).to.equal('Base')
    const anonymous = Service.from(
      new (class {
        ask(): void {}
      })(),
    )
    expect([anonymous.displayName, anonymous.className]).to.deep.equal(['Object', 'Object'])
    class Misnamed {
      static readonly name: unknown = 5
      ask(): void {}
    }
    expect(Service.from(new Misnamed()).className).to.equal('Object')
  })
})

describe('a service made of a plain object', () => {
  it('serves its functions, with or without a prototype and from another realm', () => {
    const functions = { add: (a: number, b: number) => a + b, 'math.add'() {}, _hidden() {}, pi: 3 }
    expect(namesOf(functions)).to.deep.equal(['add', 'math.add'])
    expect(namesOf(Object.assign(Object.create(null), functions))).to.deep.equal(['add', 'math.add'])
    expect(namesOf(runInNewContext('({ ask() {} })'))).to.deep.equal(['ask'])
    expect(namesOf(Object.create({ below() {} }, { above: { value: () => 1 } }))).to.deep.equal([
      'above',
      'below',
    ])
  })

  it('takes its name and version from options only', () => {
    const target = { service: 'no', version: 'no', ask() {} }
    const service = Service.from(target)
    expect([service.name, service.version, service.displayName]).to.deep.equal([
      undefined,
      undefined,
      'Object',
    ])
    const named = Service.from(target, { service: 'asks', version: '1' })
    expect([named.name, named.version, named.displayName]).to.deep.equal(['asks', '1', 'asks'])
    expect(named.className).to.equal('Object')
  })

  it('serves bound functions and hides getters, classes and names that are too long', () => {
    const target = {
      bound: Base.prototype.hello.bind(new Base()),
      longest: () => 1,
      ['a'.repeat(128)]: () => 1,
      ['b'.repeat(129)]: () => 1,
      Map,
      get trap(): never {
        throw new Error('a getter ran')
      },
    }
    expect(namesOf(target)).to.deep.equal(['a'.repeat(128), 'bound', 'longest'])
  })
})

describe('expose', () => {
  class Narrow extends Base {
    static readonly expose: readonly string[] = ['hello', 'own']
    own(): void {}
    other(): void {}
  }

  it('narrows what is served, inherited methods and inherited lists included', () => {
    expect(namesOf(new Narrow())).to.deep.equal(['hello', 'own'])
    expect(namesOf(new (class extends Narrow {})())).to.deep.equal(['hello', 'own'])
    expect(namesOf({ a() {}, b() {} }, { expose: ['b'] })).to.deep.equal(['b'])
  })

  it('given as an option narrows the list of the class further and cannot widen it', () => {
    expect(namesOf(new Narrow(), { expose: ['own'] })).to.deep.equal(['own'])
    expect(refusal(new Narrow(), { expose: ['other'] })).to.equal(
      'Narrow: expose names "other", which is not a method that can be served: it must be among hello, own',
    )
  })

  it('that names no method is refused with the name that was likely meant', () => {
    expect(refusal(new Users(), { expose: ['nmae'] })).to.equal(
      'Users: expose names "nmae", which is not a method that can be served: did you mean "name"?',
    )
    expect(refusal(new Users(), { expose: ['toString'] })).to.match(/"toString", which is not a method/)
  })

  it('that names something hidden is refused with the reason why it is hidden', () => {
    const reasons = {
      _private: /begins with _/,
      size: /accessor/,
      limit: /not a function/,
      Row: /is a class/,
    }
    for (const [name, reason] of Object.entries({
      ...reasons,
      $money: /letters/,
      constructor: /constructor/,
    })) {
      expect(refusal(new Users(), { expose: [name] })).to.match(reason)
    }
  })

  it('must be a list of names', () => {
    expect(refusal(new Users(), { expose: 'name' })).to.match(/expose must be a list .* the text "name"/)
    expect(refusal(new Users(), { expose: [1] })).to.match(/expose must be a list .* the number 1 in it/)
    expect(refusal(new Users(), { expose: [] })).to.match(/nothing to serve/)
  })
})

describe('what cannot be a service', () => {
  it('is a class in place of an instance, or a function', () => {
    expect(refusal(Users)).to.equal('a service is an object, got the class Users: pass new Users()')
    expect(refusal(function add() {})).to.match(/got the function add: pass an object such as \{ add: fn \}/)
    expect(refusal(runInNewContext('(class {})'))).to.match(/the class \(anonymous\): pass new Service\(\)/)
  })

  it('is no object at all', () => {
    expect(refusal(null)).to.match(/got null$/)
    expect(refusal(undefined)).to.match(/got undefined$/)
    expect(refusal(4)).to.match(/got the number 4$/)
    expect(refusal(Number.NaN)).to.match(/got the number NaN$/)
    expect(refusal('users')).to.match(/got the text "users"$/)
    expect(refusal(Symbol('users'))).to.match(/got a symbol$/)
  })

  it('is a container of the language, whose own methods nobody means to serve', () => {
    expect(refusal([new Users()])).to.match(/got an array: make a service of each element/)
    expect(refusal(new Map([['add', () => 1]]))).to.match(/the class Map: pass an object of functions/)
    expect(refusal(Promise.resolve(new Users()))).to.match(/a promise: await it first/)
  })

  it('has nothing to serve, and is told what was hidden', () => {
    expect(refusal({})).to.equal(
      'Object has nothing to serve: saw no methods: give it a method whose name begins with a letter',
    )
    expect(refusal({ _add() {}, pi: 3 })).to.match(
      /saw only what is hidden \(_add begins with _; pi is not a function\)/,
    )
    expect(refusal(Object.fromEntries('abcdefgh'.split('').map((key) => [key, 1])))).to.match(
      /e is .*; 3 more\)/,
    )
  })

  it('has a name or a version that is not text', () => {
    class Numbered {
      static readonly version: unknown = 1.5
      ask(): void {}
    }
    expect(refusal(new Numbered())).to.equal(
      "Numbered: version must be a text with something in it, got the number 1.5: write '1.5'",
    )
    expect(refusal({ ask() {} }, { service: '' })).to.match(
      /service must be .* got an empty text: write 'users'/,
    )
    expect(refusal({ ask() {} }, { service: 5 })).to.match(/service must be .* got the number 5/)
    expect(Service.from(new Numbered(), { version: '1.5' }).version).to.equal('1.5')
  })
})
