import { readFileSync } from 'node:fs';

/** The version of the package. package.json is in the parent directory of core/, both in the repository and in dist/. */
export const { version: VERSION } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
