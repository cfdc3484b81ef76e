import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { fileURLToPath } from 'node:url'

// `longs: Number` and `defaults: false` make an answer equal to what was sent, as with the other systems.
const definition = loadSync(fileURLToPath(new URL('./echo.proto', import.meta.url)), {
  keepCase: true,
  longs: Number,
  defaults: false,
})
const { Echo } = grpc.loadPackageDefinition(definition).bench

export async function serve() {
  const server = new grpc.Server()
  server.addService(Echo.service, {
    EchoNumber: (call, answer) => answer(null, call.request),
    EchoRecord: (call, answer) => answer(null, call.request),
    CountTo(call) {
      const last = call.request.value
      let next = 1
      // Written as gRPC wants it: stop when write() says the buffer is full, go on at 'drain'.
      const write = () => {
        while (next <= last) if (!call.write({ value: next++ })) return void call.once('drain', write)
        call.end()
      }
      write()
    },
  })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { address: `127.0.0.1:${port}`, stop: async () => server.forceShutdown() }
}

export async function connect(address) {
  const client = new Echo(address, grpc.credentials.createInsecure())
  await new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()))
  })
  return {
    echo(value) {
      return new Promise((resolve, reject) => {
        if (typeof value === 'number') {
          client.EchoNumber({ value }, (error, answer) => (error ? reject(error) : resolve(answer.value)))
        } else {
          client.EchoRecord(value, (error, answer) => (error ? reject(error) : resolve(answer)))
        }
      })
    },
    async *countTo(last) {
      for await (const { value } of client.CountTo({ value: last })) yield value
    },
    stop: async () => client.close(),
  }
}
