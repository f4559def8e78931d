declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';

  interface Account {
    accountId: string;
    claims(): Record<string, unknown>;
  }

  interface Configuration {
    clients: readonly { client_id: string; client_secret: string; redirect_uris: readonly string[] }[];
    claims: Record<string, readonly string[]>;
    cookies: { keys: readonly string[] };
    conformIdTokenClaims?: boolean;
    findAccount(context: unknown, id: string): Account | undefined;
  }

  /** A provider of OpenID Connect. It has no types of its own. */
  export default class Provider {
    constructor(issuer: string, configuration: Configuration);
    callback(): RequestListener;
  }
}
