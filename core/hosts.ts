import { domainToASCII } from 'node:url';

/** Whether a host name, as `URL` returns it, is one of `hosts` or a subdomain of one. A full stop at its end does not matter. */
export function isOfHosts(hostname: string, hosts: readonly string[]): boolean {
  const name = hostname.replace(/\.$/, '');
  return hosts.some((host) => name === host || name.endsWith(`.${host}`));
}

/** Whether a host name or address is this machine. */
export const isLoopback = (host: string): boolean => /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(host);

/** Returns a mail address with its domain in ASCII. A domain that cannot be converted stays as it is. */
export function withAsciiDomain(address: string): string {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1);
  return at < 0 ? address : `${address.slice(0, at)}@${domainToASCII(domain) || domain}`;
}
