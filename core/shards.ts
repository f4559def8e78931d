import { hash } from 'node:crypto';
import { ClickledgerError } from './errors.ts';
import { TAG_ALPHABET } from './slug.ts';

/** One shard: it has the slugs whose tag is at or above `from` and below the next shard's. */
export interface Shard {
  readonly name: string;
  readonly from: string;
  /** Its database without credentials; each role brings its own. */
  readonly url: string;
}

/** The shard list, fixed for good in names and bounds: `fingerprint` stands in every shard database and every batch. */
export interface ShardMap {
  readonly list: readonly Shard[];
  readonly fingerprint: string;
  /** The shard of a two-character tag. */
  of(tag: string): Shard;
  /** Events of no shard, and lines that are no hit at all, are accounted for by the first. */
  readonly first: Shard;
  named(name: string): Shard;
}

const NAME = /^[a-z][a-z0-9]{0,15}$/;
const TAG = new RegExp(`^[${TAG_ALPHABET}]{2}$`);

/** Parses `SHARDS`: `name=from=url` separated by commas, e.g. `a=00=postgres://db1/shard_a,b=V0=postgres://db2/shard_b`. */
export function parseShards(text: string): ShardMap {
  const list = text.split(',').map((part, i): Shard => {
    const [name = '', from = '', ...rest] = part.trim().split('=');
    const url = rest.join('=');
    const problem = problemOf(name, from, url);
    // What stands where a name or a bound should may be a URL with a password: only names are shown.
    if (problem) throw new ClickledgerError('bad-settings', `SHARDS: ${NAME.test(name) ? `'${name}'` : `entry ${i + 1}`} ${problem}`);
    return { name, from, url };
  });
  return shardMap(list);
}

function problemOf(name: string, from: string, url: string): string | undefined {
  if (!NAME.test(name)) return 'does not begin with a shard name: 1 to 16 of a-z and 0-9, beginning with a letter';
  if (!TAG.test(from)) return 'begins at what is not two characters of 0-9A-Za-z';
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) return 'has no postgres:// URL';
  if (new URL(url).username !== '') return 'has credentials in its URL; each role brings its own, from its URL setting';
  return undefined;
}

function shardMap(list: readonly Shard[]): ShardMap {
  const first = list[0] as Shard;
  if (first.from !== '00') throw new ClickledgerError('bad-settings', `SHARDS: the first shard must begin at 00, not at ${first.from}`);
  if (list.some((shard, i) => i > 0 && shard.from <= (list[i - 1] as Shard).from)) {
    throw new ClickledgerError('bad-settings', 'SHARDS: each shard must begin above the one before it (order: 0-9, A-Z, a-z)');
  }
  if (new Set(list.map((shard) => shard.name)).size < list.length)
    throw new ClickledgerError('bad-settings', 'SHARDS: a name stands twice');
  return {
    list,
    first,
    fingerprint: hash('sha256', list.map((shard) => `${shard.name}=${shard.from}`).join(','), 'hex').slice(0, 16),
    // Asked for every event.
    of(tag) {
      for (let i = list.length - 1; i > 0; i--) if ((list[i] as Shard).from <= tag) return list[i] as Shard;
      return first;
    },
    named(name) {
      const shard = list.find((candidate) => candidate.name === name);
      if (!shard)
        throw new ClickledgerError('bad-settings', `there is no shard '${name}'; SHARDS has ${list.map((s) => s.name).join(', ')}`);
      return shard;
    },
  };
}

/** The same shard's database as the role whose credentials `roleUrl` carries. */
export function shardUrl(shard: Shard, roleUrl: string): string {
  const url = new URL(shard.url);
  const role = new URL(roleUrl);
  url.username = role.username;
  url.password = role.password;
  return url.toString();
}

/** Bounds that cut the tags into `count` equal parts: shards a, b, c, … */
export function evenShards(count: number, urlOf: (name: string) => string): string {
  const all = TAG_ALPHABET.length ** 2;
  if (!Number.isInteger(count) || count < 1 || count > 26) throw new ClickledgerError('bad-input', 'the number of shards is from 1 to 26');
  return Array.from({ length: count }, (_, i) => {
    const name = String.fromCharCode(97 + i);
    const at = Math.floor((all * i) / count);
    const from = TAG_ALPHABET.charAt(Math.floor(at / 62)) + TAG_ALPHABET.charAt(at % 62);
    return `${name}=${from}=${urlOf(name)}`;
  }).join(',');
}
