import { readFileSync } from 'node:fs';

/** The package's version; package.json stands beside the parts here and in dist/. */
export const { version: VERSION } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
