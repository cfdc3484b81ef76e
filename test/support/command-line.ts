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
  })
  return { code, ...said }
}
