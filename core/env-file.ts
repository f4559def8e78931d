import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from './errors.ts';
import { replaceFile } from './files.ts';

// `<data>/env`: one NAME=value a line, which systemd and docker read as well.

const fileIn = (dataDir: string): string => join(dataDir, 'env');

/** The text of such a file; throws `bad-input` for a value that it cannot hold. */
export function envText(values: Readonly<Record<string, string>>): string {
  const broken = Object.keys(values).find((name) => /[\r\n]/.test(values[name] as string));
  if (broken !== undefined) throw new ClickledgerError('bad-input', `${broken} has a line break, which a settings file cannot hold`);
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

export async function writeEnvFile(dataDir: string, values: Readonly<Record<string, string>>): Promise<void> {
  await replaceFile(fileIn(dataDir), envText(values), 0o600);
}

/** The settings of a data directory; empty where there are none. */
export async function readEnvFile(dataDir: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await readFile(fileIn(dataDir), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return {};
    throw error;
  }
  const pairs = text.split('\n').flatMap((line) => {
    const match = /^([A-Z_]+)=(.*)$/.exec(line);
    return match ? [[match[1] as string, match[2] as string] as const] : [];
  });
  return Object.fromEntries(pairs);
}
