import { ClickledgerError } from '../core/errors.ts';
import { networkKindOf } from '../core/network-kinds.ts';
import { explainErrors, type Pool } from '../core/postgres.ts';
import { MACHINE_FROM, RULES_VERSION, type Signal, SIGNAL_RULES, UNSURE_FROM, type Verdict, verdictOf, weightOf } from '../core/rules.ts';
import { readOnly, type RunOptions } from './run-report.ts';

// Explains the verdict of one hit: its signals, their weights and sources, and what would change the verdict.

export interface Explanation {
  request_id: string;
  at: Date;
  kind: 'click' | 'open';
  campaign_id: number;
  link_id: number;
  /** Null for a shared link. */
  recipient_id: number | null;
  /** The label of the network and its kind, or null. */
  network: string | null;
  network_kind: string | null;
  verdict: Verdict;
  /** The version of the rules that decided the verdict. The weights are those of the current version. */
  rules: number;
  current_rules: number;
  signals: { signal: Signal; weight: number; what: string; source: string }[];
  /** The sum of the weights. Of signals in one group only the greatest weight counts. */
  weight: number;
  unsure_from: number;
  machine_from: number;
  /** What would change the verdict, in sentences. */
  would_change: string[];
}

/** A signal that a newer worker has stored. */
const UNKNOWN = { weight: 0, what: 'a signal that this version of clickledger does not know', source: '' };

interface Row {
  at: Date;
  kind: 'click' | 'open';
  campaign_id: number;
  link_id: number;
  recipient_id: number | null;
  net: string | null;
  verdict: Verdict;
  signals: Signal[] | null;
  rules: number;
}

/**
 * Explains the verdict of one hit. `requestId` is a value of the column `request_id` of `analytics.events`. Throws `bad-input` if it is not a
 * request id, and `not-found` if no such hit is kept.
 */
export async function explainVerdict(pool: Pool, requestId: string, limits: RunOptions): Promise<Explanation> {
  const id = requestId.trim().toLowerCase();
  if (!/^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/.test(id))
    throw new ClickledgerError(
      'bad-input',
      `'${requestId}' is not a request id. It has 32 hex digits: see the column request_id of analytics.events.`,
    );
  const sql =
    'SELECT at, kind, campaign_id, link_id, recipient_id, net, verdict, signals, rules FROM analytics.events WHERE request_id = $1 LIMIT 1';
  const row = await explainErrors(() => readOnly(pool, limits, async (client) => (await client.query<Row>(sql, [id])).rows[0]));
  if (row === undefined)
    throw new ClickledgerError(
      'not-found',
      `no hit has the request id '${requestId}'. Hits of test recipients and of dropped months are not listed.`,
    );
  const { net, verdict, signals: found, ...hit } = row;
  const signals = found ?? [];
  const known = signals.filter((signal) => signal in SIGNAL_RULES);
  return {
    request_id: id,
    ...hit,
    network: net,
    network_kind: networkKindOf(net) ?? null,
    verdict,
    current_rules: RULES_VERSION,
    signals: signals.map((signal) => ({ signal, ...(SIGNAL_RULES[signal] ?? UNKNOWN) })),
    weight: rounded(weightOf(known)),
    unsure_from: UNSURE_FROM,
    machine_from: MACHINE_FROM,
    would_change: changesOf(known),
  };
}

const rounded = (weight: number): number => Math.round(weight * 10) / 10;

/** Returns what would change the verdict of a hit with these signals by the current rules. */
function changesOf(signals: readonly Signal[]): string[] {
  const verdict = verdictOf(signals);
  const weight = weightOf(signals);
  const changes: string[] = [];
  if (verdict === 'human') changes.push(`Further signals that weigh ${rounded(UNSURE_FROM - weight)} or more would make it unsure.`);
  if (weight < MACHINE_FROM)
    changes.push(`Further signals that weigh ${rounded(MACHINE_FROM - weight)} or more would make it a machine's.`);
  for (const signal of signals) {
    const without = verdictOf(signals.filter((other) => other !== signal));
    if (without !== verdict) changes.push(`Without ${signal} the verdict would be ${without}.`);
  }
  return changes;
}
