import ipaddr from 'ipaddr.js';

/** Returns the network of a client whose failures are counted together: an IPv4 address, or the /64 network of an IPv6 address. */
export function networkOf(text: string): string {
  if (!ipaddr.isValid(text)) return text;
  const address = ipaddr.process(text);
  return address instanceof ipaddr.IPv6 ? address.parts.slice(0, 4).join(':') : address.toString();
}
