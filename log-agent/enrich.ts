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

// Turns hits into events. IP addresses are not passed on beyond this file. An event has a country, the label of a listed network, and a
// visitor number, which is comparable only within one UTC day.

/** The properties of an IP address that go into the event. */
interface Origin {
  country: string | null;
  net: string | null;
}

export interface Enricher {
  /** The event of a hit. `off` is the byte offset of its line. With a null salt (the day's has expired) the event has no visitor. */
  event(hit: Hit, off: number, salt: Salt | null): Event;
}

const networksSchema = z.object({
  networks: z.array(
    z.object({
      label: z.string().min(1).max(64),
      source: z.url(),
      ranges: z.array(z.string().refine((cidr) => ipaddr.isValidCIDR(cidr), 'is not a CIDR range')),
    }),
  ),
});

type Network = { label: string; range: [ipaddr.IPv4 | ipaddr.IPv6, number] };

/** Reads the labelled networks. Each entry of the file names its public source. Throws `bad-settings` if an entry is not valid. */
export async function readNetworks(path = fileURLToPath(new URL('networks.json', import.meta.url))): Promise<Network[]> {
  const parsed = networksSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new ClickledgerError('bad-settings', `${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.networks.flatMap(({ label, ranges }) => ranges.map((cidr) => ({ label, range: ipaddr.parseCIDR(cidr) })));
}

/** Opens the country database at `mmdbPath`; if empty, the one of the package @ip-location-db/geo-whois-asn-country-mmdb (CC0). */
export async function createEnricher(options: { mmdbPath: string; networks: Network[]; site: string }): Promise<Enricher> {
  const { networks, site } = options;
  const path =
    options.mmdbPath || createRequire(import.meta.url).resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb');
  const database = await maxmind.open<Response>(path);
  const origins = new LRUCache<string, Origin>({ max: 100_000 });

  function lookUpOrigin(ip: string): Origin {
    const cached = origins.get(ip);
    if (cached) return cached;
    // `process` turns an IPv4-mapped IPv6 address into IPv4.
    const address = isIP(ip) === 0 ? undefined : ipaddr.process(ip);
    const origin = address
      ? { country: countryCodeOf(database.get(address.toString())), net: labelOf(address, networks) }
      : { country: null, net: null };
    origins.set(ip, origin);
    return origin;
  }

  return {
    event(hit, off, salt) {
      const { country, net } = lookUpOrigin(hit.ip);
      const visitor = salt && hash('sha256', `${site}\n${salt}\n${hit.ip}\n${hit.ua}`, 'buffer').readBigInt64BE().toString();
      return {
        off,
        rid: hit.rid,
        t: hit.t,
        kind: hit.kind,
        slug: hit.slug,
        link: hit.link,
        head: hit.head,
        ua: truncate(hit.ua, 512),
        ref: truncate(hit.ref, 512),
        purpose: truncate(hit.purpose, 64),
        country,
        net,
        visitor,
      };
    },
  };
}

function truncate(text: string, max: number): string {
  return text.length <= max ? text : text.slice(0, max).toWellFormed();
}

/** MaxMind's databases and the CC0 ones have different names for the field. */
function countryCodeOf(record: unknown): string | null {
  if (typeof record !== 'object' || record === null) return null;
  const { country, country_code: flat } = record as { country?: { iso_code?: unknown }; country_code?: unknown };
  const code = country?.iso_code ?? flat;
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : null;
}

function labelOf(address: ipaddr.IPv4 | ipaddr.IPv6, networks: Network[]): string | null {
  return networks.find(({ range: [base, bits] }) => base.kind() === address.kind() && address.match(base, bits))?.label ?? null;
}
