import ipaddr from 'ipaddr.js';
import { ClickledgerError } from '../core/errors.ts';

export interface Networks {
  includes(address: string): boolean;
  /** Whether there are networks besides loopback. */
  readonly hasOthers: boolean;
}

/** Networks with a shorter prefix are no private networks. */
const LEAST_BITS = { ipv4: 8, ipv6: 16 } as const;

/** Parses networks such as `127.0.0.0/8,::1`, separated by commas. Throws `bad-settings`. */
export function parseNetworks(text: string): Networks {
  const ranges = text
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
  if (ranges.some(([network, bits]) => bits < LEAST_BITS[network.kind()]))
    throw new ClickledgerError(
      'bad-settings',
      `a network has so many addresses that everybody could send spam. It must have at least ${LEAST_BITS.ipv4} bits (IPv6: ${LEAST_BITS.ipv6}), e.g. 10.0.0.0/8.`,
    );
  return {
    hasOthers: ranges.some(([network]) => network.range() !== 'loopback'),
    includes(text) {
      if (!ipaddr.isValid(text)) return false;
      const address = ipaddr.process(text);
      return ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
    },
  };
}
