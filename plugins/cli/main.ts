#!/usr/bin/env node
import { runCli } from './cli.ts'

// `zask call … | head -1`: who reads has seen enough, which is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())

const { stdout, stderr, env } = process
const colours = stdout.isTTY && !env['NO_COLOR']
process.exitCode = await runCli(process.argv.slice(2), {
  write: (text) => void stdout.write(text),
  complain: (text) => void stderr.write(text),
  colours,
  signal: interrupted.signal,
})
