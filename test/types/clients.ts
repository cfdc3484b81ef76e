// What a typed client accepts and refuses. Checked by the compiler, never run.
import { type Client, createCore, type StreamCall } from '../../core/index.ts'
import { type Equal, same } from './equal.ts'

interface User {
  readonly id: number
  readonly name: string
}

export declare class Users {
  static readonly service: string
  readonly table: string
  _secret(): string
  name(id: number): Promise<string>
  count(): number
  find(where: { name: string }, limit?: number): Promise<User[]>
  rename(id: number, name: string): void
  countTo(n: number): AsyncGenerator<number>
  all(): Generator<User, void, unknown>
  later(): Promise<AsyncGenerator<string>>
}

export async function typedClient(): Promise<void> {
  await using core = createCore()
  const users = await core.client<Users>('tcp://127.0.0.1:4242')
  same<Equal<typeof users, Client<Users>>>()

  // Values come as promises, whether the method is async or not.
  same<Equal<ReturnType<typeof users.name>, Promise<string>>>()
  same<Equal<ReturnType<typeof users.count>, Promise<number>>>()
  same<Equal<ReturnType<typeof users.rename>, Promise<void>>>()
  const found = await users.find({ name: 'a' }, 5)
  same<Equal<typeof found, User[]>>()

  // A generator of either kind, also one behind a promise, is a stream.
  same<Equal<ReturnType<typeof users.countTo>, StreamCall<number>>>()
  same<Equal<ReturnType<typeof users.all>, StreamCall<User>>>()
  same<Equal<ReturnType<typeof users.later>, StreamCall<string>>>()
  for await (const n of users.countTo(3)) same<Equal<typeof n, number>>()

  // @ts-expect-error a misspelt method
  await users.nmae(1)
  // @ts-expect-error an argument of another type
  await users.name('1')
  // @ts-expect-error a missing argument
  await users.name()
  // @ts-expect-error one too many
  await users.name(1, 2)
  // @ts-expect-error a nested type
  await users.find({ name: 1 })
  // @ts-expect-error a value is not a stream
  for await (const letter of users.name(1)) void letter // eslint-disable-line typescript/await-thenable
  // @ts-expect-error a stream is not a value
  const sum: number = (await users.countTo(3)) + 1
  // @ts-expect-error methods with a leading _ are not served
  await users['_secret']()
  // @ts-expect-error properties are not served
  void users.table
  void sum
}

/** Of an unknown service every method may exist, and give a value or a stream. */
export async function untypedClient(): Promise<void> {
  await using core = createCore()
  const anything = await core.client('tcp://127.0.0.1:4242')
  const value = await anything.whatever?.(1, 'two')
  same<Equal<typeof value, unknown>>()
  for await (const item of anything.stream!()) same<Equal<typeof item, unknown>>()
  const answer = await anything.$call('name', [1], { timeoutMs: 100 })
  same<Equal<typeof answer, unknown>>()
}
