import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { libraryPath, locate } from '../../stack/debian.ts';

const run = promisify(execFile);

/** Paths of PEM files. */
export interface Certificates {
  /** Of the authority. */
  ca: string;
  /** Of a server, and its key. */
  certificate: string;
  key: string;
}

/** An authority of the test's own, and a certificate that it gave to a server at `names`, by default at every name of loopback. */
export async function makeCertificates(
  directory: string,
  name: string,
  names = 'IP:127.0.0.1,IP:::1,DNS:localhost',
): Promise<Certificates> {
  const openssl = await locate('openssl');
  const file = (what: string): string => join(directory, `${name}-${what}.pem`);
  const [ca, caKey, certificate, key] = [file('ca'), file('ca-key'), file('certificate'), file('key')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-config', '/dev/null'];
  const make = (...args: string[]) =>
    run(openssl, [...request, ...args], { env: { ...process.env, LD_LIBRARY_PATH: libraryPath(openssl) } });
  await make('-keyout', caKey, '-out', ca, '-subj', `/CN=${name} authority`, '-addext', 'basicConstraints=critical,CA:TRUE');
  await make('-CA', ca, '-CAkey', caKey, '-keyout', key, '-out', certificate, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`);
  return { ca, certificate, key };
}
