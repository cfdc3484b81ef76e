/** Lines to standard output, with the face of a `LogFile`. */
export class StandardOutput {
  readonly lost = 0

  write(line: string): void {
    const { stdout } = process
    // Without a listener the end of a pipe's reader, as of `| head`, would be the end of the service.
    if (stdout.listenerCount('error') === 0) stdout.on('error', () => undefined)
    stdout.write(`${line}\n`)
  }

  open(): void {}
  flush(): void {}
  close(): void {}
}
