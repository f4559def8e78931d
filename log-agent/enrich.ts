import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import maxmind, { type Response } from 'maxmind';
import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import type { Hit } from './parse.ts';
import type { Salt } from './salt.ts';

// The last place where an address is known. What leaves it: a country, the label of a known network, and a number that only
// means something until midnight UTC.

/** What is said of an address. */
interface Origin {
  country: string | null;
  net: string | null;
}

export interface Enricher {
  /** A hit as it goes on the wire; `off` is its line's byte offset. Null salt: the day's is gone, so the visitor cannot be known. */
  event(hit: Hit, off: number, salt: Salt | null): Event;
}

const networksSchema = z.object({
  networks: z.array(
    z.object({
      label: z.string().min(1).max(64),
      source: z.url(),
      ranges: z.array(z.string().refine((cidr) => ipaddr.isValidCIDR(cidr), 'is no CIDR range')),
    }),
  ),
});

type Network = { label: string; range: [ipaddr.IPv4 | ipaddr.IPv6, number] };

/** Reads the labelled networks; every entry of the file names its public source. */
export async function readNetworks(path = fileURLToPath(new URL('networks.json', import.meta.url))): Promise<Network[]> {
  const parsed = networksSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new ClickledgerError('bad-settings', `${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.networks.flatMap(({ label, ranges }) => ranges.map((cidr) => ({ label, range: ipaddr.parseCIDR(cidr) })));
}

/** `mmdbPath` empty: the database of the package @ip-location-db/geo-whois-asn-country-mmdb (CC0). */
export async function createEnricher(options: { mmdbPath: string; networks: Network[]; site: string }): Promise<Enricher> {
  const { networks, site } = options;
  const path =
    options.mmdbPath || createRequire(import.meta.url).resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb');
  const database = await maxmind.open<Response>(path);
  const origins = new LRUCache<string, Origin>({ max: 100_000 });

  function originOf(ip: string): Origin {
    const cached = origins.get(ip);
    if (cached) return cached;
    // An IPv4 address that comes mapped into IPv6 is looked up as what it is.
    const address = isIP(ip) === 0 ? undefined : ipaddr.process(ip);
    const origin = address
      ? { country: countryIn(database.get(address.toString())), net: labelOf(address, networks) }
      : { country: null, net: null };
    origins.set(ip, origin);
    return origin;
  }

  return {
    event(hit, off, salt) {
      const { country, net } = originOf(hit.ip);
      const visitor = salt && hash('sha256', `${site}\n${salt}\n${hit.ip}\n${hit.ua}`, 'buffer').readBigInt64BE().toString();
      return {
        off,
        rid: hit.rid,
        t: hit.t,
        kind: hit.kind,
        slug: hit.slug,
        link: hit.link,
        head: hit.head,
        ua: cut(hit.ua, 512),
        ref: cut(hit.ref, 512),
        purpose: cut(hit.purpose, 64),
        country,
        net,
        visitor,
      };
    },
  };
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : text.slice(0, max).toWellFormed();
}

/** MaxMind's own databases and the CC0 ones name the field differently. */
function countryIn(record: unknown): string | null {
  if (typeof record !== 'object' || record === null) return null;
  const { country, country_code: flat } = record as { country?: { iso_code?: unknown }; country_code?: unknown };
  const code = country?.iso_code ?? flat;
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : null;
}

function labelOf(address: ipaddr.IPv4 | ipaddr.IPv6, networks: Network[]): string | null {
  return networks.find(({ range: [base, bits] }) => base.kind() === address.kind() && address.match(base, bits))?.label ?? null;
}
