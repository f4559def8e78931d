import { hash } from 'node:crypto';
import Bowser from 'bowser';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { AGENT_RULES, type Signal } from '../core/rules.ts';
import { agentSignal } from './verdict.ts';

// Reduces user agents to a few common values, so that no stored value identifies a person.

/** The stored part of a user agent. The id is a hash of client, version, system and device, so it is the same in every database. */
export interface ReducedAgent {
  /** 64 bits, signed decimal. */
  readonly id: string;
  readonly client: string;
  readonly version: string;
  readonly system: string;
  readonly device: string;
  readonly bot: boolean;
  /** The signal of the user agent in a click and in an open; see agentSignal. */
  readonly signals: Readonly<Record<'click' | 'open', Signal | undefined>>;
}

// Bowser returns the name of an unknown browser as it is in the user agent. A rare or invented name could identify its
// user, so only these names are stored.
const BROWSERS = new Set([...Object.values(Bowser.BROWSER_MAP), 'Miui', 'Opera Touch']);
const MAIL_CLIENTS = [
  { name: 'Thunderbird', pattern: /\bThunderbird\/(\d+)/ },
  { name: 'Outlook', pattern: /\b(?:Microsoft Outlook |Outlook-(?:iOS|Android)\/)(\d+)/ },
] as const;

const cache = new LRUCache<string, ReducedAgent>({ max: 20_000 });

/** Reduces a user agent. Takes about 30 µs for a new user agent, and one look-up in a cache for a recent one. */
export function reduceUserAgent(ua: string): ReducedAgent {
  const cached = cache.get(ua);
  if (cached) return cached;
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
  for (const { name, pattern } of MAIL_CLIENTS) {
    const version = pattern.exec(ua)?.[1];
    if (version !== undefined) return { client: name, version: version.slice(0, 4) };
  }
  if (!browser?.name || !BROWSERS.has(browser.name)) return { client: '', version: '' };
  return { client: clean(browser.name), version: /^\d{1,4}/.exec(browser.version ?? '')?.[0] ?? '' };
}

/** Keeps at most 40 printable ASCII characters and drops backslashes, so that the text is harmless in COPY and on a terminal. */
function clean(text: string | undefined): string {
  return (text ?? '')
    .replace(/[^\x20-\x7e]/g, '')
    .replaceAll('\\', '')
    .slice(0, 40);
}
