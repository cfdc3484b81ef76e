import { writeSync } from 'node:fs'
import { type Debugger, Session } from 'node:inspector'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

/*
 * Runs in a thread of its own: a loop that is held up cannot look at itself. Nothing here imports the rest of zask, so
 * that the thread stays small.
 */

/** What the thread is told when it starts. */
export interface WatchOrder {
  /** Counted up by the watched thread, as long as its loop turns. */
  readonly beats: Int32Array
  readonly tickMs: number
  /** Ticks without a beat after which the loop counts as held up. */
  readonly patience: number
  /** Publishes the current call into an object it is given; runs in the watched thread, where it was stopped. */
  readonly channel: string
}

/** What was found where the loop is held up. */
export interface Finding {
  /** Name, script and place of each function that runs, innermost first; empty where it went on meanwhile. */
  readonly frames: readonly string[]
  /** The call it runs for. */
  readonly call: { readonly service?: string; readonly method?: string; readonly id?: string } | undefined
}

const maxFrames = 20
/** The log belongs to the thread that is held up. What holds it up for so many times as long may never end. */
const despair = 5

export function watch(port: MessagePort, order: WatchOrder): void {
  const { beats, tickMs, patience } = order
  let last = 0
  // Its own ticks, not the clock: where the whole process was stopped, no loop was held up.
  let missed = 0
  let found: Finding | undefined
  setInterval(() => {
    const now = Atomics.load(beats, 0)
    if (now !== last) {
      last = now
      missed = 0
      found = undefined
      return
    }
    missed++
    if (missed === patience) {
      look(order, (finding) => {
        found = Atomics.load(beats, 0) === last ? finding : { frames: [], call: undefined }
        port.postMessage(found)
      })
    }
    if (missed === patience * despair && found !== undefined) {
      const { call, frames } = found
      const by = call?.method === undefined ? '' : ` by ${call.method}`
      writeSync(2, `zask: the event loop is held up${by} and has not come back: ${frames.join(' < ')}\n`)
    }
  }, tickMs)
}

/** Stops the watched thread for some milliseconds, reads where it is, and lets it go on. */
function look({ channel }: WatchOrder, report: (finding: Finding) => void): void {
  const session = new Session()
  const scripts = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    const frames = callFrames.slice(0, maxFrames).map((frame) => describe(frame, scripts))
    const asked = {
      callFrameId: callFrames[0]?.callFrameId ?? '',
      expression: askFor(channel),
      returnByValue: true,
      silent: true,
    }
    session.post(
      'Debugger.evaluateOnCallFrame',
      asked,
      (_error, answer?: Debugger.EvaluateOnCallFrameReturnType) => {
        session.post('Debugger.resume', () => {
          session.post('Debugger.disable')
          session.disconnect()
        })
        report({ frames, call: answer?.result.value as Finding['call'] })
      },
    )
  })
  session.connectToMainThread()
  // Both at once: where native code holds the loop up, they are heard together when it returns, before anything else.
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

function describe(
  { functionName, location }: Debugger.CallFrame,
  scripts: ReadonlyMap<string, string>,
): string {
  const { scriptId, lineNumber, columnNumber = 0 } = location
  return `${functionName || '(anonymous)'} (${scripts.get(scriptId) ?? ''}:${lineNumber + 1}:${columnNumber + 1})`
}

function askFor(channel: string): string {
  const name = JSON.stringify(channel)
  return `(() => { const call = {}; process.getBuiltinModule('node:diagnostics_channel').channel(${name}).publish(call); return call })()`
}

if (parentPort !== null) watch(parentPort, workerData as WatchOrder)
