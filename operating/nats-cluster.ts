import { bareHost } from '../core/bare-host.ts';
import { ClickledgerError } from '../core/errors.ts';
import { parseNatsUrl } from '../core/nats-url.ts';

/** A server of a NATS cluster: its name, and the addresses on which it listens for clients and for the routes of the other servers. */
export interface ClusterServer {
  name: string;
  client: { host: string; port: number };
  /** host:port */
  route: string;
}

const EXAMPLE = 'n1=10.0.0.1:6222,n2=10.0.0.2:6222,n3=10.0.0.3:6222';
const CLIENT_PORT = 4222;

/**
 * Parses `--nats-cluster`, e.g. `n1=10.0.0.1:6222,n2=10.0.0.2:6222,n3=10.0.0.3:6222`. `natsUrls` are the URLs of the same servers for clients, in
 * the same order. Throws `bad-input`, with what to do.
 */
export function parseNatsCluster(text: string, natsUrls: string): ClusterServer[] {
  const entries = text.split(',').map((entry) => {
    const [, name, address] = /^\s*([A-Za-z0-9_-]{1,32})=(\S+?)\s*$/.exec(entry) ?? [];
    if (name === undefined || address === undefined)
      throw mistake(`the entry '${entry.trim()}' is not name=host:port. A name has letters, digits, - and _. Example: ${EXAMPLE}`);
    return { name, route: portOf(address) === undefined ? undefined : address, address };
  });
  for (const { name, route, address } of entries) {
    if (route === undefined) throw mistake(`${name} needs the host and the port of its routes, not '${address}'. Example: ${EXAMPLE}`);
  }
  const names = entries.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw mistake(`the name ${twice} is given twice: each server needs a name of its own`);
  if (new Set(entries.map(({ address }) => address)).size < entries.length)
    throw mistake('two servers have the same address: each server needs its own, on which the other servers reach it');
  if (entries.length < 3 || entries.length % 2 === 0)
    throw mistake(
      `${entries.length} servers are given: a cluster works while more than half of its servers run, so give 3 servers, or 5. For one server, leave out --nats-cluster.`,
    );
  const clients = parseNatsUrl(natsUrls).servers.map((server) => ({ host: hostOf(server), port: portOf(server) ?? CLIENT_PORT }));
  if (clients.length !== entries.length)
    throw new ClickledgerError(
      'bad-input',
      `--nats has ${clients.length} URLs and --nats-cluster ${entries.length} servers: give in --nats the URL of each server for clients, in the same order, separated by commas`,
    );
  return entries.map(({ name, address }, i) => ({ name, route: address, client: clients[i] as ClusterServer['client'] }));
}

function mistake(text: string): ClickledgerError {
  return new ClickledgerError('bad-input', `--nats-cluster: ${text}`);
}

/** The port of `host:port`, or undefined if there is none. */
function portOf(address: string): number | undefined {
  const url = URL.canParse(`nats://${address}`) ? new URL(`nats://${address}`) : undefined;
  return url === undefined || url.hostname === '' || url.port === '' || url.host.toLowerCase() !== address.toLowerCase()
    ? undefined
    : Number(url.port);
}

function hostOf(address: string): string {
  return bareHost(new URL(`nats://${address}`));
}
