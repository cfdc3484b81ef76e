import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { type Command, type CommandLine, Misuse, numberOption } from '../command/command.ts'
import { exitCodes, json, type Terminal } from '../command/terminal.ts'
import { placesOf } from './places.ts'
import { remoteOptions, Remotes } from './remote.ts'
import { Screen } from './screen.ts'
import { type Space, topTable } from './top-table.ts'
import { type Sample, WatchedService } from './watched-service.ts'

/** `zask top`: what services are doing, drawn anew each second. */
export const topCommand: Command = {
  usage: '[services...]',
  says: 'watch what services are doing',
  more: `Without names: all endpoints in the config of the application. Rates, errors and times are those since the look before;
in flight is running+waiting calls, lag the longest delay of the event loop. A server that is plain, as zerorpc's own,
tells no figures but answers pings. A narrow window leaves columns out. q or Ctrl-C ends it. --once ends with 3 where a
service is down, with 1 where one refuses to answer.`,
  options: {
    interval: { type: 'string', value: '<s>', says: 'seconds between two looks (default: 1)' },
    once: { type: 'boolean', says: 'look twice, print one table' },
    ...remoteOptions,
    timeout: {
      type: 'string',
      value: '<s>',
      says: 'seconds after which a service without an answer is down (default: 2)',
    },
  },
  least: 0,
  most: Infinity,
  run: watchServices,
}

async function watchServices(line: CommandLine): Promise<number | void> {
  const intervalMs = (numberOption(line, 'interval', { least: 0.1, unit: 'seconds' }) ?? 1) * 1000
  const timeoutMs = (numberOption(line, 'timeout', { least: 0.1, unit: 'seconds' }) ?? 2) * 1000
  await using remotes = new Remotes(line)
  const watched = await servicesOf(line, remotes, timeoutMs)
  if (line.options['once'] === true) return await lookOnce(line, watched, intervalMs)
  const { output } = line.terminal
  if (line.asJson || !output.isTTY) return await print(line, watched, intervalMs)
  return await draw(line.terminal, watched, intervalMs)
}

/** One for each endpoint: what is watched is a server, not a name. */
async function servicesOf(
  { words, options }: CommandLine,
  remotes: Remotes,
  timeoutMs: number,
): Promise<WatchedService[]> {
  if (words.length > 0) {
    // Endpoints with commas between them are one service to other commands.
    const all = words.flatMap((word) => (word.includes('://') ? word.split(',') : [word]))
    const found = await Promise.all(all.map((word) => servicesAt(word, remotes, timeoutMs)))
    return found.flat()
  }
  const { version } = options
  const { config } = await remotes.application()
  const places = placesOf(config).filter((place) => version === undefined || place.version === version)
  if (places.length === 0) {
    throw new Misuse('The config names no endpoint of a service. Name one, such as tcp://127.0.0.1:4242')
  }
  return Promise.all(
    places.map(async (place) => {
      const { client } = await remotes.openAt(place)
      return new WatchedService(client, timeoutMs, place.service, place.version)
    }),
  )
}

async function servicesAt(word: string, remotes: Remotes, timeoutMs: number): Promise<WatchedService[]> {
  const { client } = await remotes.open(word)
  if (word.includes('://')) return [new WatchedService(client, timeoutMs)]
  const endpoints = client.$endpoints.map(({ endpoint }) => endpoint)
  if (endpoints.length === 1) return [new WatchedService(client, timeoutMs, word)]
  await client.$close()
  const opened = endpoints.map((endpoint) => remotes.openAt({ service: word, version: null, endpoint }))
  return (await Promise.all(opened)).map((remote) => new WatchedService(remote.client, timeoutMs, word))
}

async function lookOnce(
  { asJson, terminal }: CommandLine,
  watched: readonly WatchedService[],
  intervalMs: number,
): Promise<number | void> {
  const look = (): Promise<unknown> => Promise.all(watched.map((one) => one.look()))
  await look()
  await pause(intervalMs, terminal.signal)
  await look()
  if (terminal.signal.aborted) return
  const samples = watched.flatMap((one) => one.samples())
  await printSamples(samples, asJson, terminal)
  if (samples.some(({ state }) => state === 'down')) return exitCodes.noAnswer
  return samples.some(({ state }) => state === 'refused') ? exitCodes.failed : exitCodes.done
}

/** One table or one line of JSON for each service at a time, for programs and files. */
async function print(
  { asJson, terminal }: CommandLine,
  watched: readonly WatchedService[],
  intervalMs: number,
): Promise<void> {
  let rounds = 0
  await each(watched, intervalMs, terminal.signal, async () => {
    // The first look has nothing to compare with.
    if (rounds++ > 0) await printSamples(samplesOf(watched), asJson, terminal)
  })
}

async function printSamples(samples: readonly Sample[], asJson: boolean, terminal: Terminal): Promise<void> {
  if (asJson) {
    for (const sample of samples) terminal.write(`${json(sample)}\n`)
    return
  }
  const columns = terminal.output.isTTY ? terminal.output.columns : Infinity
  const lines = await topTable(samples, { columns, rows: Infinity }, styleOf(terminal))
  terminal.write(`${lines.join('\n')}\n`)
}

async function draw(
  terminal: Terminal,
  watched: readonly WatchedService[],
  intervalMs: number,
): Promise<number | void> {
  const quit = new AbortController()
  using screen = new Screen(terminal.input, terminal.output, {
    onKey: (key) => {
      if (key === 'q' || key === 'Q') quit.abort()
      // The key comes as one while the screen is open; it means what it always does.
      if (key.includes('\u0003')) process.kill(process.pid, 'SIGINT')
    },
    onResize: () => void redraw(),
  })
  const redraw = async (): Promise<void> => {
    const samples = samplesOf(watched)
    const space: Space = { columns: screen.columns, rows: screen.rows - 2 }
    const lines = await topTable(samples, space, styleOf(terminal))
    const away = samples.filter(({ state }) => state !== 'up' && state !== 'plain').length
    const head = `zask top   ${new Date().toLocaleTimeString('en-GB')}   every ${intervalMs / 1000} s   ${samples.length - away} of ${samples.length} answer   q quits`
    // What was waited for may have come when the screen was given back.
    if (!signal.aborted) screen.draw([head.slice(0, screen.columns), '', ...lines])
  }
  const signal = AbortSignal.any([terminal.signal, quit.signal])
  await redraw()
  await each(watched, intervalMs, signal, redraw)
  return quit.signal.aborted ? exitCodes.done : undefined
}

/** Looks at all services, and does something with what was seen, until it is told to stop. */
async function each(
  watched: readonly WatchedService[],
  intervalMs: number,
  signal: AbortSignal,
  show: () => Promise<void>,
): Promise<void> {
  for (let due = performance.now(); !signal.aborted;) {
    due = Math.max(due + intervalMs, performance.now())
    const over = pause(due - performance.now(), signal)
    // Who does not answer in time is still asked when the next round comes; the others are shown.
    await Promise.race([Promise.all(watched.map((one) => one.look())), over])
    if (!signal.aborted) await show()
    await over
  }
}

function samplesOf(watched: readonly WatchedService[]): Sample[] {
  return watched.flatMap((one) => one.samples())
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}

function styleOf({ colours }: Terminal): (line: string, sample: Sample | undefined) => string {
  if (!colours) return (line) => line
  return (line, sample) => {
    if (sample === undefined) return styleText('bold', line, { validateStream: false })
    const style = styles[sample.state]
    return style === undefined ? line : styleText(style, line, { validateStream: false })
  }
}

const styles = { up: undefined, plain: undefined, starting: 'dim', refused: 'yellow', down: 'red' } as const
