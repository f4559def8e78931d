import { hash } from 'node:crypto';
import Bowser from 'bowser';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { AGENT_RULES, type Signal } from '../core/rules.ts';
import { OTHER } from './outside-values.ts';
import { plausibleFromMs } from './plausible-version.ts';
import { agentSignal } from './verdict.ts';

// Reduces user agents to a few common values, so that no stored value identifies a person.

/**
 * The stored part of a user agent. The id is a hash of client, version, system and device, so it is the same in every database. Client, system
 * and device come from closed lists. Only the version is whatever number the client sent.
 */
export interface ReducedAgent {
  /** 64 bits, signed decimal. */
  readonly id: string;
  readonly client: string;
  /** The major version; empty if there is none. */
  readonly version: string;
  readonly system: string;
  readonly device: string;
  readonly bot: boolean;
  /** The signal of the user agent in a click and in an open; see agentSignal. */
  readonly signals: Readonly<Record<'click' | 'open', Signal | undefined>>;
  /** The time in epoch milliseconds from which the version is plausible. */
  readonly plausibleFromMs: number;
  /** The same with the version `(other)`, which is stored if the version is not admitted; undefined if there is no version. */
  readonly family: ReducedAgent | undefined;
}

// Bowser returns the name of an unknown browser as it is in the user agent. A rare or invented name could identify its
// user, so only these names are stored.
const BROWSERS: ReadonlySet<string> = new Set([...Object.values(Bowser.BROWSER_MAP), 'Miui', 'Opera Touch']);
const SYSTEMS: ReadonlySet<string> = new Set(Object.values(Bowser.OS_MAP));
const DEVICES: ReadonlySet<string> = new Set(Object.values(Bowser.PLATFORMS_MAP));
const ALWAYS = Number.NEGATIVE_INFINITY;
const MAIL_CLIENTS = [
  { name: 'Thunderbird', pattern: /\bThunderbird\/(\d+)/ },
  // The app begins with the number of its build. Its version is in parentheses.
  { name: 'Outlook', pattern: /\bOutlook-(?:iOS|Android)\/\S{1,80} \((\d+)\./ },
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
  if (proxy !== undefined) return withFamily({ client: proxy, version: '', system: '', device: 'unknown', bot, signals });
  const parsed = ua === '' ? undefined : Bowser.parse(ua);
  const { client, version } = clientOf(ua, parsed?.browser);
  const system = listed(parsed?.os.name, SYSTEMS);
  const device = bot ? 'bot' : listed(parsed?.platform.type, DEVICES) || 'unknown';
  return withFamily({ client, version, system, device, bot, signals });
}

function withFamily(agent: Omit<ReducedAgent, 'id' | 'plausibleFromMs' | 'family'>): ReducedAgent {
  const { client, version } = agent;
  const family = version === '' ? undefined : withId({ ...agent, version: OTHER, plausibleFromMs: ALWAYS, family: undefined });
  return withId({ ...agent, plausibleFromMs: family ? plausibleFromMs(client, Number(version)) : ALWAYS, family });
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

/** A number without leading zeros, so that one version has one spelling. */
function majorOf(digits: string): string {
  return digits === '' ? '' : String(Number(digits.slice(0, 9)));
}

/** The name if it is in the list, otherwise an empty text. */
function listed(name: string | undefined, list: ReadonlySet<string>): string {
  return name !== undefined && list.has(name) ? name : '';
}
