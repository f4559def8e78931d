import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AddressRanges } from '../core/address-ranges.ts';

// Webhooks must not reach this machine or private networks. Otherwise the author of a subscription could send requests to internal servers through the
// forwarder (server-side request forgery). The address is checked when the connection is made, because a host name may get another address after an
// earlier check.

const isAllowed = (address: string, allowed: AddressRanges): boolean =>
  allowed.includes(address) || (ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast');

class PrivateAddressError extends Error {
  readonly code = 'EPRIVATE';
  constructor(host: string) {
    super(`${host} is not a public address: to allow it, add its network to FORWARDER_NETWORKS`);
  }
}

/** Throws an error if `host` is an address, and no public or allowed one. Such a host is not looked up. */
export function assertPublic(host: string, allowed: AddressRanges): void {
  const address = host.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && !isAllowed(address, allowed)) throw new PrivateAddressError(host);
}

/** A function for the option `lookup` of a connection. It leaves out addresses that are neither public nor allowed, and fails if none is left. */
export function publicLookup(allowed: AddressRanges): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '');
      const usable = found.filter(({ address }) => isAllowed(address, allowed));
      const first = usable[0];
      if (first === undefined) return callback(new PrivateAddressError(host), '');
      if (options.all) return callback(null, usable);
      return callback(null, first.address, first.family);
    });
  };
}
