import { resolve } from 'node:path'
import bunyan from 'bunyan'
import { type Call, type OptionRule, type Plugin, ZaskError } from '../../core/index.ts'
import { checkLogOptions, LogFile, type LogFileOptions, StandardOutput } from '../log-file.ts'
import { type Level, type LoggedCall, RecordLogger } from './record-logger.ts'
import { jsonText, type LogRecord, readableText } from './record-text.ts'
import { watchCalls, watchEvents, watchHooks } from './watch.ts'

export interface DebugLogConfig {
  /** The file of production, relative paths from the core's root; `-` is standard output. */
  ERROR_LOG: string
  /** The lowest level that production writes, by its name in bunyan or in Python. */
  PRODUCTION_LOGGING_LEVEL: string
}

export interface DebugLogOptions extends Omit<LogFileOptions, 'dayOf'> {
  /** The `name` of each record: whose log it is. Default: `'zask'`. */
  name?: string
  /** How standard output is written in debug mode; files always hold JSON. Default: `'readable'`. */
  format?: 'readable' | 'json'
  /** Default: on in a terminal, unless `NO_COLOR` is set. */
  colors?: boolean
  /** The lowest level that debug mode writes; `'debug'` leaves out taps and the events of the wire. Default: `'trace'`. */
  level?: Level
  /** More places for records to go, as bunyan takes them; they get their own levels. Default: none. */
  streams?: readonly bunyan.Stream[]
}

/** What the plugin counts, in `core.stats.plugins['debug-log']`. */
export interface DebugLogStats {
  /** Records that could not be written to `ERROR_LOG`, for want of space or permission. */
  readonly linesLost: number
}

export type DebugLog = Plugin<{ config: DebugLogConfig; stats: { 'debug-log': DebugLogStats } }>

/** Names of bunyan, and those of Python's logging that the original took. */
const levels: Readonly<Record<string, Level>> = {
  TRACE: 'trace',
  NOTSET: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  WARNING: 'warn',
  ERROR: 'error',
  FATAL: 'fatal',
  CRITICAL: 'fatal',
}

const ownOptions: Readonly<Record<string, OptionRule | undefined>> = {
  name: { called: 'a text', accepts: (value) => typeof value === 'string' && value !== '' },
  // Its message stands below.
  format: undefined,
  colors: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  level: {
    called: 'one of trace, debug, info, warn, error, fatal',
    accepts: (value) => typeof value === 'string' && Object.values(levels).some((level) => level === value),
  },
  streams: { called: 'a list of streams of bunyan', accepts: Array.isArray },
}

/**
 * `core.log` and `call.log`, by bunyan. Records written within a call say which: its service, method, id, and the
 * request id where the plugin request-chain gives one.
 *
 * In debug mode everything goes to standard output, readable, the life of each call, the taps that ran and the events
 * of the wire included; else JSON lines of `PRODUCTION_LOGGING_LEVEL` and above go to `ERROR_LOG`, which is rotated. A
 * file that cannot be written costs records, which are counted, and nothing else.
 *
 * Put it first in the list: what other plugins log while they start is then its to write.
 */
export function debugLog(options: DebugLogOptions = {}): DebugLog {
  checkLogOptions('debugLog', options, ownOptions)
  const {
    name = 'zask',
    format = 'readable',
    level = 'trace',
    colors,
    streams = [],
    ...fileOptions
  } = options
  if (format !== 'readable' && format !== 'json') {
    throw new ZaskError(
      'ZASK_OPTION_INVALID',
      `debugLog has no format '${String(format)}'. Use readable or json.`,
    )
  }
  return {
    name: 'debug-log',
    defaults: { ERROR_LOG: '/tmp/zask.error.log', PRODUCTION_LOGGING_LEVEL: 'INFO' },
    apply(core) {
      let output: LogFile | StandardOutput | undefined
      let watching = false
      core.addStats('debug-log', () => ({ linesLost: output?.lost ?? 0 }))
      core.config.check('ERROR_LOG', (value) =>
        typeof value === 'string' && value !== ''
          ? undefined
          : 'the path of a file, or - for standard output',
      )
      core.config.check('PRODUCTION_LOGGING_LEVEL', (value) =>
        levelOf(value) === undefined ? `one of ${Object.keys(levels).join(', ')}` : undefined,
      )
      core.hooks.configLoaded.tap('debug-log', ({ DEBUG, ERROR_LOG: path, PRODUCTION_LOGGING_LEVEL }) => {
        const file = DEBUG || path === '-' ? undefined : new LogFile(resolve(core.root, path), fileOptions)
        file?.check()
        output = file ?? new StandardOutput()
        const readable = DEBUG && format === 'readable'
        const colored = colors ?? (process.stdout.isTTY && !process.env['NO_COLOR'])
        const write = writer(output, readable ? (record) => readableText(record, colored) : jsonText)
        const lowest = DEBUG ? level : (levelOf(PRODUCTION_LOGGING_LEVEL) as Level)
        const logger = bunyan.createLogger({
          name,
          streams: [{ type: 'raw', level: lowest, stream: { write } as never }, ...streams],
        })
        core.setLogger(new RecordLogger(logger, () => loggedCall(core.currentCall)))
        watching = DEBUG && logger.debug()
        if (!DEBUG || !logger.trace()) return
        watchHooks(core)
        watchEvents(core)
      })
      watchCalls(core, () => watching)
      core.hooks.started.tap('debug-log', () => output?.open())
      core.hooks.stopped.tap('debug-log', () => output?.close())
    },
  }
}

function writer(
  output: LogFile | StandardOutput,
  textOf: (record: LogRecord) => string,
): (record: LogRecord) => void {
  return (record) => {
    output.write(textOf(record))
    // Who logs an error may be about to die of it.
    if (Number(record['level']) >= bunyan.ERROR) output.flush()
  }
}

function levelOf(value: unknown): Level | undefined {
  return typeof value === 'string' && Object.hasOwn(levels, value.toUpperCase())
    ? levels[value.toUpperCase()]
    : undefined
}

function loggedCall(call: (Call & { readonly requestId?: unknown }) | undefined): LoggedCall | undefined {
  if (call === undefined) return undefined
  const { id, service, method, requestId } = call
  return {
    id,
    ...(service !== undefined && { service }),
    method,
    ...(typeof requestId === 'string' && { requestId }),
  }
}
