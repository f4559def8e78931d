import { ClickledgerError } from './errors.ts';

/** The NATS servers and the credentials of this client. */
export interface NatsServers {
  /** `host` or `host:port`. */
  readonly servers: readonly string[];
  /** Undefined if the servers require no credentials. */
  readonly user: string | undefined;
  readonly password: string;
  readonly tls: boolean;
}

/**
 * Parses `nats://user:password@host:port` or `tls://user:password@host:port`, or several of them separated by commas. Throws
 * `bad-settings`. The error never contains the password.
 */
export function parseNatsUrl(text: string): NatsServers {
  const urls = text.split(',').map((part) => (URL.canParse(part.trim()) ? new URL(part.trim()) : undefined));
  const valid = urls.filter((url) => url !== undefined && /^(nats|tls):$/.test(url.protocol) && url.hostname !== '') as URL[];
  const [first] = valid;
  if (!first || valid.length < urls.length)
    throw new ClickledgerError('bad-settings', 'the NATS URL must be nats://HOST or tls://HOST, or several such URLs separated by commas');
  const { username, password, protocol } = first;
  if (valid.some((url) => url.username !== username || url.password !== password || url.protocol !== protocol))
    throw new ClickledgerError('bad-settings', 'all NATS URLs must have the same scheme, user and password');
  return {
    servers: valid.map(({ host }) => host),
    user: username === '' ? undefined : percentDecode(username),
    password: percentDecode(password),
    tls: protocol === 'tls:',
  };
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ClickledgerError('bad-settings', 'the user or password in a NATS URL has a % that is not percent-encoded: write %25');
  }
}

/** Replaces the credentials in a NATS URL, or in several separated by commas. */
export function natsUrlWithCredentials(text: string, user: string, password: string): string {
  return text
    .split(',')
    .map((part) => Object.assign(new URL(part.trim()), { username: user, password }).toString())
    .join(',');
}
