import { Child } from './children.ts'

/** The serving children of one test file: `kill` ends whatever its last test has left. */
export class ServingChildren {
  readonly #children: Child[] = []

  /** One that serves with these options, at a free port where they name none. */
  async start(options: object = {}): Promise<{ child: Child; endpoint: string }> {
    const child = new Child('serving-child.ts', options)
    this.#children.push(child)
    const [endpoint] = (await child.says('endpoints')) as string[]
    return { child, endpoint: endpoint as string }
  }

  kill(): void {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL')
  }
}
