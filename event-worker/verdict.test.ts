import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { AGENT_RULES, MACHINE_SIGNALS, SCANNER_NETWORKS } from '../core/rules.ts';
import { agentSignal, signalsOf, verdictOf } from './verdict.ts';

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
    [{ ...click, net: 'proofpoint' }, false, [], 'human'],
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

  test('every sign of a machine can be a verdict', () => {
    for (const signal of MACHINE_SIGNALS) expect(verdictOf(['proxied', signal])).toBe(signal);
  });
});

describe('the rules', () => {
  test('name networks that the agent knows, and their sources', async () => {
    const { networks } = JSON.parse(await readFile(new URL('../core/networks.json', import.meta.url), 'utf8')) as {
      networks: { label: string; source: string }[];
    };
    expect(networks.map(({ label }) => label)).toEqual(expect.arrayContaining([...SCANNER_NETWORKS]));
    for (const { source } of [...networks, ...AGENT_RULES]) expect(source).toMatch(/^https:\/\//);
  });
});
