import { ZaskError } from '../../core/index.ts'
import { bindKeyOf } from './bind-key.ts'
import { defaultBind } from './settings.ts'

/** What is used of MikroORM's metadata. */
interface FoundEntity {
  readonly className: string
  readonly class: object
  readonly pivotTable?: boolean
  readonly embeddable?: boolean
  readonly abstract?: boolean
  readonly relations?: readonly { readonly name: string; readonly targetMeta?: FoundEntity }[]
}

/**
 * MikroORM follows relations while it looks for entities, and would make the tables of another bind's entities here.
 *
 * @throws ZaskError `ZASK_DATABASE_RELATION` naming both ends.
 */
export function refuseForeignRelations(bind: string, found: Iterable<FoundEntity>): void {
  for (const entity of found) {
    // Embeddables have no table, and pivot tables are MikroORM's own.
    if (entity.pivotTable === true || entity.embeddable === true || bindOf(entity) !== bind) continue
    for (const { name, targetMeta: target } of entity.relations ?? []) {
      if (target === undefined || target.pivotTable === true || bindOf(target) === bind) continue
      throw new ZaskError(
        'ZASK_DATABASE_RELATION',
        `${entity.className}.${name} leads from bind ${bind} to ${target.className} of bind ${bindOf(target)}: no ` +
          `database can join the two. Store the primary key as a plain property, or give both the same bind.`,
        { details: { entity: entity.className, property: name, target: target.className } },
      )
    }
  }
}

function bindOf(entity: FoundEntity): string {
  return bindKeyOf(entity.class) ?? defaultBind
}
