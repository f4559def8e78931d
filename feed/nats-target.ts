import { ClickledgerError } from '../core/errors.ts';
import { type NatsServers, parseNatsUrl } from '../core/nats-url.ts';

/** A stream of NATS to which a subscription delivers. */
export interface NatsTarget {
  readonly servers: NatsServers;
  readonly stream: string;
  /** All subjects of the subscription begin with it. */
  readonly prefix: string;
  /** Whether a stream that does not exist is created. */
  readonly create: boolean;
}

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/;
const STREAM = /^[A-Za-z0-9_-]{1,255}$/;

/** Parses `nats://user:password@host:4222/SUBJECT-PREFIX?stream=NAME` or `tls://…`. Throws `bad-input` or `bad-settings`, without the password. */
export function parseNatsTarget(target: string): NatsTarget {
  const servers = parseNatsUrl(target);
  const { pathname, searchParams } = new URL(target);
  const prefix = pathname.replace(/^\//, '');
  if (!PREFIX.test(prefix) || prefix.length > 200)
    throw new ClickledgerError(
      'bad-input',
      'the URL of NATS needs a subject prefix as its path, e.g. nats://host:4222/clickledger?stream=CLICKLEDGER. Use A-Z, a-z, 0-9, _ and -, and dots between words.',
    );
  const stream = searchParams.get('stream') ?? '';
  if (!STREAM.test(stream))
    throw new ClickledgerError('bad-input', 'the URL of NATS needs the name of the stream: add ?stream=NAME, of A-Z, a-z, 0-9, _ and -');
  const unknown = [...searchParams.keys()].find((key) => key !== 'stream' && key !== 'create');
  if (unknown !== undefined)
    throw new ClickledgerError('bad-input', `the URL of NATS has the unknown parameter '${unknown}': only stream and create are known`);
  return { servers, stream, prefix, create: searchParams.has('create') };
}
