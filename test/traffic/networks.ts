import { BlockList, isIPv6 } from 'node:net';
import type { Random } from '../chaos/random.ts';
import type { Country } from './figures.ts';

// The networks from which requests come. The networks of machines and image proxies are published. People get addresses of access
// providers.

/** Networks of machines. No person in this traffic has such an address. */
export const MACHINE_NETWORKS = {
  // The proxy of Mail Privacy Protection sends its requests from the addresses of iCloud Private Relay
  // (https://wordtothewise.com/2021/09/apple-mpp-reporting-and-geolocation/). Apple publishes a list of them:
  // https://mask-api.icloud.com/egress-ip-ranges.csv. This is a part of the list, according to
  // https://github.com/rezmoss/cloud-provider-ip-addresses (apple_private_relay) and other copies; relays of Akamai, Cloudflare and Fastly.
  'apple-relay': [
    '172.224.224.0/27',
    '172.225.69.0/27',
    '172.225.172.224/28',
    '172.225.200.176/28',
    '172.225.224.32/28',
    '104.28.86.0/26',
    '140.248.40.58/31',
    '140.248.40.70/31',
    '146.75.168.84/31',
    '146.75.185.84/31',
    '2a02:26f7:c8c0::/44',
    '2a02:26f7:da80:4000::/64',
    '2a04:4e41:1301:8000::/52',
  ],
  // «Apple relay IP: commonly 17.0.0.0/8»: https://check.live-direct-marketing.online/blog/apple-mail-v16-click-reporting-changes
  apple: ['17.0.0.0/8'],
  // Microsoft 365 endpoint sets 9 and 10: https://github.com/warmbly/warmbly/blob/main/tracking/scanner-networks.txt,
  // https://blog.rmilne.ca/?p=46964
  'microsoft-eop': ['40.92.0.0/15', '40.107.0.0/16', '52.100.0.0/14', '104.47.0.0/17', '2a01:111:f400::/48', '2a01:111:f403::/48'],
  // Scans from Microsoft's AS 8075, from other addresses than the networks above: https://github.com/warmbly/warmbly/issues/410. The ranges
  // are from the service tags (https://www.microsoft.com/en-us/download/details.aspx?id=56519), from memory.
  azure: ['52.160.0.0/12', '20.40.0.0/13'],
  // https://proofpoint.my.site.com/support/PPSup_SupportInfo, and 148.163.128.0/19 in lists of inbound addresses
  proofpoint: ['67.231.144.0/20', '208.84.64.0/22', '208.86.200.0/22', '91.209.104.0/24', '62.209.50.0/24', '148.163.128.0/19'],
  // Lists of inbound addresses for connection filters (AS 30031): 207.211.30.0/24, 205.139.110.0/23, 170.10.128.0/24 and following
  mimecast: ['207.211.30.0/24', '207.211.31.0/25', '205.139.110.0/23', '170.10.128.0/23', '91.220.42.0/24'],
  // https://campus.barracuda.com/product/emailgatewaydefense/doc/96023004/ip-analysis-inbound/ (209.222.80.0/21); others from warmbly's
  // list
  barracuda: ['209.222.80.0/21', '35.157.190.224/27', '18.185.115.192/26', '35.176.92.96/27', '3.24.133.128/25', '64.235.144.0/20'],
  // Amazon and Google, of https://ip-ranges.amazonaws.com/ip-ranges.json and https://www.gstatic.com/ipranges/cloud.json, from memory
  'other-cloud': ['18.208.0.0/13', '54.144.0.0/14', '35.184.0.0/13'],
  // Meta (AS 32934), Telegram (AS 62041), LinkedIn (AS 14413), X (AS 13414), from memory of their registrations
  meta: ['69.171.224.0/19', '66.220.144.0/20', '173.252.64.0/18'],
  telegram: ['149.154.160.0/20'],
  linkedin: ['108.174.0.0/20'],
  x: ['199.16.156.0/22'],
} as const satisfies Record<string, readonly string[]>;
export type MachineNetwork = keyof typeof MACHINE_NETWORKS;

/** Networks of image proxies, which load pictures because a person opens a letter. */
export const PROXY_NETWORKS = {
  // _netblocks.google.com has 66.102.0.0/20, 66.249.80.0/20, 74.125.0.0/16; proxies at 74.125.x:
  // https://github.com/CIDRAM/CIDRAM/issues/576
  google: ['66.249.80.0/20', '66.102.0.0/20', '74.125.208.0/20'],
  // Outlook on the web fetches pictures through Microsoft's own proxy, from the ranges of Exchange Online and not those of EOP (warmbly's
  // list and https://github.com/warmbly/warmbly/pull/412); 40.96.0.0/13: https://github.com/MicrosoftDocs/microsoft-365-docs/issues/12228
  microsoft: ['40.96.0.0/13'],
  // Yahoo's registration, from memory; names end in .yahoo.com: https://crawlerdex.tn3w.dev/YahooMailProxy
  yahoo: ['98.136.0.0/14', '87.248.96.0/19'],
} as const satisfies Record<string, readonly string[]>;
export type ProxyNetwork = keyof typeof PROXY_NETWORKS;

/**
 * Networks of access providers by country. The country database of the product gives the right country for each network. This was checked
 * by hand, not by a test.
 */
export const ACCESS_NETWORKS: Record<Country, { v4: readonly string[]; v6: readonly string[] }> = {
  DE: { v4: ['79.192.0.0/10', '84.128.0.0/10', '91.0.0.0/10', '178.0.0.0/12', '188.192.0.0/14'], v6: ['2003:c0::/26', '2a02:8108::/30'] },
  US: { v4: ['73.0.0.0/8', '71.160.0.0/11', '98.192.0.0/10', '172.32.0.0/11', '107.64.0.0/10'], v6: ['2601::/20', '2600:1700::/28'] },
  GB: { v4: ['86.128.0.0/10', '81.128.0.0/11', '90.192.0.0/11'], v6: ['2a00:23c0::/28'] },
  FR: { v4: ['86.192.0.0/11', '90.0.0.0/10'], v6: ['2a01:cb00::/24'] },
  NL: { v4: ['77.160.0.0/12', '84.84.0.0/14'], v6: ['2a02:a440::/26'] },
  AT: { v4: ['84.112.0.0/14', '178.112.0.0/14'], v6: ['2001:871::/32'] },
  CH: { v4: ['83.76.0.0/14', '178.192.0.0/13'], v6: ['2a02:1200::/27'] },
  CA: { v4: ['99.224.0.0/11', '70.48.0.0/13'], v6: ['2607:fea8::/32'] },
};

/** Returns a random address in one of the networks, as nginx writes it. */
export function addressIn(random: Random, networks: readonly string[]): string {
  const [address = '', bits = ''] = random.pick(networks).split('/');
  return isIPv6(address) ? addressIn6(random, address, Number(bits)) : addressIn4(random, address, Number(bits));
}

function addressIn4(random: Random, address: string, bits: number): string {
  const base = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const value = base + Math.floor(random.next() * 2 ** (32 - bits));
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

function addressIn6(random: Random, address: string, bits: number): string {
  const [head = '', tail = ''] = address.split('::');
  const front = head.split(':').filter((group) => group !== '');
  const back = tail.split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const groups = [...front, ...zeros, ...back].map((group) => Number.parseInt(group, 16));
  // A group after the prefix is never 0, because nginx would shorten the longest run of zeros, and this function does not.
  const filled = groups.map((group, i) => {
    const free = Math.min(16, Math.max(0, (i + 1) * 16 - bits));
    return free === 0 ? group : group + random.whole(free > 1 ? 1 : 0, 2 ** free - 1);
  });
  return filled.map((group) => group.toString(16)).join(':');
}

/** Returns a function that checks whether an address is in one of the networks. */
export function membership(networks: readonly string[]): (ip: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return (ip) => list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
}
