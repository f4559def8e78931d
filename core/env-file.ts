import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from './errors.ts';
import { replaceFile } from './files.ts';

// Reads and writes `<data>/env`, the settings of a data directory: one NAME=value per line. systemd and Docker read the same format.

const envPath = (dataDir: string): string => join(dataDir, 'env');

/** Formats the text of a settings file. Throws `bad-input` if a value has a line break, which the format cannot represent. */
export function envText(values: Readonly<Record<string, string>>): string {
  const invalid = Object.keys(values).find((name) => /[\r\n]/.test(values[name] as string));
  if (invalid !== undefined)
    throw new ClickledgerError('bad-input', `${invalid} has a line break. A value in a settings file must be one line.`);
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Replaces the settings file of a data directory. Only its owner may read it, because it holds passwords and keys. */
export async function writeEnvFile(dataDir: string, values: Readonly<Record<string, string>>): Promise<void> {
  await replaceFile(envPath(dataDir), envText(values), 0o600);
}

/** Reads the settings of a data directory. Returns an empty object if the directory or the file does not exist. */
export async function readEnvFile(dataDir: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await readFile(envPath(dataDir), 'utf8');
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
