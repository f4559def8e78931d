import { z } from 'zod';
import { ClickledgerError } from './errors.ts';
import { parseNatsUrl } from './nats-url.ts';
import { parseParts } from './parts.ts';
import { parseShards } from './shards.ts';
import { parseSlugKeys } from './slug.ts';

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
const databaseUrl = nonEmpty.refine(
  (url) => URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol),
  'must be a postgres:// URL',
);

/** Makes a schema of a parser that throws a ClickledgerError for wrong input. */
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

function setting<T>(schema: z.ZodType<T>, help: string, defaultText?: string): Setting<T> {
  return defaultText === undefined ? { schema, help } : { schema, help, default: defaultText };
}

export const SETTINGS = {
  BASE_URL: setting(
    nonEmpty
      .refine((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), 'must be an http:// or https:// URL')
      .transform((url) => url.replace(/\/+$/, '')),
    'where recipients reach nginx, e.g. https://t.example.org',
  ),
  CATALOG_URL: setting(databaseUrl, 'the catalog database as its owner; only `migrate` and `init` use it'),
  BACKEND_URL: setting(databaseUrl, 'the catalog database as clickledger_backend'),
  WORKER_URL: setting(databaseUrl, 'the catalog database as clickledger_worker; the same credentials open the shards'),
  AUTHOR_URL: setting(databaseUrl, 'the catalog database as clickledger_author'),
  ANALYST_URL: setting(databaseUrl, 'the catalog database as clickledger_analyst'),
  SHARDS: setting(parsedBy(parseShards), 'the shards: `name=first tag=postgres URL without credentials`, separated by commas'),
  SLUG_KEYS: setting(parsedBy(parseSlugKeys), 'keys of 64 hex digits, separated by commas: the first signs slugs, all verify them'),
  AGENT_NATS_URL: setting(parsedBy(parseNatsUrl), 'the NATS server, or servers by commas, as the user agent', 'nats://127.0.0.1:4222'),
  WORKER_NATS_URL: setting(parsedBy(parseNatsUrl), 'NATS as the user worker', 'nats://127.0.0.1:4222'),
  ANALYST_NATS_URL: setting(parsedBy(parseNatsUrl), 'NATS as the user analyst', 'nats://127.0.0.1:4222'),
  NATS_CA_FILE: setting(
    nonEmpty,
    'whose certificate vouches for the servers in tls:// URLs of NATS; empty: the authorities that Node knows',
    '',
  ),
  LOG_DIR: setting(nonEmpty, 'the directory of access.log; it belongs to nginx and the agent alone'),
  STATE_DIR: setting(nonEmpty, 'where a part keeps what saves work at its next start; each part and instance its own'),
  HOST: setting(nonEmpty, 'the address a backend listens on', '127.0.0.1'),
  PORT: setting(wholeNumber(0, 65535), 'the port a backend listens on', '3000'),
  ADMIN_HOST: setting(nonEmpty, 'the address of /healthz and /metrics', '127.0.0.1'),
  ADMIN_PORT: setting(wholeNumber(0, 65535), 'the port of /healthz and /metrics; 0: none', '0'),
  PARTS: setting(parsedBy(parseParts), 'where the parts answer, for `status`: `name=URL of the admin port`, separated by commas', ''),
  WINDOW_MIB: setting(wholeNumber(1, 65536), 'how much of the log may be published and not yet committed, per shard', '64'),
  KEEP_LOGS_DAYS: setting(
    wholeNumber(0, 36500),
    'logs are deleted this long after they were finished and only when fully committed: longer than the age of any backup you would restore',
    '7',
  ),
  KEEP_EVENTS_MONTHS: setting(
    wholeNumber(0, 1200),
    'whole months of single hits to keep besides the current one; older months are dropped, their counts stay; 0: all',
    '0',
  ),
  POLL_MS: setting(wholeNumber(10, 10_000), 'how often the agent looks at the log', '100'),
  MMDB_PATH: setting(nonEmpty, 'a MaxMind DB file with countries', ''),
  WORKER_SHARDS: setting(
    z.string().transform((list) => list.split(',').filter((name) => name !== '')),
    'the shards a worker serves; empty: all',
    '',
  ),
  STREAM_MAX_MIB: setting(wholeNumber(1, 1_048_576), 'size of the stream; keep it well under the disk', '1024'),
  LOG_LEVEL: setting(z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']), 'how much the parts say', 'info'),
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

/** One line about a setting. Some parsers already put the name of the setting at the beginning of their message. */
function mistakeIn(name: string, message: string): string {
  return message.startsWith(name) ? message : `${name}: ${message}`;
}
