import type { Pool, PoolClient } from '../core/postgres.ts';
import { BURST, type BurstRule, NETWORK_SIGNALS, RULES_VERSION, type Signal, verdictOf } from '../core/rules.ts';
import { entryOf } from './entry-of.ts';
import { ownSignals, signalsOfClicks } from './found-signals.ts';
import { addJudgedHits, changeAndMerge, clickOf, haveSame, judgedHit, type StoredHit } from './judge.ts';
import { inTransaction } from './transaction.ts';
import { networkSignal } from './verdict.ts';

// Judges all hits of a campaign on one shard again. The signals of networks, and those that follow from other clicks, are computed anew. The
// other signals stay as stored, because what they follow from, such as the whole user agent, is not stored.

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

const ROWS = 20_000;
const BY_NETWORK: readonly Signal[] = Object.values(NETWORK_SIGNALS);

/** With `dryRun` nothing is changed. Tests may use another rule for bursts. */
export async function reclassifyShard(pool: Pool, campaign: number, dryRun: boolean, burst: BurstRule = BURST): Promise<Reclassified[]> {
  const counts = new Map<string, Reclassified>();
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ deltas: string[] }>('SELECT shard.deltas_of($1) AS deltas', [campaign]);
    for await (const hits of hitsByRecipient(client, campaign)) {
      const changed = judgeAgain(hits, burst).flatMap((signals, i) => {
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

/** Reads the hits in chunks. All clicks of one recipient are in one chunk. */
async function* hitsByRecipient(client: PoolClient, campaign: number): AsyncGenerator<CampaignHit[]> {
  // A cursor takes its snapshot here, after the lock of the judge.
  await client.query(`DECLARE hit NO SCROLL CURSOR FOR SELECT * FROM shard.campaign_hits(${campaign})`);
  let left: CampaignHit[] = [];
  for (;;) {
    const { rows } = await client.query<CampaignHit>(`FETCH ${ROWS} FROM hit`);
    left.push(...rows);
    if (rows.length < ROWS) break;
    const last = left.at(-1)?.recipient_id;
    const end = last === 0 ? left.length : left.findIndex(({ recipient_id }) => recipient_id === last);
    yield left.slice(0, end);
    left = left.slice(end);
  }
  if (left.length > 0) yield left;
  await client.query('CLOSE hit');
}

/** Returns the signals of each hit. */
function judgeAgain(hits: readonly CampaignHit[], burst: BurstRule): (readonly Signal[])[] {
  const signals = hits.map(ownByCurrentRules);
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
  return signals;
}

/** Returns the signals that do not depend on other clicks. The signal of the network is found by the current rules. */
function ownByCurrentRules({ signals, net }: CampaignHit): readonly Signal[] {
  const byNetwork = networkSignal(net);
  const others = (signals ?? []).filter((signal) => !BY_NETWORK.includes(signal));
  return ownSignals(byNetwork ? [...others, byNetwork] : others);
}

function count(counts: Map<string, Reclassified>, { kind, verdict, rules }: CampaignHit, signals: readonly Signal[]): void {
  const row = { kind, was: verdict, becomes: verdictOf(signals), hits: 0, older_rules: 0 };
  const counted = entryOf(counts, keyOf(row), () => row);
  counted.hits++;
  if (rules < RULES_VERSION) counted.older_rules++;
}

const keyOf = ({ kind, was, becomes }: Pick<Reclassified, 'kind' | 'was' | 'becomes'>): string => `${kind} ${was} ${becomes}`;
