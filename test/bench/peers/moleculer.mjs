import moleculer from 'moleculer'

/** Everything as it comes (JSON, gossip), but for what would look for other nodes on the network. */
function makeBroker(nodeID, urls) {
  return new moleculer.ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: 'TCP', options: { udpDiscovery: false, useHostname: false, urls } },
    // The benchmark ends its processes itself.
    skipProcessEventRegistration: true,
  })
}

export async function serve() {
  const broker = makeBroker('bench-server', [])
  broker.createService({ name: 'bench', actions: { echo: (context) => context.params.value } })
  await broker.start()
  // The transporter writes the port it was given into its own options.
  const port = broker.transit.tx.opts.port
  return { address: `tcp://127.0.0.1:${port}/bench-server`, stop: () => broker.stop() }
}

export async function connect(address) {
  const broker = makeBroker(`bench-client-${process.pid}`, [address])
  await broker.start()
  await broker.waitForServices('bench', 20_000)
  return { echo: (value) => broker.call('bench.echo', { value }), stop: () => broker.stop() }
}
