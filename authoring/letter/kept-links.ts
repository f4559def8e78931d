import type { KeepReason } from './decide.ts';
import { createLineCounter } from './line-counter.ts';
import type { LetterPlan } from './plan.ts';

// Summarises the links of a letter that are not tracked, so that an author sees every link that is not counted, and every mistake.

export interface KeptSummary {
  /** The number of links by reason, in the order in which the reasons occur. */
  counts: Partial<Record<KeepReason, number>>;
  /** Links that are probably mistakes, because no mail program can follow them. */
  suspicious: { part: 'html' | 'text'; line: number; address: string; reason: KeepReason }[];
}

/** Schemes that mail programs and phones open. Another scheme is probably a spelling mistake, or leads to the author's own computer. */
const USUAL_SCHEMES =
  /^(?:mailto|tel|sms|smsto|mms|callto|facetime(?:-audio)?|whatsapp|viber|tg|signal|skype|sip|sips|xmpp|msteams|zoommtg|webcal|webcals|geo|maps|comgooglemaps|market|intent|itms(?:-apps|-appss)?|android-app|fb|instagram|twitter|spotify|steam|cid|mid|data|bitcoin|lightning|magnet|ftp|ftps|sftp|news|irc|ircs|upi|vnd\.[\w.-]+|about|javascript):/i;

/** Returns the number of kept links for each reason, and the links that are probably mistakes. */
export function summariseKept(plans: readonly LetterPlan[]): KeptSummary {
  const counts: KeptSummary['counts'] = {};
  const suspicious: KeptSummary['suspicious'] = [];
  for (const plan of plans) {
    const lineOf = createLineCounter(plan.text);
    for (const { reason, address, from } of plan.kept) {
      counts[reason] = (counts[reason] ?? 0) + 1;
      if (isSuspicious(reason, address)) suspicious.push({ part: plan.kind, line: lineOf(from), address, reason });
    }
  }
  return { counts, suspicious };
}

function isSuspicious(reason: KeepReason, address: string): boolean {
  if (reason === 'not-http') return !USUAL_SCHEMES.test(address);
  return reason === 'relative' || reason === 'malformed' || reason === 'too-long';
}
