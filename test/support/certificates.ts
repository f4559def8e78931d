import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { libraryPath, locate } from '../../stack/debian.ts';

const run = promisify(execFile);

/** Paths of PEM files. */
export interface Certificates {
  /** The certificate of the authority. */
  ca: string;
  /** The certificate and the private key of a server. */
  certificate: string;
  key: string;
}

/**
 * Creates a certificate authority and a certificate that this authority signs. The certificate is for a server at `names`, by default all
 * names of loopback.
 */
export async function makeCertificates(
  directory: string,
  name: string,
  names = 'IP:127.0.0.1,IP:::1,DNS:localhost',
): Promise<Certificates> {
  const openssl = await locate('openssl');
  const pathOf = (what: string): string => join(directory, `${name}-${what}.pem`);
  const [ca, caKey, certificate, key] = [pathOf('ca'), pathOf('ca-key'), pathOf('certificate'), pathOf('key')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-config', '/dev/null'];
  const runOpenssl = (...args: string[]) =>
    run(openssl, [...request, ...args], { env: { ...process.env, LD_LIBRARY_PATH: libraryPath(openssl) } });
  await runOpenssl('-keyout', caKey, '-out', ca, '-subj', `/CN=${name} authority`, '-addext', 'basicConstraints=critical,CA:TRUE');
  await runOpenssl(
    '-CA',
    ca,
    '-CAkey',
    caKey,
    '-keyout',
    key,
    '-out',
    certificate,
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${names}`,
  );
  return { ca, certificate, key };
}
