import { text } from 'node:stream/consumers'
import { runCli } from './cli.ts'

// `zask call … | head -1`: who reads has seen enough, which is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const interrupted = new AbortController()
process.once('SIGINT', () => {
  // A terminal has written ^C somewhere into a line: what comes next begins a new one.
  if (process.stderr.isTTY) process.stderr.write('\n')
  interrupted.abort()
})

const { stdin, stdout, stderr } = process
const code = await runCli(process.argv.slice(2), {
  write: (words) => void stdout.write(words),
  complain: (words) => void stderr.write(words),
  read: async () => (await text(stdin)).replace(/\r?\n$/, ''),
  live: stderr.isTTY,
  // As Node decides it: NO_COLOR, FORCE_COLOR, TERM.
  colours: stdout.isTTY && stdout.hasColors(),
  signal: interrupted.signal,
  input: stdin,
  output: stdout,
})
// A core that was stopped by a signal may have left its own code.
if (code !== 0) process.exitCode = code
