/** What a stream takes its items from: any iterator. */
export type ItemSource = {
  next(): Promise<IteratorResult<unknown>> | IteratorResult<unknown>
  return?(): unknown
}

export function isThenable<T>(value: T): value is T & PromiseLike<Awaited<T>> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

/**
 * The iterator of what is a stream: a generator, or anything async iterable. Arrays, texts, maps and sets can be
 * iterated too, but are values.
 */
export function itemSourceOf(result: unknown): ItemSource | undefined {
  if (typeof result !== 'object' || result === null) return undefined
  const candidate = result as Partial<AsyncIterable<unknown> & Iterable<unknown> & Iterator<unknown>>
  if (typeof candidate[Symbol.asyncIterator] === 'function') {
    const iterator = (candidate as AsyncIterable<unknown>)[Symbol.asyncIterator]()
    const { destroy } = result as { destroy?: unknown }
    if (typeof destroy !== 'function') return iterator as ItemSource
    // The `return` of a Node stream's iterator waits for the next chunk, which may never come.
    return {
      next: () => iterator.next(),
      return: () => {
        destroy.call(result)
        return iterator.return?.()
      },
    }
  }
  if (typeof candidate[Symbol.iterator] === 'function' && typeof candidate.next === 'function') {
    return candidate as ItemSource
  }
  return undefined
}
