/** Returns the host name of a URL as an address for connections: the brackets of an IPv6 address belong to the URL, not to the address. */
export const bareHost = ({ hostname }: { readonly hostname: string }): string => hostname.replace(/^\[|\]$/g, '');
