import {
  allowInsecureRequests,
  authorizationCodeGrant,
  AuthorizationResponseError,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type Configuration,
  discovery,
  fetchUserInfo,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { ClickledgerError } from '../../core/errors.ts';
import { isLoopback, type TeamConfig } from './settings.ts';

// Sign-in with OpenID Connect: the code flow with PKCE, state and nonce. What the desk must remember until the person comes back is in a
// cookie of the browser, so several desks may share the work, and a person cannot be signed in with the answer for somebody else.

/** A sign-in that did not succeed. `cause` is set if an operator should see it. */
export class OidcError extends Error {}

export interface Oidc {
  /** Returns the address of the issuer to which the browser goes, and what the cookie must keep. `to` is the page to which the person returns. */
  begin(to: string): Promise<{ url: string; cookie: string }>;
  /** Returns the name that the issuer gives for a person. `url` is the path with the query of the answer. Throws an OidcError. */
  finish(url: string, cookie: string): Promise<{ name: string; to: string }>;
}

const TIMEOUT_SECONDS = 10;
const AGAIN = 'try to sign in again';

export function createOidc({ OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_CLAIM, DESK_URL }: TeamConfig): Oidc {
  const redirect = `${DESK_URL}/sign-in/oidc/callback`;
  let found: Promise<Configuration> | undefined;

  /** Asks the issuer for its addresses. The desk starts without the issuer, and after a failure the next sign-in asks again. */
  async function configuration(): Promise<Configuration> {
    const { protocol, hostname } = new URL(OIDC_ISSUER);
    found ??= discovery(new URL(OIDC_ISSUER), OIDC_CLIENT_ID, OIDC_CLIENT_SECRET === '' ? undefined : OIDC_CLIENT_SECRET, undefined, {
      timeout: TIMEOUT_SECONDS,
      execute: protocol === 'http:' && isLoopback(hostname) ? [allowInsecureRequests] : [],
    });
    try {
      return await found;
    } catch (cause) {
      found = undefined;
      throw new ClickledgerError('unavailable', `the issuer ${OIDC_ISSUER} does not answer as expected: try again, or check OIDC_ISSUER`, {
        cause,
      });
    }
  }

  return {
    async begin(to) {
      const [state, nonce, verifier] = [randomState(), randomNonce(), randomPKCECodeVerifier()];
      const url = buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirect,
        scope: 'openid email profile',
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, cookie: [state, nonce, verifier, Buffer.from(to).toString('base64url')].join('.') };
    },

    async finish(url, cookie) {
      const [state, nonce, verifier, to] = cookie.split('.');
      if (!state || !nonce || !verifier || to === undefined)
        throw new OidcError(`this browser has not begun to sign in, or more than 10 minutes ago: ${AGAIN}`);
      const config = await configuration();
      const claims = await claimsOf(config, new URL(url, redirect), { state, nonce, verifier });
      const name = claims[OIDC_CLAIM];
      if (typeof name !== 'string' || name === '')
        throw new OidcError(`the issuer gives no claim ${OIDC_CLAIM}: ask an owner to correct OIDC_CLAIM or the settings of the issuer`);
      // Without this check, a person could register somebody else's address at the issuer.
      if (OIDC_CLAIM === 'email' && claims['email_verified'] !== true)
        throw new OidcError('the issuer has not verified your mail address: verify it there first');
      return { name, to: Buffer.from(to, 'base64url').toString() };
    },
  };

  /** Exchanges the code. Returns the claims of the id token, and those of the issuer's userinfo if the wanted one is not in the token. */
  async function claimsOf(
    config: Configuration,
    url: URL,
    expected: { state: string; nonce: string; verifier: string },
  ): Promise<Readonly<Record<string, unknown>>> {
    try {
      const tokens = await authorizationCodeGrant(config, url, {
        expectedState: expected.state,
        expectedNonce: expected.nonce,
        pkceCodeVerifier: expected.verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new OidcError(`the issuer has sent no id token: ${AGAIN}`);
      if (claims[OIDC_CLAIM] !== undefined || config.serverMetadata().userinfo_endpoint === undefined) return claims;
      return { ...claims, ...(await fetchUserInfo(config, tokens.access_token, claims.sub)) };
    } catch (error) {
      if (error instanceof OidcError) throw error;
      // The person has cancelled, or the issuer refuses this person.
      if (error instanceof AuthorizationResponseError) throw new OidcError(`the issuer has not signed you in: ${AGAIN}`);
      throw new OidcError(`the answer of the issuer is not valid: ${AGAIN}. The log of the desk has the reason`, { cause: error });
    }
  }
}
