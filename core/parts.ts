import { ClickledgerError } from './errors.ts';

/** A part as `status` finds it: its name, and where its /healthz and /metrics are. */
export interface PartAddress {
  readonly name: string;
  readonly url: string;
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/** Parses `PARTS`: `name=url` separated by commas, e.g. `backend-1=http://127.0.0.1:9101,agent=http://127.0.0.1:9102`. Empty: none. */
export function parseParts(text: string): PartAddress[] {
  const parts = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry): PartAddress => {
      const [name = '', ...rest] = entry.split('=');
      const url = rest.join('=').replace(/\/+$/, '');
      if (!NAME.test(name)) throw new ClickledgerError('bad-settings', 'PARTS: every entry begins with a name of a-z, 0-9 and -');
      if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
        throw new ClickledgerError('bad-settings', `PARTS: '${name}' has no http:// URL`);
      return { name, url };
    });
  if (new Set(parts.map(({ name }) => name)).size < parts.length) throw new ClickledgerError('bad-settings', 'PARTS: a name stands twice');
  return parts;
}

export const formatParts = (parts: readonly PartAddress[]): string => parts.map(({ name, url }) => `${name}=${url}`).join(',');
