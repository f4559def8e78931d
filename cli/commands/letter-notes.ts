import { type CheckedTarget, checkTargets } from '../../authoring/check-targets.ts';
import type { KeptSummary } from '../../authoring/letter/kept-links.ts';
import type { LeftoverTag } from '../../authoring/letter/leftover-tags.ts';
import { linkRows } from '../../authoring/letter/link-rows.ts';
import type { LetterPlan } from '../../authoring/letter/plan.ts';
import type { LetterPlans } from '../../authoring/track-letter.ts';
import { note, printJson, printTable } from '../output.ts';
import { createProgress } from '../progress.ts';

// Prints notes about a letter, for the commands `prepare` and `send`.

/** At most this many mistakes of one kind are listed. */
const MAX_LISTED = 10;

/**
 * Asks the targets of the links that will be tracked, and lists those that do not answer. Dead links do not stop the command. The plans must
 * be without `trackUnsubscribe`, because a request to such a link may unsubscribe somebody.
 */
export async function checkLinks({ html, text }: LetterPlans): Promise<CheckedTarget[]> {
  const progress = createProgress();
  const targets = [html, text].flatMap((plan) => plan?.tracked ?? []).map(({ target }) => target);
  const checked = await checkTargets(targets, {
    onChecked: (done, all) => progress.show(done, all, `${done} of ${all} links`),
  }).finally(() => progress.end());
  const of = (wanted: CheckedTarget['result']) => checked.filter(({ result }) => result === wanted);
  const list = (links: readonly CheckedTarget[], title: string): void => {
    if (links.length === 0) return;
    note(`  ${title}:`);
    for (const { target, status, error } of links.slice(0, MAX_LISTED))
      note(`    ${truncate(target, 100)}: ${error ?? `status ${status}`}`);
    if (links.length > MAX_LISTED) note(`    and ${links.length - MAX_LISTED} more`);
  };
  const [dead, unclear, notAsked] = [of('dead'), of('unclear'), of('not-asked')];
  note(`${of('ok').length} of ${checked.length} links answer`);
  list(dead, 'these do not');
  list(unclear, 'these may answer people otherwise than programs, so look at them yourself');
  if (notAsked.length > 0) note(`  ${notAsked.length} not asked, because their robots.txt forbids it or cannot be read`);
  return checked;
}

/** Prints for each reason how many links are not tracked, and lists the links that are probably mistakes. */
export function noteKept({ counts, suspicious }: KeptSummary): void {
  const reasons = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`);
  if (reasons.length > 0) note(`  not tracked: ${reasons.join(', ')} (--dry-run lists them)`);
  if (suspicious.length === 0) return;
  note('  these addresses lead nowhere, check their spelling:');
  for (const { part, line, address } of suspicious.slice(0, MAX_LISTED)) note(`    ${part}, line ${line}: ${truncate(address, 100)}`);
  if (suspicious.length > MAX_LISTED) note(`    and ${suspicious.length - MAX_LISTED} more`);
}

/** Prints the tags that are not filled in. Readers would see these tags. */
export function noteLeftovers(tags: readonly LeftoverTag[]): void {
  if (tags.length === 0) return;
  note('note: these tags are not filled in, and readers will see them. A column is written {{name}}.');
  for (const { part, line, text, sender } of tags.slice(0, MAX_LISTED))
    note(`  ${part}, line ${line}: ${truncate(text, 60)}${sender === undefined ? '' : ` (a tag of ${sender})`}`);
  if (tags.length > MAX_LISTED) note(`  and ${tags.length - MAX_LISTED} more`);
}

const truncate = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

export function showPlans(
  plans: readonly LetterPlan[],
  kept: KeptSummary,
  json: boolean,
  checked: readonly CheckedTarget[] | undefined,
): void {
  const rows = linkRows(plans);
  const hasPixel = plans.some(({ pixelAt }) => pixelAt !== undefined);
  const hasHoneypot = plans.some(({ honeypotAt }) => honeypotAt !== undefined);
  if (json)
    return printJson({
      links: rows,
      pixel: hasPixel,
      honeypot: hasHoneypot,
      kept: kept.counts,
      suspicious: kept.suspicious,
      ...(checked && { checked }),
    });
  printTable(
    ['part', 'line', 'what', 'address', 'words'],
    rows.map(({ part, line, what, address, words }) => [
      part,
      line,
      what === 'tracked' ? what : `kept: ${what}`,
      truncate(address, 70),
      truncate(words, 30),
    ]),
  );
  const tracked = rows.filter(({ what }) => what === 'tracked').length;
  note(
    `${tracked} of ${rows.length} links would be tracked${hasHoneypot ? ', a hidden link would be added' : ''}${hasPixel ? ', and a pixel would be added' : ''}`,
  );
  noteKept(kept);
}
