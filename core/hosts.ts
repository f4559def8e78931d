/** Whether a host name, as `URL` returns it, is one of `hosts` or a subdomain of one. A full stop at its end does not matter. */
export function isOfHosts(hostname: string, hosts: readonly string[]): boolean {
  const name = hostname.replace(/\.$/, '');
  return hosts.some((host) => name === host || name.endsWith(`.${host}`));
}
