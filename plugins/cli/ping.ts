import { performance } from 'node:perf_hooks'
import type { Command, CommandLine } from '../command/command.ts'
import { remoteOptions, withClient } from './remote.ts'
import { escapeControls, json } from '../command/terminal.ts'

/** `zask ping`: whether a service answers, and how fast. */
export const pingCommand: Command = {
  usage: '<service|endpoint>',
  says: 'ask a service whether it is there, and how long that takes',
  options: remoteOptions,
  least: 1,
  most: 1,
  run: pingService,
}

/** The first call waits for the connection, too: the second shows the time of a call. */
async function pingService(line: CommandLine): Promise<void> {
  const { asJson, terminal } = line
  const seen = await withClient(line, async ({ client, target }) => {
    const begin = performance.now()
    await client.$call('_zerorpc_ping')
    const connected = performance.now()
    const answer = await client.$call('_zerorpc_ping')
    return { endpoint: target, answer, connectMs: connected - begin, answerMs: performance.now() - connected }
  })
  const { endpoint, answer, connectMs, answerMs } = seen
  const name = Array.isArray(answer) && typeof answer[1] === 'string' ? answer[1] : ''
  if (asJson) return terminal.write(`${json({ endpoint, service: name, answerMs, connectMs })}\n`)
  const who = name === '' ? 'a service' : escapeControls(name)
  terminal.write(`${who} at ${endpoint} answers in ${milliseconds(answerMs)}`)
  terminal.write(` (${milliseconds(connectMs)} with connecting)\n`)
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`
}
