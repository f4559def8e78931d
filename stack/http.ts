import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** Sends a GET request to a port, by default of loopback. Resolves with undefined if there is no response within 1 s. */
export function httpGet(port: number, path: string, host = '127.0.0.1'): Promise<{ status: number | undefined; body: string } | undefined> {
  return new Promise((resolve) => {
    const pending = request({ host, port, path, timeout: 1_000, agent: false }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, body }),
        () => resolve(undefined),
      );
    });
    pending.on('timeout', () => pending.destroy());
    pending.on('error', () => resolve(undefined));
    pending.end();
  });
}

/** Returns the status of the response to such a request, or undefined if there is no response. */
export async function httpStatus(port: number, path: string, host = '127.0.0.1'): Promise<number | undefined> {
  return (await httpGet(port, path, host))?.status;
}
