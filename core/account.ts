import { ClickledgerError } from './errors.ts';

// The accounts of the people who use the desk.

export const ACCOUNT_ROLES = ['owner', 'author', 'analyst'] as const;
/** What an account may do. An owner may do what an author may, and an author what an analyst may. */
export type AccountRole = (typeof ACCOUNT_ROLES)[number];

const MAX_NAME_LENGTH = 254;

/** Returns the name of an account in its stored form. Throws `bad-input` if it cannot be a name. */
export function parseAccountName(text: string): string {
  const name = text.trim().normalize('NFC');
  if (name === '' || name.length > MAX_NAME_LENGTH || /\p{Cc}/u.test(name))
    throw new ClickledgerError(
      'bad-input',
      `a name must have 1 to ${MAX_NAME_LENGTH} characters in one line, e.g. a mail address: give another name`,
    );
  return name;
}
