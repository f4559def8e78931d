import { randomBytes } from 'node:crypto';
import { formatParts } from '../../core/parts.ts';
import { evenShards } from '../../core/shards.ts';
import { NATS_ROLES, type NatsRole, natsSetting } from '../../operating/nats-conf.ts';
import { ROLES } from '../../sql/migrate.ts';
import { OWNER } from '../../stack/postgres.ts';

// The ports and settings of a cluster. Every host has an address of its own, so all hosts use the same ports.

export const PORTS = {
  nginx: 8080,
  backend: 3000,
  nats: 4222,
  natsRoutes: 6222,
  postgres: 5432,
  admin: { backend: 9101, 'log-agent': 9102, 'event-worker': 9103 },
} as const;

export type Part = keyof typeof PORTS.admin;

export interface ClusterSettings {
  /** The settings that all parts share. */
  readonly env: Readonly<Record<string, string>>;
  readonly ownerPassword: string;
  readonly natsPasswords: Readonly<Record<NatsRole, string>>;
  readonly natsOperatorPassword: string;
  readonly natsRoutePassword: string;
}

const password = (): string => randomBytes(18).toString('base64url');

/** Generates the settings of a new cluster with two shards. `addresses` are those of its hosts. */
export function clusterSettings(addresses: readonly string[]): ClusterSettings {
  const ownerPassword = password();
  const postgres = addresses.map((address) => `${address}:${PORTS.postgres}`).join(',');
  const databaseUrl = (user: string, secret: string, session = 'read-write'): string =>
    `postgres://${user}:${secret}@${postgres}/clickledger?target_session_attrs=${session}`;
  const natsPasswords = Object.fromEntries(NATS_ROLES.map((role) => [role, password()])) as Record<NatsRole, string>;
  const parts = (Object.keys(PORTS.admin) as Part[]).flatMap((part) =>
    addresses.map((address, i) => ({ name: `${part}-${i + 1}`, url: `http://${address}:${PORTS.admin[part]}` })),
  );
  const env = {
    BASE_URL: `http://${addresses[0]}:${PORTS.nginx}`,
    SLUG_KEYS: randomBytes(32).toString('hex'),
    CATALOG_URL: databaseUrl(OWNER, ownerPassword),
    ...Object.fromEntries(
      ROLES.map((role) => [
        `${role.toUpperCase()}_URL`,
        databaseUrl(`clickledger_${role}`, password(), role === 'backend' ? 'prefer-standby' : 'read-write'),
      ]),
    ),
    SHARDS: evenShards(2, (name) => `postgres://${postgres}/clickledger_shard_${name}?target_session_attrs=read-write`),
    ...Object.fromEntries(
      NATS_ROLES.map((role) => [
        natsSetting(role),
        addresses.map((address) => `nats://${role}:${natsPasswords[role]}@${address}:${PORTS.nats}`).join(','),
      ]),
    ),
    STREAM_REPLICAS: '3',
    // Well below the small disk of a NATS server.
    STREAM_MAX_MIB: '48',
    WINDOW_MIB: '1',
    PARTS: formatParts(parts),
  };
  return { env, ownerPassword, natsPasswords, natsOperatorPassword: password(), natsRoutePassword: password() };
}
