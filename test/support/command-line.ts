import { PassThrough } from 'node:stream'
import type { ReadStream, WriteStream } from 'node:tty'
import { runCli } from '../../plugins/cli/cli.ts'

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line of zask in this process: what needs no process of its own is tested faster so. */
export async function zaskHere(...argv: string[]): Promise<Said> {
  const said = { stdout: '', stderr: '' }
  const code = await runCli(argv, {
    write: (text) => void (said.stdout += text),
    complain: (text) => void (said.stderr += text),
    read: async () => '',
    live: false,
    colours: false,
    signal: new AbortController().signal,
    // Both are asked first whether they are terminals, and are none.
    input: new PassThrough() as unknown as ReadStream,
    output: new PassThrough() as unknown as WriteStream,
  })
  return { code, ...said }
}
