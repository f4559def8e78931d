import type { DueRange } from './due.ts';
import type { Item } from './event.ts';
import type { ChangePosition, Reading } from './read-events.ts';

/** What is delivered in one step: some items, and what of the ledger is delivered with them. */
export interface Slice {
  readonly items: readonly Item[];
  /** These ranges have no events that match the filter, except those in `items`. */
  readonly ranges: readonly DueRange[];
  /** Undefined if the position does not change. */
  readonly position?: ChangePosition | undefined;
}

/** Divides what was read into slices of at most `most` items. Together they have all items and ranges, and the position. */
export function* slicesOf(reading: Reading, before: ChangePosition, most: number): Generator<Slice> {
  const { changes, events, position } = reading;
  const isMoved = position.id !== before.id || position.changedAt !== before.changedAt;
  for (let i = 0; i + most < changes.length; i += most) yield { items: changes.slice(i, i + most), ranges: [] };
  // The position is reached with the last change.
  let items = changes.slice(changes.length === 0 ? 0 : Math.floor((changes.length - 1) / most) * most);
  let open: ChangePosition | undefined = isMoved ? position : undefined;
  let ranges: DueRange[] = [];
  let next = 0;
  for (const { gen, range } of reading.ranges) {
    let from = range[0];
    for (; next < events.length; next++) {
      const item = events[next] as Item;
      if (item.event.gen !== gen || item.event.off >= range[1]) break;
      if (items.length === most) {
        if (item.event.off > from) ranges.push({ gen, range: [from, item.event.off] });
        from = item.event.off;
        yield { items, ranges, position: open };
        [items, ranges, open] = [[], [], undefined];
      }
      items.push(item);
    }
    if (from < range[1]) ranges.push({ gen, range: [from, range[1]] });
  }
  if (items.length > 0 || ranges.length > 0 || open !== undefined) yield { items, ranges, position: open };
}
