import { hash } from 'node:crypto';
import Bowser from 'bowser';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { AGENT_RULES, type Signal } from '../core/rules.ts';
import { agentSignal } from './verdict.ts';

/** What is kept of a user agent. The id is made of the other four, so that it means the same in every database. */
export interface ReducedAgent {
  /** 64 bits, signed decimal. */
  readonly id: string;
  readonly client: string;
  readonly version: string;
  readonly system: string;
  readonly device: string;
  readonly bot: boolean;
  /** What it gives away about a machine, in a click and in an open. */
  readonly signals: Readonly<Record<'click' | 'open', Signal | undefined>>;
}

// Bowser takes what it does not know at its word, so a rare or made-up name would single its owner out: only these are kept.
const BROWSERS = new Set([...Object.values(Bowser.BROWSER_MAP), 'Miui', 'Opera Touch']);
const MAIL_CLIENTS = [
  { name: 'Thunderbird', sign: /\bThunderbird\/(\d+)/ },
  { name: 'Outlook', sign: /\b(?:Microsoft Outlook |Outlook-(?:iOS|Android)\/)(\d+)/ },
] as const;

const cache = new LRUCache<string, ReducedAgent>({ max: 20_000 });

/** Reduces a user agent to what cannot single anybody out. About 30 µs for a new one, a map look-up for one seen lately. */
export function reduceUserAgent(ua: string): ReducedAgent {
  const known = cache.get(ua);
  if (known) return known;
  const reduced = reduce(ua);
  cache.set(ua, reduced);
  return reduced;
}

function reduce(ua: string): ReducedAgent {
  const bot = ua === '' || isbot(ua);
  const proxy = AGENT_RULES.find(({ client, userAgent }) => client !== undefined && userAgent.test(ua))?.client;
  const signals = { click: agentSignal(ua, 'click', bot), open: agentSignal(ua, 'open', bot) };
  if (proxy !== undefined) return withId({ client: proxy, version: '', system: '', device: 'unknown', bot, signals });
  const parsed = ua === '' ? undefined : Bowser.parse(ua);
  const { client, version } = clientOf(ua, parsed?.browser);
  const system = clean(parsed?.os.name);
  const device = bot ? 'bot' : clean(parsed?.platform.type) || 'unknown';
  return withId({ client, version, system, device, bot, signals });
}

function withId(agent: Omit<ReducedAgent, 'id'>): ReducedAgent {
  const { client, version, system, device } = agent;
  return { id: hash('sha256', [client, version, system, device].join('\n'), 'buffer').readBigInt64BE().toString(), ...agent };
}

function clientOf(ua: string, browser: Bowser.Parser.Details | undefined): { client: string; version: string } {
  for (const { name, sign } of MAIL_CLIENTS) {
    const version = sign.exec(ua)?.[1];
    if (version !== undefined) return { client: name, version: version.slice(0, 4) };
  }
  if (!browser?.name || !BROWSERS.has(browser.name)) return { client: '', version: '' };
  return { client: clean(browser.name), version: /^\d{1,4}/.exec(browser.version ?? '')?.[0] ?? '' };
}

/** Short, printable, and without anything that COPY or a terminal would take amiss. */
function clean(text: string | undefined): string {
  return (text ?? '')
    .replace(/[^\x20-\x7e]/g, '')
    .replaceAll('\\', '')
    .slice(0, 40);
}
