import type { Pool } from '../core/postgres.ts';
import { BURST, type BurstRule, NETWORK_SIGNALS, RULES_VERSION, type Signal, verdictOf, VISITED_MS } from '../core/rules.ts';
import { entryOf } from './entry-of.ts';
import { ownSignals, signalsOfClicks, withoutLoneVisit } from './found-signals.ts';
import { addJudgedHits, changeAndMerge, clickOf, haveSame, judgedHit } from './judge.ts';
import { readGroups, type StoredHit } from './stored-hits.ts';
import { inTransaction } from './transaction.ts';
import { isEarly, networkSignal } from './verdict.ts';

// Judges all hits of a campaign on one shard again. The signals that follow from the catalog, from networks and from other clicks are computed
// anew. The other signals stay as stored, because what they follow from, such as the whole user agent, is not stored.

/** The data of a campaign by which its hits are judged. */
export interface CampaignFacts {
  id: number;
  /** Epoch milliseconds. Undefined if the author has not recorded it. */
  sentAt: number | undefined;
  /** The ids of the hidden links. */
  honeypots: ReadonlySet<number>;
}

/**
 * The number of hits of one kind whose old verdict is `was` and whose new verdict is `becomes`. Both verdicts may be the same.
 * `older_rules` is the number of these hits that were first judged by an older version of the rules.
 */
export interface Reclassified {
  kind: string;
  was: string;
  becomes: string;
  hits: number;
  older_rules: number;
}

interface CampaignHit extends StoredHit {
  kind: 'click' | 'open';
  net: string | null;
  /** The version of the rules that decided the verdict. */
  rules: number;
}

/** The signals that ownByCurrentRules computes anew. */
const COMPUTED: readonly Signal[] = ['early', 'honeypot', ...Object.values(NETWORK_SIGNALS)];

/** With `dryRun` nothing is changed. Tests may use another rule for bursts. */
export async function reclassifyShard(
  pool: Pool,
  campaign: CampaignFacts,
  dryRun: boolean,
  burst: BurstRule = BURST,
): Promise<Reclassified[]> {
  const counts = new Map<string, Reclassified>();
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ deltas: string[] }>('SELECT shard.deltas_of($1) AS deltas', [campaign.id]);
    // The cursor takes its snapshot after the lock of the judge.
    for await (const hits of readGroups<CampaignHit>(client, "SELECT * FROM shard.campaign_hits($1, $2 * interval '1 ms')", [
      campaign.id,
      VISITED_MS,
    ])) {
      const changed = judgeAgain(hits, campaign, burst).flatMap((signals, i) => {
        const hit = hits[i] as CampaignHit;
        count(counts, hit, signals);
        return hit.rules === RULES_VERSION && haveSame(hit.signals ?? [], signals) ? [] : [judgedHit(hit, signals)];
      });
      if (!dryRun) await addJudgedHits(client, changed);
    }
    if (dryRun) return false;
    await changeAndMerge(client, rows[0]?.deltas ?? []);
    return true;
  });
  return [...counts.values()].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Returns the signals of each hit. */
function judgeAgain(hits: readonly CampaignHit[], campaign: CampaignFacts, burst: BurstRule): (readonly Signal[])[] {
  const signals = hits.map((hit) => ownByCurrentRules(hit, campaign));
  const clicks = new Map<number, number[]>();
  for (const [i, { kind, recipient_id }] of hits.entries())
    if (kind === 'click' && recipient_id !== 0) entryOf(clicks, recipient_id, () => []).push(i);
  for (const numbers of clicks.values()) {
    if (numbers.length < 2) continue;
    const found = signalsOfClicks(
      numbers.map((i) => ({ ...clickOf(hits[i] as CampaignHit), signals: signals[i] as readonly Signal[] })),
      burst,
    );
    for (const [n, i] of numbers.entries()) signals[i] = found[n] as readonly Signal[];
  }
  return signals.map(withoutLoneVisit);
}

/** Returns the signals that do not depend on other clicks. Those in COMPUTED are found by the current rules. */
function ownByCurrentRules(
  { kind, at, link_id, signals, net, visited }: CampaignHit,
  { sentAt, honeypots }: CampaignFacts,
): readonly Signal[] {
  const own = (signals ?? []).filter((signal) => !COMPUTED.includes(signal));
  if (kind === 'click' && honeypots.has(link_id)) own.push('honeypot');
  if (kind === 'click' && isEarly(at, sentAt)) own.push('early');
  if (visited) own.push('visited');
  const byNetwork = networkSignal(net);
  if (byNetwork) own.push(byNetwork);
  return ownSignals(own);
}

function count(counts: Map<string, Reclassified>, { kind, verdict, rules }: CampaignHit, signals: readonly Signal[]): void {
  const row = { kind, was: verdict, becomes: verdictOf(signals), hits: 0, older_rules: 0 };
  const counted = entryOf(counts, keyOf(row), () => row);
  counted.hits++;
  if (rules < RULES_VERSION) counted.older_rules++;
}

const keyOf = ({ kind, was, becomes }: Pick<Reclassified, 'kind' | 'was' | 'becomes'>): string => `${kind} ${was} ${becomes}`;
