import { z } from 'zod';
import type { HealthResponse } from '../../core/admin.ts';
import type { PartAddress } from '../../core/parts.ts';

// A part as it is seen from outside: what its /healthz says, and the numbers of its /metrics.

/** Longer than a part waits for what it has to look up. */
const PATIENCE_MS = 3_000;

/** One line of /metrics. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface PartAnswer {
  health: Pick<HealthResponse, 'part' | 'version' | 'ready'> & {
    degraded: { code: string; about: string | null; what: string; mend: string }[];
  };
  samples: Sample[];
}

const healthSchema = z.object({
  part: z.enum(['backend', 'agent', 'worker']),
  version: z.string(),
  ready: z.boolean(),
  // Any code: a part may be newer than this command.
  degraded: z.array(z.object({ code: z.string(), about: z.string().nullable(), what: z.string(), mend: z.string() })),
});

/** Asks a part; undefined where nobody answers in time, or something else than a part does. */
export async function askPart({ url }: PartAddress): Promise<PartAnswer | undefined> {
  try {
    const [health, metrics] = await Promise.all([get(`${url}/healthz`), get(`${url}/metrics`)]);
    return { health: healthSchema.parse(JSON.parse(health)), samples: parseMetrics(metrics) };
  } catch {
    return undefined;
  }
}

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
  return response.text();
}

/** Reads Prometheus' text format as our parts write it. */
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
