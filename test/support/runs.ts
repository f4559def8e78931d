import { env } from 'node:process';

/** The number of runs of a fast-check property. FUZZ=10 multiplies it by ten. */
export const runs = (count: number): { numRuns: number } => ({ numRuns: count * Number(env['FUZZ'] ?? 1) });
