import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { onTestFinished } from 'vitest';

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs', 'export.md');

/** The SQL blocks of docs/export.md. The first one makes the views, and each other one is an example. */
export async function documentedSql(): Promise<string[]> {
  const text = await readFile(DOCUMENT, 'utf8');
  return Array.from(text.matchAll(/^```sql\n([\s\S]*?)^```$/gm), ([, sql]) => sql as string);
}

export interface Duck {
  /** Returns the rows as objects. Integers are numbers, and other values as DuckDB prints them as JSON. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
  run(sql: string): Promise<void>;
}

/** Opens DuckDB with the views that the document makes over the export in `place`. It is closed after the test. */
export async function openDuck(place: string, memoryMib = 1024): Promise<Duck> {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: `${memoryMib}MB`, threads: '2' });
  const connection: DuckDBConnection = await instance.connect();
  onTestFinished(() => {
    connection.closeSync();
    instance.closeSync();
  });
  const run = async (sql: string): Promise<void> => {
    for (const statement of sql.split(/;\n/)) if (statement.trim() !== '') await connection.run(statement);
  };
  // An extension would be downloaded, so none is.
  await run("SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'");
  const [views = ''] = await documentedSql();
  await run(views.replace("SET VARIABLE place = 'export'", `SET VARIABLE place = '${place}'`));
  return {
    run,
    async rows(sql) {
      const result = await connection.runAndReadAll(sql);
      return result
        .getRowObjectsJson()
        .map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, value]) => [
              name,
              typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value,
            ]),
          ),
        );
    },
  };
}
