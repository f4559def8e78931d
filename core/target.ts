/** The maximum length of the target of a redirect. nginx does not accept longer response headers from a backend. */
export const MAX_TARGET_BYTES = 8000;
