import { bareHost } from './bare-host.ts';
import { ClickledgerError } from './errors.ts';

// URLs of databases, with one host or several, in the syntax of libpq:
//
//   postgres://user:password@db1:5432,db2:5432/clickledger?target_session_attrs=read-write
//
// `URL` cannot parse several hosts. So the URL is parsed with its first host, and the list of hosts is kept beside it.

/** The values of `target_session_attrs` in libpq: which server of several is wanted. */
export const SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type SessionAttrs = (typeof SESSION_ATTRS)[number];

export interface DatabaseUrl {
  /** The URL with the first host only. */
  readonly url: URL;
  /** Each host as in the URL: `db1`, `db1:5432` or `[::1]:5432`. */
  readonly hosts: readonly string[];
  /**
   * Which server is wanted. The default is `any` for one host, as in libpq. For several hosts it is `read-write`, because nearly all parts
   * write, and a standby refuses that.
   */
  readonly sessionAttrs: SessionAttrs;
}

const PARTS = /^(?<scheme>postgres(?:ql)?:\/\/)(?<user>[^/?#]*@)?(?<hosts>[^/?#@]*)(?<rest>.*)$/s;

/** Parses the URL of a database. Throws `bad-settings`. The error never contains the URL, which may have a password. */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const { scheme = '', user = '', hosts = '', rest = '' } = PARTS.exec(text.trim())?.groups ?? {};
  const list = hosts.split(',');
  const urls = list.flatMap((host) => {
    const single = `${scheme}${user}${host}${rest}`;
    // One host may be missing: then the option `host` has the directory of a socket.
    const isHost = list.length === 1 || /^[^=\s]+$/.test(host);
    return scheme !== '' && isHost && URL.canParse(single) ? [new URL(single)] : [];
  });
  const url = urls[0];
  if (!url || urls.length < list.length)
    throw new ClickledgerError(
      'bad-settings',
      'must be a postgres:// URL: postgres://user:password@host:port/database, or several hosts as host1:port,host2:port',
    );
  const given = url.searchParams.get('target_session_attrs') ?? (list.length > 1 ? 'read-write' : 'any');
  const sessionAttrs = SESSION_ATTRS.find((name) => name === given);
  if (!sessionAttrs)
    throw new ClickledgerError('bad-settings', `target_session_attrs in the URL must be one of ${SESSION_ATTRS.join(', ')}`);
  return { url, hosts: list, sessionAttrs };
}

/** The text of a URL with these hosts in the place of its own. */
export function formatDatabaseUrl(url: URL, hosts: readonly string[]): string {
  const password = url.password === '' ? '' : `:${url.password}`;
  const user = url.username === '' && password === '' ? '' : `${url.username}${password}@`;
  return `${url.protocol}//${user}${hosts.join(',')}${url.pathname}${url.search}`;
}

/** Returns the URL after `change` has changed everything but the hosts, e.g. the user or the name of the database. */
export function changeDatabaseUrl(text: string, change: (url: URL) => void): string {
  const { url, hosts } = parseDatabaseUrl(text);
  change(url);
  return formatDatabaseUrl(url, hosts);
}

/**
 * The hosts as options of libpq: `host` and `port` are lists separated by commas, and `target_session_attrs` is there if there are several
 * hosts or the URL has it.
 */
export function libpqHosts(text: string): { host: string; port: string; target_session_attrs?: SessionAttrs } {
  const target = parseDatabaseUrl(text);
  const single = singleHostUrls(target).map((url) => new URL(url));
  return {
    host: single.map(bareHost).join(','),
    port: single.map(({ port }) => port || '5432').join(','),
    ...(target.sessionAttrs === 'any' ? {} : { target_session_attrs: target.sessionAttrs }),
  };
}

/** One URL for each host, without `target_session_attrs`, which the library pg does not know. */
export function singleHostUrls({ url, hosts }: DatabaseUrl): string[] {
  const single = new URL(url);
  single.searchParams.delete('target_session_attrs');
  return hosts.map((host) => formatDatabaseUrl(single, [host]));
}
