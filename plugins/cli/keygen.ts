import { randomBytes } from 'node:crypto'
import { rename, unlink, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type CurveKeyPair, curveKeyPair } from '../../core/index.ts'
import type { Command, CommandLine } from '../command/command.ts'
import { escapeControls, exitCodes, json } from '../command/terminal.ts'

/** `zask keygen`: a CURVE key pair, on the terminal or in a file that config can load. */
export const keygenCommand: Command = {
  usage: '',
  says: 'make a pair of keys for encrypted calls',
  more: `A file holds both keys as CURVE_PUBLIC_KEY and CURVE_SECRET_KEY, which core.config.fromFile('<name>.json') reads. It is
readable by its owner alone, and one that is there is kept. The public key is for whoever is to call or be called; the
secret key stays where it is used.`,
  options: {
    out: {
      type: 'string',
      value: '<file>',
      says: 'write the pair into a JSON file, and print the public key alone',
    },
    force: { type: 'boolean', says: 'replace the file if it is there' },
  },
  least: 0,
  most: 0,
  run: makeKeys,
}

async function makeKeys({ options, asJson, terminal }: CommandLine): Promise<number | void> {
  const pair = curveKeyPair()
  const { publicKey, secretKey } = pair
  if (typeof options['out'] !== 'string') {
    terminal.write(
      asJson
        ? `${json(pair)}\n`
        : `public key  ${publicKey}   for everybody who calls or is called\n` +
            `secret key  ${secretKey}   for its owner alone\n`,
    )
    return
  }
  const file = resolve(options['out'])
  try {
    await write(file, pair, options['force'] === true)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    terminal.complain(
      code === 'EEXIST'
        ? `zask: ${escapeControls(file)} is there already, and whoever uses its keys would be shut out. Name another file, or ` +
            'add --force.\n'
        : `zask: ${escapeControls(file)} cannot be written: ${escapeControls(message)}.\n`,
    )
    return exitCodes.failed
  }
  terminal.write(
    asJson
      ? `${json({ publicKey, file })}\n`
      : `${escapeControls(file)} is written, for its owner's eyes alone.\npublic key  ${publicKey}\n`,
  )
}

/** All of it or nothing: a key that was cut off while it was replaced would be lost. */
async function write(file: string, { publicKey, secretKey }: CurveKeyPair, replace: boolean): Promise<void> {
  const text = `${JSON.stringify({ CURVE_PUBLIC_KEY: publicKey, CURVE_SECRET_KEY: secretKey }, undefined, 2)}\n`
  const own = { flag: 'wx', mode: 0o600, flush: true }
  if (!replace) return await writeFile(file, text, own)
  const beside = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(beside, text, own)
    await rename(beside, file)
  } catch (error) {
    await unlink(beside).catch(() => undefined)
    throw error
  }
}
