import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import S3rver from '@20minutes/s3rver';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './servers.ts';

export const BUCKET = 'warehouse';

export interface S3Server {
  readonly url: string;
  /** The methods and paths of all requests. */
  readonly requests: string[];
  /** The settings of an export to it. */
  readonly env: Record<string, string>;
}

/**
 * Starts a server with the interface of S3. This one ignores the condition of a PUT, as older servers do; with `conditional`, the code here checks
 * it first, one request after the other, as AWS does. With `pageKeys`, an answer lists so many keys. The server itself needs DES for this, which OpenSSL
 * does not have any more.
 */
export async function startS3Server(options: { conditional: boolean; pageKeys?: number }): Promise<S3Server> {
  const app = new S3rver({ directory: await temporaryDirectory(), silent: true, configureBuckets: [{ name: BUCKET }] });
  await app.configureBuckets();
  const answer = app.callback();
  const requests: string[] = [];
  let queue = Promise.resolve();

  async function putIfMet(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, bucket = '', ...key] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
    const present = await app.store.getObject(bucket, decodeURIComponent(key.join('/')));
    const tag = present === null ? undefined : `"${present.metadata.etag.replaceAll('"', '')}"`;
    const wanted = request.headers['if-match'];
    if (wanted === undefined ? tag !== undefined : tag !== wanted) {
      request.resume();
      await once(request, 'end');
      response.writeHead(412, { 'Content-Type': 'application/xml' }).end('<Error><Code>PreconditionFailed</Code></Error>');
      return;
    }
    answer(request, response);
    await once(response, 'close');
  }

  async function listPage(query: URLSearchParams, pageKeys: number, response: ServerResponse): Promise<void> {
    const startAfter = query.get('continuation-token') ?? undefined;
    const { objects, isTruncated } = await app.store.listObjects(BUCKET, {
      prefix: query.get('prefix') ?? '',
      maxKeys: pageKeys,
      startAfter,
    });
    const escaped = (text: string): string => text.replaceAll('&', '&amp;');
    const contents = objects.map(({ key, size }) => `<Contents><Key>${escaped(key)}</Key><Size>${size}</Size></Contents>`).join('');
    const next = isTruncated ? `<NextContinuationToken>${escaped(objects.at(-1)?.key ?? '')}</NextContinuationToken>` : '';
    response.end(`<ListBucketResult>${contents}${next}</ListBucketResult>`);
  }

  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
    if (options.pageKeys !== undefined && query.has('list-type')) {
      void listPage(query, options.pageKeys, response);
      return;
    }
    const hasCondition = request.headers['if-match'] !== undefined || request.headers['if-none-match'] !== undefined;
    if (options.conditional && request.method === 'PUT' && hasCondition) queue = queue.then(() => putIfMet(request, response));
    else answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    env: { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', AWS_ENDPOINT_URL: url, S3_PATH_STYLE: 'yes' },
  };
}
