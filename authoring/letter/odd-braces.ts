// Finds misspelled `{{column}}` tags. `prepare` fills in only tags that are spelled correctly.

/** A misspelled `{{column}}`. `from` to `to` is its position, in UTF-16 code units. */
export interface OddBraces {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Runs of braces. Two braces may have one space between them, as in `{ {name}}`. */
const BRACES = /\{(?: ?\{)*|\}(?: ?\})*/g;
const COLUMN_NAME = /^\s*[\p{L}_#][\p{L}\p{M}\p{N}_.\-| "']{0,60}/u;

/**
 * Returns the places in visible text or an attribute that look like a `{{column}}` with a missing, an extra or a separated brace:
 * `{{name}`, `{name}}`, `{{{name}}`, `{ {name}}`, `{{ name`, `name}}`. `prepare` does not change these places. `{name}` is not included,
 * because foreignTags finds it.
 */
export function oddBraces(text: string): OddBraces[] {
  const odd: OddBraces[] = [];
  const add = (from: number, to: number) => odd.push({ from, to, text: text.slice(from, to) });
  /** The number of unclosed braces before `open`. */
  let depth = 0;
  let open: { from: number; to: number } | undefined;
  const count = (run: string) => run.replaceAll(' ', '').length;
  const isColumnName = (from: number, to: number) => to - from <= 64 && COLUMN_NAME.exec(text.slice(from, to))?.[0].length === to - from;
  const endUnclosed = () => {
    if (!open || open.to - open.from < 2) return;
    const name = COLUMN_NAME.exec(text.slice(open.to, open.to + 64))?.[0].trimEnd();
    if (name) add(open.from, open.to + name.length);
  };
  for (const run of text.matchAll(BRACES)) {
    const [from, to] = [run.index, run.index + run[0].length];
    if (run[0].startsWith('{')) {
      endUnclosed();
      if (open) depth += count(text.slice(open.from, open.to));
      open = { from, to };
      continue;
    }
    const closed = count(run[0]);
    if (open) {
      const opened = count(text.slice(open.from, open.to));
      const isSpaced = /\s/.test(text.slice(open.from, open.to) + run[0]);
      const isOdd = opened !== closed || opened > 3 || (isSpaced && opened > 1);
      if (isColumnName(open.to, from)) {
        // `}}` may also close an outer brace, as in `{a{name}}`.
        if (isOdd && Math.max(opened, closed) > 1 && (opened > 1 || depth === 0)) add(open.from, to);
        else depth = Math.max(0, depth + opened - closed);
      } else {
        if (opened !== closed) endUnclosed();
        depth = Math.max(0, depth + opened - closed);
      }
      open = undefined;
      continue;
    }
    const name = /[\p{L}\p{N}_]+[ \t]?$/u.exec(text.slice(Math.max(0, from - 40), from))?.[0];
    if (depth === 0 && closed === 2 && name) add(from - name.length, to);
    depth = Math.max(0, depth - closed);
  }
  endUnclosed();
  return odd;
}
