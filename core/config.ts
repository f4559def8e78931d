import { z } from 'zod';
import { parseAddressRanges } from './address-ranges.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { ClickledgerError } from './errors.ts';
import { parseNatsUrl } from './nats-url.ts';
import { parseParts } from './parts.ts';
import { parseShards } from './shards.ts';
import { parseSlugKeys } from './slug.ts';
import { parseSmtpUrl } from './smtp-url.ts';
import { parseTimeZone } from './time-zone.ts';

// All settings of all parts. A setting is an environment variable; `parseConfig` parses the settings that a part or a command needs, once
// at its start.

interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly default?: string;
  readonly help: string;
}

const nonEmpty = z.string().min(1);
const wholeNumber = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.int().min(min).max(max));

const baseUrl = nonEmpty
  .refine((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), 'must be an http:// or https:// URL')
  .transform((url) => url.replace(/\/+$/, ''));

/** Returns a Zod schema of a list that is separated by commas. Empty items are ignored. */
function listOf<T>(item: z.ZodType<T, string>) {
  return z
    .string()
    .transform((list) =>
      list
        .split(',')
        .map((text) => text.trim())
        .filter((text) => text !== ''),
    )
    .pipe(z.array(item));
}

/** Returns a Zod schema that uses a parser. The parser must throw a ClickledgerError for wrong input. */
function parsedBy<T>(parse: (value: string) => T) {
  return z.string().transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof ClickledgerError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

const databaseUrl = parsedBy((url) => {
  parseDatabaseUrl(url);
  return url;
});

/** Parses `name:password` entries, separated by commas. */
function parseUsers(text: string): ReadonlyMap<string, string> {
  const entries = text.split(',').filter((entry) => entry.trim() !== '');
  return new Map(
    entries.map((entry) => {
      const [, name, password] = /^\s*([^:]+):(.+)$/s.exec(entry) ?? [];
      if (name === undefined || password === undefined)
        throw new ClickledgerError(
          'bad-settings',
          'an entry must have a name and a password, e.g. shop:secret. Write name:password, and separate entries with commas.',
        );
      return [name, password];
    }),
  );
}

function setting<T>(schema: z.ZodType<T>, help: string, defaultText?: string): Setting<T> {
  return defaultText === undefined ? { schema, help } : { schema, help, default: defaultText };
}

export const SETTINGS = {
  BASE_URL: setting(baseUrl, 'the URL at which recipients reach nginx, e.g. https://t.example.org'),
  BASE_URLS: setting(
    listOf(baseUrl),
    'further URLs at which recipients reach nginx, separated by commas; a campaign may have one of them in place of BASE_URL',
    '',
  ),
  SLUG_KEYS: setting(
    parsedBy(parseSlugKeys),
    'keys of 64 hex digits, separated by commas: the first signs slugs, and all of them verify slugs',
  ),

  CATALOG_URL: setting(
    databaseUrl,
    'URL of the catalog database as its owner; only `init`, `migrate`, `restored`, `shard`, `key` and `user` use it',
  ),
  BACKEND_URL: setting(databaseUrl, 'URL of the catalog database as the role clickledger_backend'),
  WORKER_URL: setting(databaseUrl, 'URL of the catalog database as the role clickledger_worker; its credentials also open the shards'),
  AUTHOR_URL: setting(databaseUrl, 'URL of the catalog database as the role clickledger_author; its credentials also open the shards'),
  ANALYST_URL: setting(databaseUrl, 'URL of the catalog database as the role clickledger_analyst; its credentials also open the shards'),
  FORWARDER_URL: setting(
    databaseUrl,
    'URL of the catalog database as the role clickledger_forwarder; its credentials also open the shards',
  ),
  SHARDS: setting(parsedBy(parseShards), 'the shard databases: `name=first tag=postgres URL without credentials`, separated by commas'),

  AGENT_NATS_URL: setting(
    parsedBy(parseNatsUrl),
    'URL of the NATS server with the user agent, or several URLs separated by commas',
    'nats://127.0.0.1:4222',
  ),
  WORKER_NATS_URL: setting(parsedBy(parseNatsUrl), 'the same with the user worker', 'nats://127.0.0.1:4222'),
  ANALYST_NATS_URL: setting(parsedBy(parseNatsUrl), 'the same with the user analyst', 'nats://127.0.0.1:4222'),
  NATS_CA_FILE: setting(
    nonEmpty,
    'PEM file of the authority that signed the certificate of NATS, for tls:// URLs; empty: the authorities that Node trusts',
    '',
  ),

  NATS_ROUTE_PASSWORD: setting(
    nonEmpty,
    'the password with which the servers of a NATS cluster connect to each other; only `init` uses it',
  ),

  TIMEZONE: setting(
    parsedBy((name) => (name === '' ? '' : parseTimeZone(name))),
    'the time zone of reports and of dates that people type, e.g. Europe/Berlin; empty: UTC in reports, that of the machine in commands',
    '',
  ),

  COUNT_UNSURE: setting(
    z.enum(['yes', 'no']).transform((value) => value === 'yes'),
    'whether rates count recipients with an unsure click or open as people: yes or no',
    'no',
  ),

  GOAL_DAYS: setting(wholeNumber(1, 3650), 'the number of days in which a goal counts for a click before it', '30'),

  STATE_DIR: setting(
    nonEmpty,
    'the directory where a backend keeps its snapshot of the links, or an agent its checkpoint; each instance needs its own',
  ),
  ADMIN_HOST: setting(nonEmpty, 'the address on which a part serves /healthz and /metrics', '127.0.0.1'),
  ADMIN_PORT: setting(wholeNumber(0, 65535), 'the port of /healthz and /metrics; 0: the part does not serve them', '0'),
  LOG_LEVEL: setting(
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'the least severe messages that a part logs: fatal, error, warn, info, debug, trace or silent',
    'info',
  ),

  HOST: setting(nonEmpty, 'the address on which a backend listens', '127.0.0.1'),
  PORT: setting(wholeNumber(0, 65535), 'the port on which a backend listens', '3000'),

  DESK_HOST: setting(nonEmpty, 'the address on which the desk listens', '127.0.0.1'),
  DESK_PORT: setting(wholeNumber(0, 65535), 'the port on which the desk listens', '8090'),
  DESK_URL: setting(
    baseUrl.refine((url) => new URL(url).pathname === '/', 'must have no path').transform((url) => new URL(url).origin),
    'the URL at which browsers reach the desk, e.g. https://desk.example.org; empty: only loopback and DESK_HOST are accepted as its name',
    '',
  ),
  SIGN_IN: setting(
    z.enum(['auto', 'off']),
    'whether the pages of the desk need sign-in: auto (if the desk is not only on loopback, or there is an account, or another setting of sign-in) or off (everyone who reaches it can read every report)',
    'auto',
  ),
  OIDC_ISSUER: setting(baseUrl, 'the issuer of OpenID Connect with which people sign in to the desk; empty: none', ''),
  OIDC_CLIENT_ID: setting(z.string(), 'the id that this issuer has given to the desk', ''),
  OIDC_CLIENT_SECRET: setting(z.string(), 'the secret of this id', ''),
  OIDC_CLAIM: setting(
    nonEmpty,
    'the claim that has the name of the account; email counts only if the issuer says that it is verified',
    'email',
  ),
  TRUSTED_HEADER: setting(
    z
      .string()
      .regex(/^[A-Za-z0-9-]*$/, 'must be the name of a header')
      .transform((name) => name.toLowerCase()),
    'the header in which a proxy on this machine gives the name of the account, e.g. remote-user; empty: none',
    '',
  ),

  LOG_DIR: setting(nonEmpty, 'the directory of access.log; nothing but nginx and the agent may write to it'),
  KEEP_LOGS_DAYS: setting(
    wholeNumber(0, 36500),
    'how many days a finished log is kept, or longer until it is committed; must be more than the age of any backup you would restore',
    '7',
  ),
  LOG_MIRROR: setting(
    z.string(),
    'an existing directory on another disk or host, to which the agent copies the logs at once; each agent needs its own; empty: no copies',
    '',
  ),
  WINDOW_MIB: setting(wholeNumber(1, 65536), 'how many MiB of the log may be published and not yet committed, per shard', '64'),
  POLL_MS: setting(wholeNumber(10, 10_000), 'how often the agent looks at the log, in milliseconds', '100'),
  MMDB_PATH: setting(nonEmpty, 'a MaxMind DB file with countries; empty: the one that is installed with clickledger', ''),

  WORKER_SHARDS: setting(listOf(nonEmpty), 'names of the shards that a worker serves, separated by commas; empty: all shards', ''),
  STREAM_MAX_MIB: setting(
    wholeNumber(1, 1_048_576),
    'the size limit that the stream gets when a worker creates it, in MiB; must be well below the free disk space',
    '1024',
  ),
  STREAM_REPLICAS: setting(
    z.enum(['1', '3', '5']).transform(Number),
    'the number of NATS servers that store each batch and each salt: 1, or 3 or 5 with a cluster; applies when a worker creates the stream, or an agent the bucket of salts',
    '1',
  ),
  KEEP_EVENTS_MONTHS: setting(
    wholeNumber(0, 1200),
    'how many whole months of single hits, visits and goals are kept besides the current month; older ones are deleted, only the counts of hits stay; 0: all are kept',
    '0',
  ),
  MAX_REFERRERS: setting(
    wholeNumber(1, 1_000_000),
    'how many different referrers a shard keeps of a campaign, and a fifth of that on one day; hits with others are counted as (other)',
    '5000',
  ),
  MAX_USER_AGENTS: setting(
    wholeNumber(1, 1_000_000),
    'how many different user agents with a version a shard keeps, and a fifth of that on one day; others are kept without the version',
    '5000',
  ),
  ANALYST_MAX_SECONDS: setting(
    wholeNumber(0, 31_536_000),
    'how long a transaction of the analyst may take; a worker ends what takes longer; 0: no limit',
    '7200',
  ),

  FORWARDER_NETWORKS: setting(
    parsedBy(parseAddressRanges),
    'networks besides the public internet to which webhooks may go, e.g. 10.1.0.0/16, separated by commas; empty: none',
    '',
  ),

  RELAY_HOST: setting(nonEmpty, 'the address on which the relay listens', '127.0.0.1'),
  RELAY_PORT: setting(wholeNumber(0, 65535), 'the port on which the relay listens', '2525'),
  RELAY_UPSTREAM: setting(
    parsedBy(parseSmtpUrl),
    'the mail server to which the relay passes messages: smtp://user:password@host:port, or smtps:// for a server that expects TLS from the start',
    'smtp://127.0.0.1:25',
  ),
  RELAY_UPSTREAM_PLAIN: setting(
    z.enum(['yes', 'no']).transform((value) => value === 'yes'),
    'whether the connection to a mail server on another machine may be without TLS: yes or no',
    'no',
  ),
  RELAY_CAMPAIGN: setting(
    listOf(z.string().regex(/^[!-9;-~]+$/, 'must have names of headers')),
    'the headers that name the campaign of a message, separated by commas; the first that the message has decides. Another example is Subject',
    'X-Clickledger-Campaign,List-Id',
  ),
  RELAY_UNTRACKABLE: setting(
    z.enum(['defer', 'pass']),
    'what happens to a message that cannot be tracked now, e.g. because the catalog does not answer: defer (the sender tries again later) or pass (without tracking)',
    'defer',
  ),
  RELAY_NETWORKS: setting(
    z.string(),
    'networks whose programs may send without signing in, e.g. 127.0.0.0/8, separated by commas',
    '127.0.0.0/8,::1',
  ),
  RELAY_USERS: setting(
    parsedBy(parseUsers),
    'users who may send from anywhere: name:password, separated by commas; needs a certificate',
    '',
  ),
  RELAY_TLS_CERT: setting(z.string(), 'PEM file with the certificate of the relay and its chain, for STARTTLS', ''),
  RELAY_TLS_KEY: setting(z.string(), 'PEM file with the private key of this certificate', ''),
  RELAY_DKIM_KEY: setting(
    z.string(),
    'PEM file with a private key: the relay signs messages (DKIM); empty: it signs nothing, and refuses to track messages that are signed',
    '',
  ),
  RELAY_DKIM_DOMAIN: setting(z.string(), 'the domain of this key', ''),
  RELAY_DKIM_SELECTOR: setting(z.string(), 'the selector of this key', ''),
  RELAY_MAX_MIB: setting(wholeNumber(1, 1024), 'the largest message, in MiB', '100'),
  RELAY_MAX_CLIENTS: setting(wholeNumber(1, 100_000), 'how many programs may be connected to the relay at once', '200'),
  RELAY_MAX_LINKS: setting(
    wholeNumber(1, 1_000_000),
    'how many different links of a campaign the relay tracks; further ones stay as they are, because letters with links of their own for each person would create a link for each of them',
    '1000',
  ),
  RELAY_EXCLUDE: setting(listOf(nonEmpty), 'domains whose links the relay does not track, separated by commas', ''),
  RELAY_PIXEL: setting(z.enum(['top', 'bottom', 'none']), 'where the relay inserts the pixel: top, bottom or none', 'bottom'),

  AWS_ACCESS_KEY_ID: setting(nonEmpty, 'the id of the key with which `export` writes to a bucket of S3'),
  AWS_SECRET_ACCESS_KEY: setting(nonEmpty, 'the secret of this key'),
  AWS_SESSION_TOKEN: setting(z.string(), 'the session token of this key, if it is a temporary one', ''),
  AWS_REGION: setting(z.string().regex(/^[a-z0-9-]+$/, 'must be the name of a region'), 'the region of the bucket', 'us-east-1'),
  AWS_ENDPOINT_URL: setting(baseUrl, 'the URL of another server with the interface of S3; empty: AWS', ''),
  S3_PATH_STYLE: setting(
    z.enum(['yes', 'no']).transform((value) => value === 'yes'),
    'whether the bucket is in the path of a URL (yes) or in the host name (no); most servers other than AWS need yes',
    'no',
  ),

  SMTP_URL: setting(
    parsedBy(parseSmtpUrl),
    'the mail server of `send`, and of reports by mail: smtp://user:password@host:port, or smtps:// for a server that expects TLS from the start',
  ),

  REPORT_FROM: setting(nonEmpty, 'the sender of reports by mail, e.g. Reports <reports@example.org>'),

  PARTS: setting(
    parsedBy(parseParts),
    'the parts that `status`, `prepare` and `send` ask: `name=URL of the admin port`, separated by commas',
    '',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;
type ValueOf<N extends SettingName> = (typeof SETTINGS)[N] extends Setting<infer T> ? T : never;
export type Config<N extends SettingName> = { readonly [K in N]: ValueOf<K> };

/**
 * Parses the settings `names` of `env` and freezes the result. An empty value counts as not set. Throws one `bad-settings` error that lists
 * all mistakes, one per line.
 */
export function parseConfig<N extends SettingName>(names: readonly N[], env: Readonly<Record<string, string | undefined>>): Config<N> {
  const values: Partial<Record<N, unknown>> = {};
  const mistakes: string[] = [];
  for (const name of names) {
    const definition: Setting<unknown> = SETTINGS[name];
    const raw = env[name] === undefined || env[name] === '' ? definition.default : env[name];
    if (raw === undefined) {
      mistakes.push(`${name} is not set: ${definition.help}`);
      continue;
    }
    if (raw === '') {
      values[name] = definition.schema.safeParse(raw).data ?? '';
      continue;
    }
    const parsed = definition.schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    else mistakes.push(mistakeIn(name, parsed.error.issues.map((issue) => issue.message).join('; ')));
  }
  if (mistakes.length > 0) throw new ClickledgerError('bad-settings', mistakes.join('\n'));
  return Object.freeze(values) as Config<N>;
}

/** Returns the message about a mistake in a setting, with the name of the setting at its beginning. Some parsers already put it there. */
function mistakeIn(name: string, message: string): string {
  return message.startsWith(name) ? message : `${name}: ${message}`;
}
