import { ClickledgerError } from './errors.ts';

/** The name of a part, and the base URL of its /healthz and /metrics. The command `clickledger status` uses this URL. */
export interface PartAddress {
  readonly name: string;
  readonly url: string;
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * Parses `PARTS`: entries `name=url` separated by commas, e.g. `backend-1=http://127.0.0.1:9101,agent=http://127.0.0.1:9102`. An empty text
 * gives no parts. Throws `bad-settings`.
 */
export function parseParts(text: string): PartAddress[] {
  const parts = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry): PartAddress => {
      const [name = '', ...afterName] = entry.split('=');
      const url = afterName.join('=').replace(/\/+$/, '');
      if (!NAME.test(name))
        throw new ClickledgerError(
          'bad-settings',
          'PARTS: an entry has no valid name. Write name=URL; a name has 1 to 32 characters of a-z, 0-9 and -, and begins with a letter.',
        );
      if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
        throw new ClickledgerError('bad-settings', `PARTS: '${name}' has no http:// or https:// URL. Write name=URL.`);
      return { name, url };
    });
  if (new Set(parts.map(({ name }) => name)).size < parts.length) throw new ClickledgerError('bad-settings', 'PARTS: a name is used twice');
  return parts;
}

/** The text of `PARTS` for some parts. */
export const formatParts = (parts: readonly PartAddress[]): string => parts.map(({ name, url }) => `${name}=${url}`).join(',');
