/** An object with keys, and no list: what settings, records of logs and answers of peers are looked into as. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
