import ipaddr from 'ipaddr.js';
import { ClickledgerError } from './errors.ts';

/** Networks, as settings list them. */
export interface AddressRanges {
  includes(address: string): boolean;
  readonly list: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
}

/** Parses networks and addresses such as `127.0.0.0/8,::1`, separated by commas. Throws `bad-settings`. */
export function parseAddressRanges(text: string): AddressRanges {
  const list = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      try {
        if (entry.includes('/')) return ipaddr.parseCIDR(entry);
        const address = ipaddr.parse(entry);
        return [address, address.kind() === 'ipv4' ? 32 : 128] as const;
      } catch (cause) {
        throw new ClickledgerError('bad-settings', `'${entry}' is not a network. Write e.g. 127.0.0.0/8, 10.1.2.3 or ::1.`, { cause });
      }
    });
  return {
    list,
    includes(text) {
      if (!ipaddr.isValid(text)) return false;
      const address = ipaddr.process(text);
      return list.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
    },
  };
}
