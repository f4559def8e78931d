import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError, codeOf } from './errors.ts';
import { replaceFile } from './files.ts';

// Reads and writes `<data>/env`, the settings of a data directory: one NAME=value per line. systemd reads the same format
// (EnvironmentFile), so a value that systemd would read differently without quotes is written in double quotes.

const envPath = (dataDir: string): string => join(dataDir, 'env');

/** Characters that get a backslash before them inside double quotes. */
const ESCAPED = /["\\`$]/g;

/** Formats the text of a settings file. Throws `bad-input` if a value has a line break, which the format cannot represent. */
export function envText(values: Readonly<Record<string, string>>): string {
  const invalid = Object.keys(values).find((name) => /[\r\n]/.test(values[name] as string));
  if (invalid !== undefined)
    throw new ClickledgerError('bad-input', `${invalid} has a line break. A value in a settings file must be one line.`);
  return Object.entries(values)
    .map(([name, value]) => `${name}=${needsQuotes(value) ? `"${value.replace(ESCAPED, '\\$&')}"` : value}\n`)
    .join('');
}

/**
 * Returns whether systemd would read a value differently without quotes. This is true if the value begins with a quote, contains a
 * backslash, or begins or ends with white space.
 */
function needsQuotes(value: string): boolean {
  return /^["']|\\|^\s|\s$/.test(value);
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
  return parseEnv(text);
}

/** Parses the text of a settings file. Lines that are not NAME=value are ignored. */
export function parseEnv(text: string): Record<string, string> {
  const pairs = text.split(/\r?\n/).flatMap((line) => {
    const match = /^([A-Z_]+)=(.*)$/s.exec(line);
    return match ? [[match[1] as string, unquoted((match[2] as string).trim())] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** Returns the value without its quotes. A value counts as quoted only if it begins and ends with the same quote character. */
function unquoted(value: string): string {
  if (/^'[^']*'$/.test(value)) return value.slice(1, -1);
  if (/^"(?:[^"\\]|\\.)*"$/s.test(value)) return value.slice(1, -1).replace(/\\(["\\`$])/g, '$1');
  return value;
}
