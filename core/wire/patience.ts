import type { Channel } from './channel.ts'
import type { Event } from './event.ts'
import { TimerEntry } from './timer-wheel.ts'

/** How long a channel that was opened by a control event waits for its request. */
const requestPatienceMs = 30_000

/** Ends a channel that was opened by a control event and never saw its request. */
class Patience extends TimerEntry {
  readonly #channel: Channel

  constructor(channel: Channel) {
    super()
    this.#channel = channel
  }

  override onTimer(): void {
    this.#channel.close()
  }
}

/**
 * A beat or a credit may come before the request it belongs to (a zerorpc-python client beats while its
 * middleware holds the request back); the first other event on that channel is the request.
 */
export function awaitRequest(
  channel: Channel,
  control: Event,
  onRequest: (channel: Channel, request: Event) => void,
): void {
  const { wheel } = channel.peer
  const patience = new Patience(channel)
  const lose = (): void => wheel.cancel(patience)
  wheel.schedule(patience, requestPatienceMs)
  channel.listener = {
    onEvent: (event) => {
      wheel.cancel(patience)
      channel.read()
      onRequest(channel, event)
    },
    onLost: lose,
    onCancel: lose,
  }
  channel.receive(control)
}
