import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import { ClickledgerError } from '../core/errors.ts';
import { MANIFEST, type Storage } from './storage.ts';

// An export in a bucket of S3 or of a server with the same interface. Files are written locally first, so that the checksum of each is known before it is
// sent. A conditional PUT of the manifest keeps two exports apart, if the server has it.

/** A request with all its attempts may take so long. */
const REQUEST_MS = 600_000;

export interface S3Settings {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Empty: none. */
  readonly sessionToken: string;
  readonly region: string;
  /** The URL of the server. Empty: that of AWS in the region. */
  readonly endpoint: string;
  /** Whether the bucket is in the path of a URL, and not in the host name. */
  readonly isPathStyle: boolean;
}

/** Parses `s3://bucket/prefix`. Throws `bad-input`. */
export function parseS3Url(text: string): { bucket: string; prefix: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/*$/.exec(text);
  const prefix = match?.[2] ?? '';
  if (match === null || (prefix !== '' && !/^[\w.=/-]+$/.test(prefix)))
    throw new ClickledgerError('bad-input', `'${text}' is not the address of a place in a bucket: write s3://bucket/prefix`);
  return { bucket: match[1] as string, prefix: prefix === '' ? '' : `${prefix}/` };
}

export interface S3Storage extends Storage {
  /** Whether the server refuses a PUT whose condition is not met. */
  readonly isConditional: boolean;
  /** Removes the local directory. */
  close(): Promise<void>;
}

export async function openS3(place: string, settings: S3Settings): Promise<S3Storage> {
  const { bucket, prefix } = parseS3Url(place);
  const { accessKeyId, secretAccessKey, sessionToken, region } = settings;
  const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', ...(sessionToken === '' ? {} : { sessionToken }) });
  const base = new URL(settings.endpoint === '' ? `https://s3.${region}.amazonaws.com` : settings.endpoint);
  if (!settings.isPathStyle) base.hostname = `${bucket}.${base.hostname}`;
  const root = `${base.origin}${base.pathname.replace(/\/$/, '')}${settings.isPathStyle ? `/${bucket}` : ''}`;

  /** Sends a request. Statuses of 300 and more are errors, except those in `expected`. */
  async function send(
    method: string,
    path: string,
    options: { headers?: Record<string, string>; body?: Blob | string; expected?: readonly number[] } = {},
  ) {
    const { headers = {}, body, expected = [] } = options;
    let response: Response;
    try {
      response = await client.fetch(path.startsWith('?') ? `${root}${path}` : `${root}/${path}`, {
        method,
        headers,
        signal: AbortSignal.timeout(REQUEST_MS),
        ...(body === undefined ? {} : { body }),
      });
    } catch (cause) {
      throw new ClickledgerError('unavailable', `${base.host} does not answer: check AWS_ENDPOINT_URL and the network`, { cause });
    }
    if (response.ok || expected.includes(response.status)) return response;
    const text = await response.text();
    const code = /<Code>([^<]*)/.exec(text)?.[1] ?? '';
    const reason = `${base.host} answered ${response.status} ${code} to ${method} ${path.split('?')[0]}`;
    if (response.status === 403 || response.status === 401)
      throw new ClickledgerError('bad-settings', `${reason}: check the AWS_* settings, and the rights on the bucket`);
    if (code === 'NoSuchBucket') throw new ClickledgerError('not-found', `the bucket ${bucket} does not exist: create it`);
    throw new ClickledgerError(response.status >= 500 ? 'unavailable' : 'server-failed', reason);
  }

  const key = (path: string): string => `${prefix}${path}`;

  async function readManifest() {
    const response = await send('GET', key(MANIFEST), { expected: [404] });
    if (response.status === 404 && !(await response.clone().text()).includes('NoSuchBucket')) return undefined;
    if (response.status === 404) throw new ClickledgerError('not-found', `the bucket ${bucket} does not exist: create it`);
    return { text: await response.text(), version: response.headers.get('etag') ?? '' };
  }

  /** Finds out whether the server has conditional PUTs: a second one of a file that must not exist has to fail. */
  async function probe(): Promise<boolean> {
    const path = key('.conditions');
    const put = () => send('PUT', path, { headers: { 'If-None-Match': '*' }, body: '', expected: [409, 412, 501] });
    await put();
    const { status } = await put();
    await send('DELETE', path);
    return status === 409 || status === 412;
  }

  const isConditional = await probe();
  const workDir = await mkdtemp(join(tmpdir(), 'clickledger-export-'));

  return {
    name: `s3://${bucket}/${prefix}`,
    workDir,
    isConditional,
    readManifest,
    async replaceManifest(text, before) {
      const lost = new ClickledgerError('conflict', `another export writes to s3://${bucket}/${prefix}: only one may write at a time`);
      // A server without conditional PUTs: this finds most other exports, but not all.
      if (!isConditional && (await readManifest())?.version !== before) throw lost;
      const condition = !isConditional ? {} : before === undefined ? { 'If-None-Match': '*' } : { 'If-Match': before };
      const headers = { ...condition, 'Content-Type': 'application/json' };
      const response = await send('PUT', key(MANIFEST), { headers, body: text, expected: [404, 409, 412] });
      const version = response.headers.get('etag');
      if (response.ok && version !== null) return version;
      // The client repeats a request if its answer was lost. So the manifest may already be the one that was sent.
      const now = await readManifest();
      if (now?.text !== text) throw lost;
      return now.version;
    },
    async store(local, path, sha256) {
      await send('PUT', key(path), {
        headers: { 'X-Amz-Content-Sha256': sha256, 'Content-Type': 'application/vnd.apache.parquet' },
        body: await openAsBlob(local),
      });
      await rm(local);
    },
    async list() {
      const found = new Map<string, number>();
      for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
        const query = new URLSearchParams({
          'list-type': '2',
          prefix,
          ...(token === undefined ? {} : { 'continuation-token': token }),
        });
        const text = await (await send('GET', `?${query.toString()}`)).text();
        for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
          const name = unescapeXml(/<Key>(.*?)<\/Key>/s.exec(entry)?.[1] ?? '');
          found.set(name.slice(prefix.length), Number(/<Size>(\d+)/.exec(entry)?.[1] ?? 0));
        }
        const next = /<NextContinuationToken>(.*?)<\/NextContinuationToken>/s.exec(text)?.[1];
        token = next === undefined ? undefined : unescapeXml(next);
      }
      return found;
    },
    async open(path) {
      const head = await send('HEAD', key(path));
      const byteLength = Number(head.headers.get('content-length'));
      return {
        byteLength,
        async slice(start, end = byteLength) {
          const response = await send('GET', key(path), { headers: { Range: `bytes=${start}-${end - 1}` } });
          return response.arrayBuffer();
        },
      };
    },
    async remove(path) {
      await send('DELETE', key(path), { expected: [404] });
    },
    close: () => rm(workDir, { recursive: true, force: true }),
  };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const unescapeXml = (text: string): string => text.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] as string);
