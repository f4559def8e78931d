import { hash } from 'node:crypto';
import { logLine } from '../support/log-lines.ts';
import type { Hit } from './hits.ts';

/** The path of the request of a hit, and the value of the header X-Link from the backend: `<id>.<version>`, or '' for a pixel. */
export interface Served {
  path: string;
  link: string;
}

/**
 * Returns the access log that nginx would write for these hits. Request ids are unique and derived from the hits, so they are the same in
 * every run.
 */
export function accessLogLines(hits: readonly Hit[], slugOf: (hit: Hit) => Served): string {
  return hits.map((hit, i) => lineOf(hit, i, slugOf(hit))).join('');
}

function lineOf(hit: Hit, index: number, { path, link }: Served): string {
  return logLine({
    rid: hash('sha256', `${index} ${hit.t} ${hit.ip} ${path}`, 'hex').slice(0, 32),
    t: hit.t / 1000,
    m: hit.method,
    u: path,
    s: hit.kind === 'click' ? 302 : 200,
    ip: hit.ip,
    ua: hit.ua,
    ref: hit.referrer,
    purpose: fourHeaders(hit.purpose),
    link,
  });
}

/** nginx writes the values of four headers, separated by spaces, even if some are empty. */
function fourHeaders(purpose: string): string {
  const values = purpose === '' ? [] : purpose.split(' ');
  return [0, 1, 2, 3].map((i) => values[i] ?? '').join(' ');
}
