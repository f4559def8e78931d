import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

// `npm run script`: builds nginx/t.js from t.ts. nginx serves the file as it is.

export const SCRIPT_PATH = fileURLToPath(new URL('../nginx/t.js', import.meta.url));

/** Builds the script as one file. */
export async function buildScript(): Promise<string> {
  const bundle = await rolldown({ input: join(import.meta.dirname, 't.ts'), treeshake: true });
  const { output } = await bundle.generate({ format: 'iife', minify: true, comments: false });
  await bundle.close();
  return output[0].code;
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) await writeFile(SCRIPT_PATH, await buildScript());
