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
import type { Origin } from '../core/event.ts';
import { rangesSchema } from '../core/network-kinds.ts';
import type { Enrichment } from './batch.ts';
import type { NetworkTable } from './network-table.ts';
import type { Hit } from './parse.ts';
import type { Salt } from './salt.ts';

// Derives the fields of an event from the IP address of a hit: the country, the label of a listed network, and a visitor number. Visitor
// numbers are comparable only within one UTC day. IP addresses are not passed on beyond this file.

export interface Enricher {
  /**
   * The origin and the visitor number of a hit. A null salt means that the salt of the day has expired; then there is no visitor number.
   */
  enrich(hit: Pick<Hit, 'ip' | 'ua'>, salt: Salt | null): Enrichment;
}

/** An address in the cache. It has an origin and the visitor numbers of its last user agents. */
interface Address {
  readonly origin: Origin;
  readonly visitors: { ua: string; salt: Salt; visitor: string }[];
}

const MAX_ADDRESSES = 100_000;
/**
 * The maximum number of visitor numbers that the cache keeps for one address. More browsers behind one address are rare. A number that is
 * not kept is computed again in about 2 µs.
 */
const MAX_VISITORS = 4;

type Network = { label: string; range: [ipaddr.IPv4 | ipaddr.IPv6, number] };

/** Reads the networks with published ranges. Throws `bad-settings` if an entry is not valid. */
export async function readNetworks(path = fileURLToPath(new URL('../core/networks.json', import.meta.url))): Promise<Network[]> {
  const parsed = rangesSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new ClickledgerError('bad-settings', `${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.networks.flatMap(({ label, ranges }) => ranges.map((cidr) => ({ label, range: ipaddr.parseCIDR(cidr) })));
}

/**
 * Opens the country database at `mmdbPath`. If `mmdbPath` is empty, opens the database of the package
 * @ip-location-db/geo-whois-asn-country-mmdb (CC0). An address that is not in `networks` gets the label that it has in `table`.
 */
export async function createEnricher(options: {
  mmdbPath: string;
  networks: Network[];
  table?: NetworkTable;
  site: string;
}): Promise<Enricher> {
  const { networks, table, site } = options;
  const path =
    options.mmdbPath || createRequire(import.meta.url).resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb');
  const database = await maxmind.open<Response>(path);
  const addresses = new LRUCache<string, Address>({ max: MAX_ADDRESSES });
  const origins = new Map<string, Origin>();

  function addressOf(ip: string): Address {
    const cached = addresses.get(ip);
    if (cached) return cached;
    const address: Address = { origin: lookUpOrigin(ip), visitors: [] };
    addresses.set(copyOf(ip), address);
    return address;
  }

  /**
   * Equal origins are one object, so that a batch can list them by identity. Their number is at most the number of countries times the
   * number of networks.
   */
  function lookUpOrigin(ip: string): Origin {
    // `process` turns an IPv4-mapped IPv6 address into IPv4.
    const address = isIP(ip) === 0 ? undefined : ipaddr.process(ip);
    const country = address ? countryCodeOf(database.get(address.toString())) : null;
    const net = address ? (labelOf(address, networks) ?? table?.labelOf(address.toByteArray()) ?? null) : null;
    const key = `${country} ${net}`;
    const known = origins.get(key) ?? { country, net };
    origins.set(key, known);
    return known;
  }

  return {
    enrich({ ip, ua }, salt) {
      const { origin, visitors } = addressOf(ip);
      if (salt === null) return { origin, visitor: null };
      let known = visitors.find((one) => one.ua === ua && one.salt === salt);
      if (!known) {
        const digest = hash('sha256', `${site}\n${salt}\n${ip}\n${ua}`, 'hex');
        const visitor = BigInt.asIntN(64, BigInt(`0x${digest.slice(0, 16)}`)).toString();
        known = { ua: copyOf(ua), salt, visitor };
        visitors.push(known);
        if (visitors.length > MAX_VISITORS) visitors.shift();
      }
      return { origin, visitor: known.visitor };
    },
  };
}

/**
 * Copies a text. The text of a hit may be a part of the text of a chunk. If the cache stored this part, the whole chunk would stay in
 * memory.
 */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/** Returns the country code of a record. The databases of MaxMind and the CC0 databases use different names for this field. */
function countryCodeOf(record: unknown): string | null {
  if (typeof record !== 'object' || record === null) return null;
  const { country, country_code: flat } = record as { country?: { iso_code?: unknown }; country_code?: unknown };
  const code = country?.iso_code ?? flat;
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : null;
}

function labelOf(address: ipaddr.IPv4 | ipaddr.IPv6, networks: Network[]): string | null {
  return networks.find(({ range: [base, bits] }) => base.kind() === address.kind() && address.match(base, bits))?.label ?? null;
}
