import { createHmac } from 'node:crypto';

// The signature of Standard Webhooks (https://www.standardwebhooks.com, "Signature scheme": symmetric, v1).

/** The text before a secret. The rest of the secret is base64. */
const SECRET_PREFIX = 'whsec_';

/**
 * Returns the header `webhook-signature`: one signature for each secret, so that a receiver can change to a new secret at any time. `timestamp` is in epoch
 * seconds.
 */
export function signatureOf(secrets: readonly string[], id: string, timestamp: number, body: Buffer): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
      return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
    })
    .join(' ');
}
