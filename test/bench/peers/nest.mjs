import 'reflect-metadata'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ClientProxyFactory, MessagePattern, Payload, Transport } from '@nestjs/microservices'
import { firstValueFrom } from 'rxjs'

class Echo {
  echo(value) {
    return value
  }
}
// Decorators are functions: applied by hand, this file needs no compiler.
MessagePattern('echo')(Echo.prototype, 'echo', Object.getOwnPropertyDescriptor(Echo.prototype, 'echo'))
Payload()(Echo.prototype, 'echo', 0)
Controller()(Echo)

class App {}
Module({ controllers: [Echo] })(App)

export async function serve() {
  const app = await NestFactory.createMicroservice(App, {
    logger: false,
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: 0 },
  })
  await app.listen()
  return { address: String(app.unwrap().address().port), stop: () => app.close() }
}

export async function connect(address) {
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: Number(address) },
  })
  await client.connect()
  return { echo: (value) => firstValueFrom(client.send('echo', value)), stop: async () => client.close() }
}
