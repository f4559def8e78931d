import { ClickledgerError } from './errors.ts';
import { isLoopback } from './hosts.ts';

/** A mail server, as a URL names it. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** True if the connection begins with TLS (`smtps:`). Otherwise TLS begins with STARTTLS. */
  readonly secure: boolean;
  /** Undefined if the server needs no login. */
  readonly user: string | undefined;
  readonly password: string;
  /** True if the server is on this machine, so that nobody else can read the connection. */
  readonly isLoopback: boolean;
}

/**
 * Parses `smtp://user:password@host:port` or `smtps://…`. The default port is 587 with a login, 25 without, and 465 for `smtps:`. Throws
 * `bad-settings`. The error never contains the password.
 */
export function parseSmtpUrl(text: string): SmtpServer {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  if (!url || !/^smtps?:$/.test(url.protocol) || url.hostname === '' || !/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    throw new ClickledgerError(
      'bad-settings',
      'the URL of the mail server must be smtp://HOST or smtps://HOST, with a user, a password and a port if needed: smtp://user:password@mail.example.com:587. In the user and the password, write @ as %40, / as %2F, # as %23 and % as %25.',
    );
  const user = percentDecode(url.username);
  const password = percentDecode(url.password);
  if (user === '' && password !== '')
    throw new ClickledgerError('bad-settings', 'the URL of the mail server has a password and no user: write smtp://user:password@HOST');
  const secure = url.protocol === 'smtps:';
  const defaultPort = secure ? 465 : user === '' ? 25 : 587;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: url.port === '' ? defaultPort : Number(url.port),
    secure,
    user: user === '' ? undefined : user,
    password,
    isLoopback: isLoopback(host.toLowerCase()),
  };
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ClickledgerError(
      'bad-settings',
      'the user or password in the URL of the mail server has a % that is not percent-encoded: write %25',
    );
  }
}
