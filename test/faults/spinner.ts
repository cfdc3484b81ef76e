/** Takes all of a processor it can get. */
const { ms } = JSON.parse(process.argv[2] ?? '{}') as { ms: number }
const end = performance.now() + ms
while (performance.now() < end);
