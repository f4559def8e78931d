import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { AGENT_RULES, MACHINE_SIGNALS, SIGNAL_RULES, verdictOf } from '../core/rules.ts';
import { agentSignal, ALTERED, EARLY, HEAD, HONEYPOT, OLD_BROWSER, signalsOf } from './verdict.ts';

const click = {
  kind: 'click',
  traits: 0,
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
    [{ ...click, traits: HEAD }, false, ['head'], 'head'],
    [{ ...click, purpose: 'prefetch;prerender' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'preview' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'Prefetch' }, false, ['prefetch'], 'prefetch'],
    [{ ...click, purpose: 'something else' }, false, [], 'human'],
    [click, true, ['bot-ua'], 'bot-ua'],
    [{ ...click, traits: HEAD, purpose: 'prefetch' }, true, ['head', 'prefetch', 'bot-ua'], 'head'],
    [{ ...click, net: 'barracuda' }, false, ['scanner-net'], 'scanner-net'],
    [{ ...click, net: 'barracuda' }, true, ['scanner-net', 'bot-ua'], 'scanner-net'],
    [{ ...click, net: 'gmail-image-proxy' }, false, [], 'human'],
    [{ ...click, net: 'proofpoint' }, false, ['scanner-net'], 'scanner-net'],
    // People also browse through servers of hosting providers, so this sign alone does not decide.
    [{ ...click, net: 'hetzner' }, false, ['hosting-net'], 'unsure'],
    [{ ...click, net: 'hetzner' }, true, ['bot-ua', 'hosting-net'], 'bot-ua'],
    [{ ...open, net: 'amazon' }, false, ['hosting-net'], 'unsure'],
    [{ ...click, traits: HONEYPOT }, false, ['honeypot'], 'honeypot'],
    // Some people read at once, and some have old devices. Two weak signs are too weak, too.
    [{ ...click, traits: EARLY }, false, ['early'], 'human'],
    [{ ...click, traits: OLD_BROWSER }, false, ['old-browser'], 'human'],
    [{ ...open, traits: OLD_BROWSER }, false, [], 'human'],
    [{ ...click, traits: ALTERED }, false, ['altered'], 'human'],
    [{ ...open, traits: ALTERED }, false, [], 'human'],
    [{ ...click, traits: ALTERED, net: 'hetzner' }, false, ['hosting-net', 'altered'], 'unsure'],
    [{ ...click, traits: EARLY | ALTERED, net: 'hetzner' }, false, ['hosting-net', 'early', 'altered'], 'hosting-net'],
    [{ ...click, traits: EARLY | OLD_BROWSER }, false, ['early', 'old-browser'], 'unsure'],
    [{ ...click, traits: EARLY, net: 'hetzner' }, false, ['hosting-net', 'early'], 'unsure'],
    [{ ...click, traits: EARLY | OLD_BROWSER, net: 'hetzner' }, false, ['hosting-net', 'early', 'old-browser'], 'hosting-net'],
    [{ ...open, traits: EARLY, net: 'hetzner' }, false, ['hosting-net'], 'unsure'],
    [{ ...click, traits: OLD_BROWSER, net: 'hetzner' }, false, ['hosting-net', 'old-browser'], 'unsure'],
    [{ ...open, ua: GMAIL, net: 'google' }, true, ['hosting-net', 'proxied'], 'human'],
    // Companies, VPNs and relays, and networks of a version that had other labels.
    [{ ...click, net: 'zscaler' }, false, [], 'human'],
    [{ ...click, net: 'cloudflare' }, false, [], 'human'],
    [{ ...click, net: 'an older label' }, false, [], 'human'],
    // These proxies fetch an image when the reader opens the letter. The list of bots contains their user agents, but the open is human.
    [{ ...open, ua: GMAIL, net: 'gmail-image-proxy' }, true, ['proxied'], 'human'],
    [{ ...open, ua: YAHOO }, true, ['proxied'], 'human'],
    [{ ...open, ua: GMAIL, traits: HEAD }, true, ['head', 'proxied'], 'head'],
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
    expect(strong).toHaveLength(7);
    for (const signal of strong) expect([verdictOf([signal]), verdictOf([signal, 'proxied'])]).toEqual([signal, signal]);
  });

  test('of the signs that measure the pace only the strongest counts', () => {
    expect(verdictOf(['short-burst', 'many-links', 'even-steps'])).toBe('unsure');
    expect(verdictOf(['short-burst', 'echo'])).toBe('short-burst');
    expect(verdictOf(['many-links', 'hosting-net'])).toBe('many-links');
    expect(verdictOf(['burst', 'short-burst'])).toBe('burst');
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
