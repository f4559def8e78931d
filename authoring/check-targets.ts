import robotsParser from 'robots-parser';
import { messageOf } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';

// Asks the targets of a letter whether they answer, for `prepare --check`. Each target is asked once, by HEAD, and by GET if that fails,
// because some servers do not answer HEAD. The robots.txt of each host is respected (RFC 9309). The targets of one host are asked one after the
// other, so that no host gets many requests at once.

// The declarations of the package describe an ES module, but it is CommonJS.
const createRobots = robotsParser as unknown as typeof robotsParser.default;

/** The result for one target. */
export interface CheckedTarget {
  target: string;
  /** `ok` is a status below 400, after redirects. `not-asked` means that robots.txt forbids it or cannot be read. */
  result: 'ok' | 'dead' | 'not-asked';
  /** The last status; null if there was no answer. */
  status: number | null;
  /** Why there was no answer; null if there was one. */
  error: string | null;
}

const NAME = 'clickledger';
const HEADERS = { 'User-Agent': `${NAME}/${VERSION} (link check)` };
const HOSTS_AT_ONCE = 8;
const TIMEOUT_MS = 10_000;
/** RFC 9309 asks for a limit of at least 500 KiB. */
const MAX_ROBOTS_BYTES = 512 * 1024;

/** Asks each different target once. Returns the results in the order of `targets`. `onChecked` gets the number of targets so far. */
export async function checkTargets(
  targets: readonly string[],
  options: { timeoutMs?: number; onChecked?: (checked: number, of: number) => void } = {},
): Promise<CheckedTarget[]> {
  const { timeoutMs = TIMEOUT_MS, onChecked = () => {} } = options;
  const different = [...new Set(targets)];
  const byHost = new Map<string, string[]>();
  for (const target of different) {
    const { origin } = new URL(target);
    byHost.set(origin, [...(byHost.get(origin) ?? []), target]);
  }
  const hosts = [...byHost];
  const results = new Map<string, CheckedTarget>();
  const checkNextHost = async (): Promise<void> => {
    for (let host = hosts.shift(); host; host = hosts.shift()) {
      const [origin, ofHost] = host;
      const mayAsk = await readRobots(origin, timeoutMs);
      for (const target of ofHost) {
        results.set(target, mayAsk(target) ? await ask(target, timeoutMs) : { target, result: 'not-asked', status: null, error: null });
        onChecked(results.size, different.length);
      }
    }
  };
  await Promise.all(Array.from({ length: HOSTS_AT_ONCE }, checkNextHost));
  return different.map((target) => results.get(target) as CheckedTarget);
}

/** Reads the robots.txt of a host. Without one, everything may be asked. If the server fails, nothing may be asked (RFC 9309, 2.3.1.4). */
async function readRobots(origin: string, timeoutMs: number): Promise<(target: string) => boolean> {
  const url = `${origin}/robots.txt`;
  try {
    const answer = await fetch(url, { headers: HEADERS, signal: AbortSignal.timeout(timeoutMs) });
    if (answer.status >= 500) return () => false;
    if (!answer.ok) return () => true;
    const robots = createRobots(url, await firstBytes(answer));
    return (target) => robots.isAllowed(target, NAME) !== false;
  } catch {
    // The host does not answer. The request for the target tells why.
    return () => true;
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

async function ask(target: string, timeoutMs: number): Promise<CheckedTarget> {
  const head = await askBy('HEAD', target, timeoutMs);
  return head.result === 'ok' ? head : askBy('GET', target, timeoutMs);
}

async function askBy(method: 'HEAD' | 'GET', target: string, timeoutMs: number): Promise<CheckedTarget> {
  try {
    const { status, body } = await fetch(target, { method, headers: HEADERS, signal: AbortSignal.timeout(timeoutMs) });
    await body?.cancel();
    return { target, result: status < 400 ? 'ok' : 'dead', status, error: null };
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    return { target, result: 'dead', status: null, error: messageOf(cause ?? error) };
  }
}
