import { connect } from 'node:net';

/** An answer. The header values are the raw bytes, decoded as Latin-1. */
export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: Buffer;
}

/** A port of loopback, or of another host. */
export type Address = number | { readonly host: string; readonly port: number };

/**
 * Sends one request on a new connection with exactly the given bytes. Header values may contain any bytes. HTTP clients would refuse to
 * send some of them.
 */
export function rawRequest(
  address: Address,
  method: string,
  path: string,
  headers: Record<string, string | Buffer> = {},
  body = '',
): Promise<RawAnswer> {
  const lines: Buffer[] = [Buffer.from(`${method} ${path} HTTP/1.1\r\nConnection: close\r\n`, 'latin1')];
  for (const [name, value] of Object.entries({ Host: 't.example', ...headers })) {
    lines.push(Buffer.from(`${name}: `), typeof value === 'string' ? Buffer.from(value, 'latin1') : value, Buffer.from('\r\n'));
  }
  if (body !== '') lines.push(Buffer.from(`Content-Length: ${Buffer.byteLength(body)}\r\n`));
  lines.push(Buffer.from(`\r\n${body}`));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(typeof address === 'number' ? { host: '127.0.0.1', port: address } : address, () =>
      socket.write(Buffer.concat(lines)),
    );
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer to ${method} ${path}`)));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      const answer = parse(Buffer.concat(chunks));
      if (answer) resolve(answer);
      else reject(failure ?? new Error(`no complete answer to ${method} ${path}`));
    });
  });
}

function parse(bytes: Buffer): RawAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...rest] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(first.split(' ')[1]);
  const headers = new Map(
    rest.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).replace(/^[ \t]+|[ \t]+$/g, '')]),
  );
  return { status, headers, body: bytes.subarray(end + 4) };
}
