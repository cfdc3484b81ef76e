import { resolve } from 'node:path'
import { type Plugin, ZaskError } from '../../core/index.ts'
import { checkLogOptions, LogFile, type LogFileOptions, StandardOutput } from '../log-file.ts'
import { type AccessFormat, lineWriters } from './access-line.ts'

export interface AccessLogConfig {
  /** The file, relative paths from the core's root; `-` is standard output. */
  ZERORPC_ACCESS_LOG: string
}

export interface AccessLogOptions extends Omit<LogFileOptions, 'dayOf'> {
  /** `classic` and `combined` are the lines of the original, older and newer. Default: `'classic'`. */
  format?: AccessFormat
}

/** What the plugin counts, in `core.stats.plugins['access-log']`. */
export interface AccessLogStats {
  /** Lines that could not be written, for want of space or permission. */
  readonly linesLost: number
}

export interface AccessLog extends Plugin<{
  config: AccessLogConfig
  stats: { 'access-log': AccessLogStats }
}> {
  /** Lines that could not be written so far, for want of space or permission. */
  readonly lost: number
}

/**
 * One line for each call that is served, however it ends: answered, failed, refused, cancelled, or its caller lost.
 * For a stream at its end. Calls this process makes are not its to log.
 *
 * In debug mode lines go to standard output, else to `ZERORPC_ACCESS_LOG`, a file that all services of a machine may
 * share. A file that cannot be written costs lines, which are counted, and never a call.
 *
 * Throws `ZASK_OPTION_INVALID`; `ZASK_LOG_FILE_REFUSED` at the start, where the path names no regular file.
 */
export function accessLog(options: AccessLogOptions = {}): AccessLog {
  // The format has a message of its own, which a wrong name in JavaScript gets as well.
  checkLogOptions('accessLog', options, { format: undefined })
  const { format = 'classic', ...fileOptions } = options
  if (!Object.hasOwn(lineWriters, format)) {
    const known = Object.keys(lineWriters).join(', ')
    throw new ZaskError('ZASK_OPTION_INVALID', `accessLog has no format '${format}'. Use one of: ${known}.`)
  }
  const outputs: (LogFile | StandardOutput)[] = []
  const lost = (): number => outputs.reduce((sum, output) => sum + output.lost, 0)
  return {
    name: 'access-log',
    defaults: { ZERORPC_ACCESS_LOG: '/tmp/zerorpc.access.log' },
    get lost() {
      return lost()
    },
    apply(core) {
      core.addStats('access-log', () => ({ linesLost: lost() }))
      const lineOf = lineWriters[format]
      let output: LogFile | StandardOutput | undefined
      core.config.check('ZERORPC_ACCESS_LOG', (value) =>
        typeof value === 'string' && value !== ''
          ? undefined
          : 'the path of a file, or - for standard output',
      )
      core.hooks.configLoaded.tap('access-log', ({ DEBUG, ZERORPC_ACCESS_LOG: path }) => {
        if (DEBUG || path === '-') output = new StandardOutput()
        else {
          const file = new LogFile(resolve(core.root, path), fileOptions)
          file.check()
          output = file
        }
        outputs.push(output)
      })
      // A core that only calls has no line to write, and makes no file.
      core.hooks.started.tap('access-log', () => output?.open())
      core.hooks.afterCall.tap('access-log', (call, outcome) => {
        if (call.side === 'server') output?.write(lineOf(call, outcome, Date.now()))
      })
      core.hooks.stopped.tap('access-log', () => output?.close())
    },
  }
}
