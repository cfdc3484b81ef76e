/** A service is a plain class: nothing of zask is in it, and its tests need nothing of zask. */
export class Hello {
  static readonly service = 'hello'
  static readonly version = '1.0'

  /** Greets somebody. */
  hello(name = 'World'): string {
    return `Hello, ${name}!`
  }

  /** Counts down to 1. A generator is a stream. */
  *countdown(from: number): Generator<number> {
    for (let left = from; left > 0; left--) yield left
  }
}
