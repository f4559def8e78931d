import { hash } from 'node:crypto';
import { changeDatabaseUrl, parseDatabaseUrl } from './database-url.ts';
import { ClickledgerError } from './errors.ts';
import { TAG_ALPHABET } from './slug.ts';

// Parses the setting SHARDS: the list of shards, with the range of tags whose events each shard stores.

/** One shard. It stores the events of the slugs whose tag is at or above `from` and below `from` of the next shard. */
export interface Shard {
  readonly name: string;
  readonly from: string;
  /** The URL of its database without credentials, with one host or several. See shardUrl. */
  readonly url: string;
}

/**
 * The shard list. Its names and bounds never change after the set-up. `fingerprint` is a hash of them, which every shard database and every
 * batch contains, so that a different list is noticed.
 */
export interface ShardMap {
  readonly list: readonly Shard[];
  readonly fingerprint: string;
  /** The shard of a tag. A tag has two characters. */
  of(tag: string): Shard;
  /** The first shard. Its ledger also accounts for the lines that belong to no shard, e.g. lines that are not hits. */
  readonly first: Shard;
  /** The shard with this name. Throws `bad-settings` if it does not exist. */
  named(name: string): Shard;
}

const NAME = /^[a-z][a-z0-9]{0,15}$/;
const TAG = new RegExp(`^[${TAG_ALPHABET}]{2}$`);

/**
 * Parses `SHARDS`: entries `name=from=url` separated by commas, e.g. `a=00=postgres://db1/shard_a,b=V0=postgres://db2/shard_b`. A URL may
 * have several hosts, which are also separated by commas. Throws `bad-settings`.
 */
export function parseShards(text: string): ShardMap {
  const list = splitEntries(text).map((entry, i): Shard => {
    const [name = '', from = '', ...afterFrom] = entry.trim().split('=');
    const url = afterFrom.join('=');
    const problem = problemOf(name, from, url);
    // The message shows only a valid name. Any other text in place of a name or a bound may be a URL with a password.
    if (problem) throw new ClickledgerError('bad-settings', `SHARDS: ${NAME.test(name) ? `'${name}'` : `entry ${i + 1}`} ${problem}`);
    return { name, from, url };
  });
  return shardMap(list);
}

/** Splits at the commas between entries. A comma in a list of hosts is followed by a host, and the URL before it has no path yet. */
function splitEntries(text: string): string[] {
  const entries: string[] = [];
  for (const piece of text.split(',')) {
    const last = entries.at(-1) ?? '';
    const isEntry = /^\s*[a-z][a-z0-9]{0,15}=/.test(piece);
    if (!isEntry && /:\/\/[^/?#]*$/.test(last)) entries[entries.length - 1] = `${last},${piece}`;
    else entries.push(piece);
  }
  return entries;
}

function problemOf(name: string, from: string, url: string): string | undefined {
  if (!NAME.test(name))
    return 'does not begin with a shard name: 1 to 16 characters of a-z and 0-9, the first a letter. Write name=first tag=URL.';
  if (!TAG.test(from)) return 'has a first tag that is not two characters of 0-9A-Za-z. Write name=first tag=URL.';
  let username: string;
  try {
    ({ username } = parseDatabaseUrl(url).url);
  } catch {
    return 'has no postgres:// URL. Write name=first tag=URL.';
  }
  if (username !== '') return 'has credentials in its URL. Remove them: the credentials come from the URL setting of each role.';
  return undefined;
}

function shardMap(list: readonly Shard[]): ShardMap {
  const first = list[0] as Shard;
  if (first.from !== '00') throw new ClickledgerError('bad-settings', `SHARDS: the first shard must begin at 00, not ${first.from}`);
  if (list.some((shard, i) => i > 0 && shard.from <= (list[i - 1] as Shard).from)) {
    throw new ClickledgerError(
      'bad-settings',
      'SHARDS: the first tag of each shard must be above the one before it (order: 0-9, A-Z, a-z)',
    );
  }
  if (new Set(list.map((shard) => shard.name)).size < list.length)
    throw new ClickledgerError('bad-settings', 'SHARDS: a name is used twice');
  return {
    list,
    first,
    fingerprint: hash('sha256', list.map((shard) => `${shard.name}=${shard.from}`).join(','), 'hex').slice(0, 16),
    // Called for every event, so it must be fast.
    of(tag) {
      for (let i = list.length - 1; i > 0; i--) if ((list[i] as Shard).from <= tag) return list[i] as Shard;
      return first;
    },
    named(name) {
      const shard = list.find((candidate) => candidate.name === name);
      if (!shard)
        throw new ClickledgerError('bad-settings', `shard '${name}' does not exist; SHARDS has ${list.map((s) => s.name).join(', ')}`);
      return shard;
    },
  };
}

/** The URL of the shard database with the credentials of `roleUrl`. */
export function shardUrl(shard: Shard, roleUrl: string): string {
  const { username, password } = parseDatabaseUrl(roleUrl).url;
  return changeDatabaseUrl(shard.url, (url) => Object.assign(url, { username, password }));
}

/**
 * The text of `SHARDS` for `count` shards named a, b, c, … with nearly equal numbers of tags. `urlOf` gives the URL of a shard by its name.
 * Throws `bad-input` unless `count` is from 1 to 26.
 */
export function evenShards(count: number, urlOf: (name: string) => string): string {
  const tags = TAG_ALPHABET.length ** 2;
  if (!Number.isInteger(count) || count < 1 || count > 26)
    throw new ClickledgerError('bad-input', 'the number of shards must be from 1 to 26');
  return Array.from({ length: count }, (_, i) => {
    const name = String.fromCharCode(97 + i);
    const index = Math.floor((tags * i) / count);
    const from = TAG_ALPHABET.charAt(Math.floor(index / 62)) + TAG_ALPHABET.charAt(index % 62);
    return `${name}=${from}=${urlOf(name)}`;
  }).join(',');
}
