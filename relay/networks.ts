import { parseAddressRanges } from '../core/address-ranges.ts';
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
  const ranges = parseAddressRanges(text);
  if (ranges.list.some(([network, bits]) => bits < LEAST_BITS[network.kind()]))
    throw new ClickledgerError(
      'bad-settings',
      `a network has so many addresses that everybody could send spam. It must have at least ${LEAST_BITS.ipv4} bits (IPv6: ${LEAST_BITS.ipv6}), e.g. 10.0.0.0/8.`,
    );
  return { includes: (address) => ranges.includes(address), hasOthers: ranges.list.some(([network]) => network.range() !== 'loopback') };
}
