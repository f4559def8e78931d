import { unescape } from 'node:querystring';
import robotsParser from 'robots-parser';
import { messageOf } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';

// Asks the targets of a letter whether they answer, for `prepare --check`. Each target is asked once, by HEAD, and by GET if that fails,
// because some servers do not answer HEAD. The robots.txt of each host is respected (RFC 9309), also of those to which a target redirects. The
// targets of one host are asked one after the other, so that no host gets many requests at once.

// The declarations of the package describe an ES module, but it is CommonJS.
const createRobots = robotsParser as unknown as typeof robotsParser.default;

/** The result for one target. */
export interface CheckedTarget {
  target: string;
  /**
   * `ok` is a status below 400, after redirects. `unclear` means that the server may answer a person otherwise: it asks for a login or refuses
   * programs, redirects to an app, or redirects too often. `not-asked` means that robots.txt forbids it or cannot be read.
   */
  result: 'ok' | 'dead' | 'unclear' | 'not-asked';
  /** The last status; null if there was no answer. */
  status: number | null;
  /** Why there was no answer, or no clear one; null if there was one. */
  error: string | null;
}

type Answer = Omit<CheckedTarget, 'target'>;
/** Reads the robots.txt of a host once. */
type ReadRobots = (origin: string) => Promise<Robots>;
interface Robots {
  mayAsk: (target: string) => boolean;
  /** True if the host gave no answer at all. */
  isSilent: boolean;
}

const NAME = 'clickledger';
const USER_AGENT = `${NAME}/${VERSION} (link check)`;
const HOSTS_AT_ONCE = 8;
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 10;
/** RFC 9309 asks for a limit of at least 500 KiB. */
const MAX_ROBOTS_BYTES = 512 * 1024;
/** Servers answer with these statuses to programs, while a person sees a login or the page. LinkedIn uses 999. */
const UNCLEAR_STATUSES: ReadonlySet<number> = new Set([401, 403, 429, 999]);
const NOT_ASKED: Answer = { result: 'not-asked', status: null, error: null };

/** Asks each different target once. Returns the results in the order of `targets`. `onChecked` gets the number of URLs so far. */
export async function checkTargets(
  targets: readonly string[],
  options: { timeoutMs?: number; onChecked?: (checked: number, of: number) => void } = {},
): Promise<CheckedTarget[]> {
  const { timeoutMs = TIMEOUT_MS, onChecked = () => {} } = options;
  const urls = new Set(targets.map(withoutFragment));
  const hosts = [...Map.groupBy(urls, (url) => new URL(url).origin)];
  const robotsOf = new Map<string, Promise<Robots>>();
  const readRobots: ReadRobots = (origin) => {
    const robots = robotsOf.get(origin) ?? fetchRobots(origin, timeoutMs);
    robotsOf.set(origin, robots);
    return robots;
  };
  const answers = new Map<string, Answer>();
  const checkNextHost = async (): Promise<void> => {
    for (let host = hosts.shift(); host; host = hosts.shift()) {
      const [origin, ofHost] = host;
      const { isSilent } = await readRobots(origin);
      for (const url of ofHost) {
        const previous = answers.get(ofHost[0] as string);
        // A host that answers neither for its robots.txt nor for its first target is not waited for again.
        answers.set(url, isSilent && previous?.status === null ? previous : await ask(url, readRobots, timeoutMs));
        onChecked(answers.size, urls.size);
      }
    }
  };
  await Promise.all(Array.from({ length: HOSTS_AT_ONCE }, checkNextHost));
  return [...new Set(targets)].map((target) => ({ target, ...(answers.get(withoutFragment(target)) as Answer) }));
}

const withoutFragment = (target: string): string => target.split('#', 1)[0] as string;

/** Reads the robots.txt of a host. Without one, everything may be asked. If the server fails, nothing may be asked (RFC 9309, 2.3.1.4). */
async function fetchRobots(origin: string, timeoutMs: number): Promise<Robots> {
  const url = `${origin}/robots.txt`;
  try {
    const answer = await fetch(url, { headers: { 'User-Agent': USER_AGENT }, signal: AbortSignal.timeout(timeoutMs) });
    if (answer.status >= 500) return { mayAsk: () => false, isSilent: false };
    if (!answer.ok) return { mayAsk: () => true, isSilent: false };
    const robots = createRobots(url, await firstBytes(answer));
    return { mayAsk: (target) => robots.isAllowed(target, NAME) !== false, isSilent: false };
  } catch {
    // The host does not answer. The request for the target tells why.
    return { mayAsk: () => true, isSilent: true };
  }
}

async function firstBytes(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk as Uint8Array);
    bytes += (chunk as Uint8Array).length;
    if (bytes >= MAX_ROBOTS_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ROBOTS_BYTES);
}

async function ask(url: string, readRobots: ReadRobots, timeoutMs: number): Promise<Answer> {
  const head = await askBy('HEAD', url, readRobots, timeoutMs);
  return head.result === 'ok' || head.result === 'not-asked' ? head : askBy('GET', url, readRobots, timeoutMs);
}

async function askBy(method: 'HEAD' | 'GET', first: string, readRobots: ReadRobots, timeoutMs: number): Promise<Answer> {
  let url = new URL(first);
  try {
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      if (!/^https?:$/.test(url.protocol)) return { result: 'unclear', status: null, error: `it redirects to ${url.protocol}` };
      if (!(await readRobots(url.origin)).mayAsk(url.href)) return NOT_ASKED;
      const { status, headers, body } = await fetch(withoutUser(url), {
        method,
        headers: { 'User-Agent': USER_AGENT, ...authorizationOf(url) },
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await body?.cancel();
      const location = status >= 300 && status < 400 ? headers.get('location') : null;
      if (location === null)
        return { result: UNCLEAR_STATUSES.has(status) ? 'unclear' : status < 400 ? 'ok' : 'dead', status, error: null };
      url = new URL(location, url);
    }
    return { result: 'unclear', status: null, error: `it redirects more than ${MAX_REDIRECTS} times` };
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    return { result: 'dead', status: null, error: messageOf(cause ?? error) };
  }
}

/** fetch refuses an address with a user name. Browsers send the name and the password as a header. */
function withoutUser(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare;
}

function authorizationOf({ username, password }: URL): { Authorization?: string } {
  if (username === '' && password === '') return {};
  const text = [username, password].map((part) => unescape(part)).join(':');
  return { Authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}
