import { z } from 'zod';
import type { HealthResponse } from '../../core/admin.ts';
import { PART_KINDS } from '../../core/health.ts';
import type { PartAddress } from '../../core/parts.ts';

// Reads the /healthz and the /metrics of a part.

/** This timeout is longer than the time that a part itself waits for the values of its response. */
const TIMEOUT_MS = 3_000;

/** One value of /metrics. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** The responses of a part. */
export interface PartResponse {
  health: Pick<HealthResponse, 'part' | 'version' | 'ready'> & {
    degraded: { code: string; about: string | null; what: string; mend: string }[];
  };
  samples: Sample[];
}

const healthSchema = z.object({
  part: z.enum(PART_KINDS),
  version: z.string(),
  ready: z.boolean(),
  // A part may be newer than this command, so any code is accepted.
  degraded: z.array(z.object({ code: z.string(), about: z.string().nullable(), what: z.string(), mend: z.string() })),
});

/** Reads the state of a part. Returns undefined if there is no response in time, or if the response does not come from a part. */
export async function readPart({ url }: PartAddress): Promise<PartResponse | undefined> {
  try {
    const [health, metrics] = await Promise.all([get(`${url}/healthz`), get(`${url}/metrics`)]);
    return { health: healthSchema.parse(JSON.parse(health)), samples: parseMetrics(metrics) };
  } catch {
    return undefined;
  }
}

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return response.text();
}

/** Parses the text format of Prometheus, but only the syntax that the parts use. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const match = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (!match) return [];
    const labels = Object.fromEntries(
      Array.from(match[2]?.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g) ?? [], (pair) => [pair[1] as string, unescaped(pair[2] as string)]),
    );
    return [{ name: match[1] as string, labels, value: numberOf(match[3] as string) }];
  });
}

const unescaped = (text: string): string => text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));

const numberOf = (text: string): number => Number(text.replace(/Inf$/, 'Infinity'));
