import type { Payload } from './system.ts'

/** A record as services pass them around: mixed types, some nesting. Its msgpack encoding takes 1,024 bytes. */
const record = {
  id: 48_211,
  username: 'ada.lovelace',
  email: 'ada.lovelace@example.org',
  active: true,
  balance: 1734.25,
  createdAt: '2026-03-14T15:09:26.535Z',
  tags: ['analyst', 'engine', 'first', 'programmer'],
  address: { street: '12 St James Square', city: 'London', postcode: 'SW1Y 4JH', country: 'GB' },
  orders: [
    { sku: 'CARD-0001', quantity: 3, price: 12.5, note: 'number cards' },
    { sku: 'CARD-0002', quantity: 7, price: 0.75, note: 'operation cards' },
    { sku: 'GEAR-0107', quantity: 1, price: 249.9, note: 'brass, 40 teeth' },
    { sku: 'ROD-00031', quantity: 12, price: 4.2, note: 'steel, polished' },
  ],
  note: 'The engine weaves algebraic patterns just as the loom weaves flowers and leaves. '
    .repeat(7)
    .slice(0, 533),
}

/** The payloads by the name they bear in the results. */
export const payloads: Readonly<Record<PayloadName, Payload>> = { 'small-integer': 42, 'object-1KiB': record }

export type PayloadName = 'small-integer' | 'object-1KiB'

export const payloadNames: readonly PayloadName[] = ['small-integer', 'object-1KiB']
