import type { HookReport } from '../../core/index.ts'

/**
 * The x-ray of a core as a table, plugins by hooks: `console.log(hookTable(core.hooks.inspect()))`.
 *
 * A cell is the place of the plugin's tap in the order in which the taps of that hook run, and its mean time in
 * milliseconds as far as it was traced; a plugin with several taps has a place for each. Hooks that nobody taps are
 * left out.
 */
export function hookTable(reports: readonly HookReport[]): string {
  const used = reports.filter(({ taps }) => taps.length > 0)
  if (used.length === 0) return 'no plugin has tapped a hook'
  const plugins = [...new Set(used.flatMap(({ taps }) => taps.map(({ plugin }) => plugin)))]
  const rows = [['plugin', ...used.map(({ hook }) => hook)]]
  for (const plugin of plugins) rows.push([plugin, ...used.map((report) => cell(report, plugin))])
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cell({ taps }: HookReport, plugin: string): string {
  const places = taps.flatMap((tap, index) => {
    if (tap.plugin !== plugin) return []
    return tap.meanMs === undefined ? [`${index + 1}.`] : [`${index + 1}. ${tap.meanMs.toFixed(3)} ms`]
  })
  return places.length === 0 ? '-' : places.join(', ')
}
