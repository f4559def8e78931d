import { readFileSync } from 'node:fs';
import { z } from 'zod';

// Networks by kind. Two files have the lists, and each entry names its source: networks.json has ranges that are published as ranges, and
// autonomous-systems.json has the operators whose ranges come from public routing data (log-agent/build-networks.ts).

/**
 * hosting: servers and clouds. Requests come from programs, or from people behind a proxy or VPN that runs there.
 * proxy: people's requests leave by these networks, e.g. proxies of companies, VPNs, and the relays of Apple and Cloudflare.
 * scanner: programs that check incoming mail.
 * mail: servers of mail services that fetch what a reader looks at, e.g. the image proxy of Gmail.
 */
export const NETWORK_KINDS = ['hosting', 'proxy', 'scanner', 'mail'] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

const label = z.string().regex(/^[a-z0-9-]{1,64}$/);
const kind = z.enum(NETWORK_KINDS);

export const rangesSchema = z.object({
  networks: z.array(z.object({ label, kind, source: z.url(), ranges: z.array(z.union([z.cidrv4(), z.cidrv6()])) })),
});

const operatorsSchema = z.object({
  operators: z.array(
    z.object({
      label,
      kind,
      source: z.url(),
      /** Patterns of the names of autonomous systems. They ignore upper and lower case. */
      names: z.array(z.string()).optional(),
      /** Numbers of autonomous systems. */
      numbers: z.array(z.int()).optional(),
    }),
  ),
});
export type Operator = z.infer<typeof operatorsSchema>['operators'][number];

const readJson = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));

/** The operators, in order: the first one that matches an autonomous system applies. */
export const OPERATORS: readonly Operator[] = operatorsSchema.parse(readJson('autonomous-systems.json')).operators;

const KIND_OF: ReadonlyMap<string, NetworkKind> = new Map(
  [...OPERATORS, ...rangesSchema.parse(readJson('networks.json')).networks].map((network) => [network.label, network.kind]),
);

/** Returns the kind of the network with this label, or undefined if there is no label or an earlier version wrote it. */
export function networkKindOf(net: string | null): NetworkKind | undefined {
  return net === null ? undefined : KIND_OF.get(net);
}
