import type { Config } from '../../core/config.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';

/** The settings of sign-in. */
export const TEAM_SETTINGS = [
  'DESK_URL',
  'SIGN_IN',
  'OIDC_ISSUER',
  'OIDC_CLIENT_ID',
  'OIDC_CLIENT_SECRET',
  'OIDC_CLAIM',
  'TRUSTED_HEADER',
] as const;
export type TeamConfig = Config<(typeof TEAM_SETTINGS)[number]>;

/** The options of accounts and sign-in. */
export interface TeamOptions {
  /** Connects as the author. Undefined: the desk has only the settings of an analyst, and nobody can sign in. */
  pool: Pool | undefined;
  config: TeamConfig;
  /** Returns milliseconds. */
  now?: () => number;
}

/** Says whether the pages need sign-in. */
export interface SignInPolicy {
  isRequired(): Promise<boolean>;
  /** Returns why nobody can sign in although it is required, and what to do. Returns undefined if there is no such problem. */
  problem(): Promise<string | undefined>;
}

/** Returns whether a host name or an address is loopback. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|(?:::ffff:)?127(?:\.\d{1,3}){3}|::1)$/i.test(host.replace(/^\[(.*)\]$/, '$1'));
}

/** Returns whether other machines can reach the desk. `host` is the address on which it listens, and `deskUrl` may be empty. */
export function isReachable(host: string, deskUrl: string): boolean {
  return !isLoopback(host) || (deskUrl !== '' && !isLoopback(new URL(deskUrl).hostname));
}

/** Throws `bad-settings` if settings of sign-in do not fit together. */
export function checkTeamConfig({ OIDC_ISSUER, OIDC_CLIENT_ID, DESK_URL }: TeamConfig): void {
  if (OIDC_ISSUER === '') return;
  if (OIDC_CLIENT_ID === '' || DESK_URL === '')
    throw new ClickledgerError('bad-settings', 'OIDC_ISSUER needs OIDC_CLIENT_ID and DESK_URL: set both, or remove OIDC_ISSUER');
  const { protocol, hostname } = new URL(OIDC_ISSUER);
  if (protocol !== 'https:' && !isLoopback(hostname))
    throw new ClickledgerError('bad-settings', 'OIDC_ISSUER must be an https:// URL, because it decides who may sign in');
}

/** Returns why nobody can sign in, for the start of the desk. If the catalog does not answer yet, returns undefined: the page of the sign-in says the same later. */
export const findSignInProblem = (host: string, team: TeamOptions): Promise<string | undefined> =>
  createSignInPolicy(host, team)
    .problem()
    .catch(() => undefined);

/** `host` is the address on which the desk listens. */
export function createSignInPolicy(host: string, { pool, config }: TeamOptions): SignInPolicy {
  const { SIGN_IN, DESK_URL, OIDC_ISSUER, TRUSTED_HEADER } = config;
  const isConfigured = isReachable(host, DESK_URL) || OIDC_ISSUER !== '' || TRUSTED_HEADER !== '';
  // Accounts are never deleted. So this stays true, and the catalog is not asked again.
  let hasAccount = false;

  async function findAccount(): Promise<boolean> {
    if (pool === undefined) return false;
    hasAccount ||= await explainErrors(
      async () => (await pool.query<{ found: boolean }>('SELECT catalog.has_account() AS found')).rows[0]?.found === true,
    );
    return hasAccount;
  }

  return {
    // If the catalog does not answer, this throws, and no page is shown.
    isRequired: async () => SIGN_IN === 'auto' && (isConfigured || (await findAccount())),
    async problem() {
      if (SIGN_IN === 'off' || !isConfigured) return undefined;
      if (pool === undefined)
        return 'the pages need sign-in here, and accounts need AUTHOR_URL: set it, or SIGN_IN=off if everyone who can reach this address may read every report';
      if (await findAccount()) return undefined;
      return 'the pages need sign-in here, and there is no account: add one with `clickledger user add <name> --role owner`, or set SIGN_IN=off if everyone who can reach this address may read every report';
    },
  };
}
