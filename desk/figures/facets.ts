import type { Pool } from '../../core/postgres.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import type { Facet } from '../state.ts';
import { readRows } from './read-rows.ts';

/** The hits of a campaign with one value of a property. Recipients are those who clicked or opened. */
export interface FacetRow {
  /** Null if unknown. */
  value: string | null;
  kind: 'click' | 'open';
  hits: number;
  human_hits: number;
  recipients: number;
  human_recipients: number;
}

/** Reads the values of a property, each with a row for clicks and one for opens. */
export async function readFacet(pool: Pool, campaign: number, facet: Facet, limits: RunOptions): Promise<FacetRow[]> {
  const sql = `SELECT value, kind, hits, human_hits, recipients, human_recipients FROM analytics.facets WHERE campaign_id = $1 AND facet = '${facet}'`;
  return readRows(pool, limits, sql, [campaign]);
}
