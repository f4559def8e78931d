import { readFileSync } from 'node:fs';
import type { Config } from '../core/config.ts';
import { ClickledgerError } from '../core/errors.ts';
import { createSigner, type Signer } from './deliver.ts';

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
  return createSigner({ domainName, keySelector, privateKey: readFile('RELAY_DKIM_KEY', file) }, cacheDir);
}

function readFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ClickledgerError('bad-settings', `${name}: ${path} cannot be read`, { cause });
  }
}

/**
 * Throws `bad-settings` if everybody who reaches the relay could send. An open relay is used for spam within hours. `isLoopback` says whether
 * the relay listens only on this machine.
 */
export function assertNotOpen(host: string, networks: string, users: ReadonlyMap<string, string>, hasTls: boolean): void {
  if (/(?:^|,)\s*(?:0\.0\.0\.0|::)\/0\s*(?:,|$)/.test(networks))
    throw new ClickledgerError('bad-settings', 'RELAY_NETWORKS must not contain all addresses, because everybody could send spam');
  if (users.size > 0 && !hasTls)
    throw new ClickledgerError('bad-settings', 'RELAY_USERS needs RELAY_TLS_CERT and RELAY_TLS_KEY, because passwords must be encrypted');
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  const hasOtherNetworks = networks.split(',').some((network) => !/^\s*(?:127\.|::1|$)/.test(network));
  if (!isLoopback && users.size === 0 && !hasOtherNetworks)
    throw new ClickledgerError(
      'bad-settings',
      `RELAY_HOST is ${host}, but no program on another machine may send. Set RELAY_USERS, or RELAY_NETWORKS for private networks.`,
    );
}
