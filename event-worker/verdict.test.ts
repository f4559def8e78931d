import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  AGENT_RULES,
  MACHINE_FROM,
  MACHINE_SIGNALS,
  RULES_ROW,
  rulesParameters,
  type Signal,
  SIGNALS,
  UNSURE_FROM,
  verdictOf,
  SIGNAL_RULES,
} from '../core/rules.ts';
import { createDatabases } from '../test/support/databases.ts';
import { agentSignal, signalsOf } from './verdict.ts';

const click = {
  kind: 'click',
  head: false,
  purpose: '',
  ua: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  net: null,
} as const;
const open = { ...click, kind: 'open' } as const;
const GMAIL = 'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)';
const YAHOO = 'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html';

describe('person or machine', () => {
  test.each([
    [click, false, [], 'human'],
    [{ ...click, head: true }, false, ['head'], 'head'],
    [{ ...click, purpose: 'prefetch;prerender' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'preview' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'Prefetch' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'something else' }, false, [], 'human'],
    [click, true, ['bot-ua'], 'bot-ua'],
    [{ ...click, head: true, purpose: 'prefetch' }, true, ['head', 'prefetch', 'bot-ua'], 'head'],
    [{ ...click, net: 'barracuda' }, false, ['scanner-net'], 'scanner-net'],
    [{ ...click, net: 'barracuda' }, true, ['scanner-net', 'bot-ua'], 'scanner-net'],
    [{ ...click, net: 'gmail-image-proxy' }, false, [], 'human'],
    [{ ...click, net: 'proofpoint' }, false, ['scanner-net'], 'scanner-net'],
    // People also browse through servers of hosting providers, so this sign alone does not decide.
    [{ ...click, net: 'hetzner' }, false, ['hosting-net'], 'unsure'],
    [{ ...click, net: 'hetzner' }, true, ['bot-ua', 'hosting-net'], 'bot-ua'],
    [{ ...open, net: 'amazon' }, false, ['hosting-net'], 'unsure'],
    [{ ...open, ua: GMAIL, net: 'google' }, true, ['hosting-net', 'proxied'], 'human'],
    // Companies, VPNs and relays, and networks of a version that had other labels.
    [{ ...click, net: 'zscaler' }, false, [], 'human'],
    [{ ...click, net: 'cloudflare' }, false, [], 'human'],
    [{ ...click, net: 'an older label' }, false, [], 'human'],
    // These proxies fetch an image when the reader opens the letter. The list of bots contains their user agents, but the open is human.
    [{ ...open, ua: GMAIL, net: 'gmail-image-proxy' }, true, ['proxied'], 'human'],
    [{ ...open, ua: YAHOO }, true, ['proxied'], 'human'],
    [{ ...open, ua: GMAIL, head: true }, true, ['head', 'proxied'], 'head'],
    [{ ...click, ua: YAHOO }, true, ['bot-ua'], 'bot-ua'],
    // The proxy of Apple fetches images whether or not the letter is opened.
    [{ ...open, ua: 'Mozilla/5.0' }, true, ['privacy-proxy'], 'privacy-proxy'],
    [{ ...click, ua: 'Mozilla/5.0' }, true, ['bot-ua'], 'bot-ua'],
    [{ ...open, ua: '' }, true, ['bot-ua'], 'bot-ua'],
  ] as const)('%j with bot=%s is %j, so %s', (event, bot, signals, verdict) => {
    expect(signalsOf(event, agentSignal(event.ua, event.kind, bot))).toEqual(signals);
    expect(verdictOf(signals)).toBe(verdict);
  });

  test('every strong sign of a machine is a verdict, also with a sign of a person', () => {
    const strong = MACHINE_SIGNALS.filter((signal) => SIGNAL_RULES[signal].weight >= 7);
    expect(strong).toHaveLength(6);
    for (const signal of strong) expect([verdictOf([signal]), verdictOf([signal, 'proxied'])]).toEqual([signal, signal]);
  });

  test('the verdict of any signs is that of the sum of their weights, and the database computes the same', async () => {
    const databases = await createDatabases(1);
    const sets = Array.from({ length: 2 ** SIGNALS.length }, (_, bits) => SIGNALS.filter((_signal, i) => (bits >> i) & 1));
    const rows = await databases.query<{ verdict: string }>(
      'a',
      `SELECT shard.verdict_of(ARRAY(SELECT jsonb_array_elements_text(signals)), ${RULES_ROW}) AS verdict
       FROM jsonb_array_elements($12::jsonb) WITH ORDINALITY AS t (signals, n) ORDER BY n`,
      [...rulesParameters(), JSON.stringify(sets)],
    );
    const expected = (signals: readonly Signal[]): string => {
      let sum = 0;
      for (const signal of signals) sum += SIGNAL_RULES[signal].weight;
      return sum < UNSURE_FROM ? 'human' : sum < MACHINE_FROM ? 'unsure' : (signals[0] as string);
    };
    expect(sets.map(verdictOf)).toEqual(sets.map(expected));
    expect(rows.map(({ verdict }) => verdict)).toEqual(sets.map(expected));
  });
});

describe('the rules', () => {
  test('name their sources', async () => {
    const { networks } = JSON.parse(await readFile(new URL('../core/networks.json', import.meta.url), 'utf8')) as {
      networks: { label: string; source: string }[];
    };
    for (const { source } of [...networks, ...AGENT_RULES, ...Object.values(SIGNAL_RULES)]) expect(source).toMatch(/^https:\/\//);
  });
});
