import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

// A receiver of webhooks: a real HTTP server that keeps what it got.

/** One request. */
export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** An event or a change of a verdict in the body of a request. */
export interface ReceivedEvent {
  id: string;
  event_id?: string;
  type: string;
  at: string;
  verdict?: string;
  was?: string;
  gen: string;
  off: number;
  [field: string]: unknown;
}

export interface WebhookServer {
  url: string;
  /** The requests that were answered 2xx. */
  accepted: Received[];
  /** All requests. */
  requests: Received[];
  /** The events of the accepted requests, in the order of their arrival. */
  events(): ReceivedEvent[];
  /** Decides the answer. By default every request is answered 204. */
  answer: (response: ServerResponse, request: Received) => void;
  close(): Promise<void>;
}

export const eventsOf = ({ body }: Received): ReceivedEvent[] =>
  (JSON.parse(body) as { data: { events?: ReceivedEvent[] } }).data.events ?? [];

/**
 * The verdicts by event that a receiver knows which follows docs/subscriptions.md: it stores an event by its id and replaces it unless it has applied a change to it, and applies a change unless it has applied a
 * later one.
 */
export function knownVerdicts(server: WebhookServer): Map<string, string | null> {
  const verdicts = new Map<string, string | null>();
  const changedAt = new Map<string, string>();
  for (const { id, type, event_id: eventId, verdict = null, ...rest } of server.events()) {
    if (type !== 'verdict.changed') {
      // A repeated event has its later verdict, unless a change was applied.
      if (!changedAt.has(id)) verdicts.set(id, verdict);
      continue;
    }
    const [event, at] = [eventId as string, rest['changed_at'] as string];
    if (at <= (changedAt.get(event) ?? '')) continue;
    changedAt.set(event, at);
    verdicts.set(event, verdict);
  }
  return verdicts;
}

export async function startWebhookServer(
  make: (listener: Parameters<typeof createServer>[1]) => Server = createServer,
  protocol = 'http',
): Promise<WebhookServer> {
  const accepted: Received[] = [];
  const requests: Received[] = [];
  const server = make((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const received = { headers: request.headers, body: Buffer.concat(chunks).toString() };
      requests.push(received);
      response.on('finish', () => {
        if (response.statusCode < 300) accepted.push(received);
      });
      hook.answer(response, received);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hook: WebhookServer = {
    url: `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    accepted,
    requests,
    events: () => accepted.flatMap(eventsOf),
    answer: (response) => response.writeHead(204).end(),
    async close() {
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
  return hook;
}
