import type { Command } from './cli.ts'
import { json, readable } from './terminal.ts'

/** `zask call`: prints the answer, or each item of the stream as it comes. */
export async function callMethod({ client, words, asJson, terminal }: Command): Promise<void> {
  const [method = '', ...args] = words
  const print = (value: unknown): void =>
    terminal.write(`${asJson ? json(value) : readable(value, terminal.colours)}\n`)
  const answer = await client.$call(method, args.map(argument))
  if (!isStream(answer)) return print(answer)
  for await (const item of answer) print(item)
}

/** An integer that a number would round is kept whole. */
function argument(text: string): unknown {
  if (/^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text))) return BigInt(text)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** No value of the wire has this property. */
function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
}
