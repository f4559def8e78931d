import { hash } from 'node:crypto';
import Bowser from 'bowser';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { AGENT_RULES, type Signal } from '../core/rules.ts';
import { OTHER } from './outside-values.ts';
import { oldFromMs, plausibleFromMs } from './browser-versions.ts';
import { agentSignal } from './verdict.ts';

// Reduces a user agent to a few values that many people share, so that no stored value identifies a person.

/**
 * The stored part of a user agent. The id is a hash of client, version, system and device, so it is the same in every database. Client,
 * system and device are always from closed lists. The version can be any number that the client sent.
 */
export interface ReducedAgent {
  /** A signed 64-bit number in decimal digits. */
  readonly id: string;
  readonly client: string;
  /** The major version; empty if the user agent has none. */
  readonly version: string;
  readonly system: string;
  readonly device: string;
  readonly bot: boolean;
  /** The signal that the user agent gives a click, and the signal that it gives an open; see agentSignal. */
  readonly signals: Readonly<Record<'click' | 'open', Signal | undefined>>;
  /** The time in epoch milliseconds from which the version is plausible. */
  readonly plausibleFromMs: number;
  /** The time in epoch milliseconds from which the version is old; see OLD_BROWSER_MS. */
  readonly oldFromMs: number;
  /**
   * The same user agent with the version `(other)`. It is stored if the version is not admitted. Undefined if the user agent has no
   * version.
   */
  readonly family: ReducedAgent | undefined;
}

// For an unknown browser, Bowser returns the name that is written in the user agent. A rare or invented name could identify a person, so
// only the names in this list are stored.
const BROWSERS: ReadonlySet<string> = new Set([...Object.values(Bowser.BROWSER_MAP), 'Miui', 'Opera Touch']);
const SYSTEMS: ReadonlySet<string> = new Set(Object.values(Bowser.OS_MAP));
const DEVICES: ReadonlySet<string> = new Set(Object.values(Bowser.PLATFORMS_MAP));
const ALWAYS = Number.NEGATIVE_INFINITY;
const NEVER = Number.POSITIVE_INFINITY;
const MAIL_CLIENTS = [
  { name: 'Thunderbird', pattern: /\bThunderbird\/(\d+)/ },
  // The user agent of this app begins with the build number. The version is in parentheses.
  { name: 'Outlook', pattern: /\bOutlook-(?:iOS|Android)\/\S{1,80} \((\d+)\./ },
  { name: 'Outlook', pattern: /\b(?:Microsoft Outlook |Outlook-(?:iOS|Android)\/)(\d+)/ },
] as const;

const cache = new LRUCache<string, ReducedAgent>({ max: 20_000 });

/** Reduces a user agent. This takes about 30 µs for a new user agent. For a recent user agent, it takes only a look-up in a cache. */
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
  if (proxy !== undefined) return withFamily({ client: proxy, version: '', system: '', device: 'unknown', bot, signals });
  const parsed = ua === '' ? undefined : Bowser.parse(ua);
  const { client, version } = clientOf(ua, parsed?.browser);
  const system = listed(parsed?.os.name, SYSTEMS);
  const device = bot ? 'bot' : listed(parsed?.platform.type, DEVICES) || 'unknown';
  return withFamily({ client, version, system, device, bot, signals });
}

function withFamily(agent: Omit<ReducedAgent, 'id' | 'plausibleFromMs' | 'oldFromMs' | 'family'>): ReducedAgent {
  const { client, version } = agent;
  if (version === '') return withId({ ...agent, plausibleFromMs: ALWAYS, oldFromMs: NEVER, family: undefined });
  // The age of a version that is not admitted is still known.
  const aged = { ...agent, oldFromMs: oldFromMs(client, Number(version)) };
  const family = withId({ ...aged, version: OTHER, plausibleFromMs: ALWAYS, family: undefined });
  return withId({ ...aged, plausibleFromMs: plausibleFromMs(client, Number(version)), family });
}

function withId(agent: Omit<ReducedAgent, 'id'>): ReducedAgent {
  const { client, version, system, device } = agent;
  return { id: hash('sha256', [client, version, system, device].join('\n'), 'buffer').readBigInt64BE().toString(), ...agent };
}

function clientOf(ua: string, browser: Bowser.Parser.Details | undefined): { client: string; version: string } {
  for (const { name, pattern } of MAIL_CLIENTS) {
    const version = pattern.exec(ua)?.[1];
    if (version !== undefined) return { client: name, version: majorOf(version) };
  }
  const client = listed(browser?.name, BROWSERS);
  return { client, version: client === '' ? '' : majorOf(/^\d+/.exec(browser?.version ?? '')?.[0] ?? '') };
}

/** Returns the number without leading zeros, so that each version has only one spelling. */
function majorOf(digits: string): string {
  return digits === '' ? '' : String(Number(digits.slice(0, 9)));
}

/** Returns the name if it is in the list, otherwise an empty text. */
function listed(name: string | undefined, list: ReadonlySet<string>): string {
  return name !== undefined && list.has(name) ? name : '';
}
