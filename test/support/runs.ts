import { env } from 'node:process';

/** How often fast-check tries a property: FUZZ=10 tries each ten times as often. */
export const runs = (count: number): { numRuns: number } => ({ numRuns: count * Number(env['FUZZ'] ?? 1) });
