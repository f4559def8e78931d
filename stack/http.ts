import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** What a GET on loopback gives; undefined where nobody answers. */
export function answerOf(port: number, path: string): Promise<{ status: number | undefined; body: string } | undefined> {
  return new Promise((resolve) => {
    const asking = request({ host: '127.0.0.1', port, path, timeout: 1_000, agent: false }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, body }),
        () => resolve(undefined),
      );
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => resolve(undefined));
    asking.end();
  });
}

/** Its status alone. */
export async function statusOf(port: number, path: string): Promise<number | undefined> {
  return (await answerOf(port, path))?.status;
}
