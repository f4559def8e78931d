import { ClickledgerError } from './errors.ts';

/** Where NATS is and who we are there. */
export interface NatsServers {
  /** `host` or `host:port`. */
  readonly servers: readonly string[];
  /** Undefined: a server that asks nobody who he is. */
  readonly user: string | undefined;
  readonly password: string;
  readonly tls: boolean;
}

/** Parses `nats://user:password@host:port`, or `tls://…`, several by commas. Throws `bad-settings`, without showing the password. */
export function parseNatsUrl(text: string): NatsServers {
  const urls = text.split(',').map((part) => (URL.canParse(part.trim()) ? new URL(part.trim()) : undefined));
  const known = urls.filter((url) => url !== undefined && /^(nats|tls):$/.test(url.protocol) && url.hostname !== '') as URL[];
  const [first] = known;
  if (!first || known.length < urls.length)
    throw new ClickledgerError('bad-settings', 'NATS is reached by a nats:// or tls:// URL, or several, separated by commas');
  const { username, password, protocol } = first;
  if (known.some((url) => url.username !== username || url.password !== password || url.protocol !== protocol))
    throw new ClickledgerError('bad-settings', 'several URLs of NATS must have the same scheme, user and password');
  return {
    servers: known.map(({ host }) => host),
    user: username === '' ? undefined : decoded(username),
    password: decoded(password),
    tls: protocol === 'tls:',
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ClickledgerError('bad-settings', 'in the user and password of NATS, % is written %25');
  }
}

/** The same URL or URLs with these credentials. */
export function natsUrlAs(text: string, user: string, password: string): string {
  return text
    .split(',')
    .map((part) => Object.assign(new URL(part.trim()), { username: user, password }).toString())
    .join(',');
}
