import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../core/config.ts';
import { ClickledgerError } from '../core/errors.ts';
import { isLoopback } from '../core/hosts.ts';
import type { SmtpServer } from '../core/smtp-url.ts';
import { createSigner, type Signer } from './deliver.ts';
import type { Networks } from './networks.ts';

// Settings of the relay that depend on each other or name files.

/** Reads the certificate. Returns undefined if there is none. Throws `bad-settings`. */
export function readTls(config: Config<'RELAY_TLS_CERT' | 'RELAY_TLS_KEY'>): { cert: string; key: string } | undefined {
  const { RELAY_TLS_CERT: cert, RELAY_TLS_KEY: key } = config;
  if (cert === '' && key === '') return undefined;
  if (cert === '' || key === '')
    throw new ClickledgerError('bad-settings', 'RELAY_TLS_CERT and RELAY_TLS_KEY belong together: set both or none');
  return { cert: readFile('RELAY_TLS_CERT', cert), key: readFile('RELAY_TLS_KEY', key) };
}

/** Reads the key that signs messages. Returns undefined if there is none. Throws `bad-settings`. */
export function readSigner(
  config: Config<'RELAY_DKIM_KEY' | 'RELAY_DKIM_DOMAIN' | 'RELAY_DKIM_SELECTOR'>,
  cacheDir: string,
): Signer | undefined {
  const { RELAY_DKIM_KEY: file, RELAY_DKIM_DOMAIN: domainName, RELAY_DKIM_SELECTOR: keySelector } = config;
  if (file === '') return undefined;
  if (domainName === '' || keySelector === '')
    throw new ClickledgerError('bad-settings', 'RELAY_DKIM_KEY needs RELAY_DKIM_DOMAIN and RELAY_DKIM_SELECTOR');
  const privateKey = readFile('RELAY_DKIM_KEY', file);
  if (keyTypeOf(privateKey) !== 'rsa')
    throw new ClickledgerError('bad-settings', `RELAY_DKIM_KEY: ${file} has no private RSA key in PEM. Make one with: openssl genrsa 2048`);
  return createSigner({ domainName, keySelector, privateKey }, cacheDir);
}

/** Returns the type of a private key, or undefined if the text is none. */
function keyTypeOf(pem: string): string | undefined {
  try {
    return createPrivateKey(pem).asymmetricKeyType;
  } catch {
    return undefined;
  }
}

function readFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ClickledgerError('bad-settings', `${name}: ${path} cannot be read`, { cause });
  }
}

/** Throws `bad-settings` if passwords would not be encrypted, or if no program on another machine could send. */
export function assertUsable(host: string, networks: Networks, users: ReadonlyMap<string, string>, hasTls: boolean): void {
  if (users.size > 0 && !hasTls)
    throw new ClickledgerError('bad-settings', 'RELAY_USERS needs RELAY_TLS_CERT and RELAY_TLS_KEY, because passwords must be encrypted');
  if (!isLoopback(host) && users.size === 0 && !networks.hasOthers)
    throw new ClickledgerError(
      'bad-settings',
      `RELAY_HOST is ${host}, but no program on another machine may send. Set RELAY_USERS, or RELAY_NETWORKS for private networks.`,
    );
}

/** Throws `bad-settings` if the relay would pass mail to itself. */
export function assertNoLoop(host: string, port: number, upstream: SmtpServer): void {
  const isHere = upstream.host === host || (upstream.isLoopback && (isLoopback(host) || host === '0.0.0.0' || host === '::'));
  if (isHere && upstream.port === port)
    throw new ClickledgerError(
      'bad-settings',
      'RELAY_UPSTREAM is the relay itself. It must be the mail server that gets the tracked mail.',
    );
}
