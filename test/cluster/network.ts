import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { locate } from '../../stack/debian.ts';
import { isRunning, startTimeOf } from '../../stack/process.ts';

// A network of hosts on one machine. Each host is a network namespace. One more namespace has a bridge, which connects the hosts and this process.
// Each run uses one of 250 networks, 10.77.N.0/24, so several runs can run at the same time:
//
//   this process, clkN (10.77.N.254) ═ uplink ─┐ bridge in   ┌─ p1 ═ eth0 in namespace clkN-1 (10.77.N.1)
//                                              └─ namespace ─┤
//                                                   clkN     └─ p2 ═ eth0 in namespace clkN-2 (10.77.N.2)  …
//
// The bridge has its own namespace because the firewall rules of the machine also apply to bridges. For example, the rules of a Docker engine drop
// packets that a bridge forwards. A new namespace has no firewall rules.

const run = promisify(execFile);
const NETWORKS = 250;
const NAMESPACES = '/run/netns';
const BRIDGE = 'bridge';
const UPLINK = 'uplink';
/** The beginning of the path of every data directory. Nothing else is removed. */
export const DATA_PREFIX = join(tmpdir(), 'clickledger-cluster-');

/** The directions in which a host loses packets: what is sent to it, and what it sends. */
export type Direction = 'in' | 'out';

export interface Network {
  /** The address of a host. Hosts are numbered from 1. */
  address(host: number): string;
  /** The path of the network namespace of a host. */
  namespace(host: number): string;
  /** All packets of a host in these directions are dropped, and nobody is told. An empty list ends that. */
  cut(host: number, directions: readonly Direction[]): Promise<void>;
  /**
   * Makes the connection of a host slow in both directions, with losses: 40 ms and 2 % where the kernel can do that, otherwise 1 Mbit/s with a
   * queue of 60 ms, beyond which packets are lost. Returns a description.
   */
  slow(host: number): Promise<string>;
  /** Ends `slow`. */
  restore(host: number): Promise<void>;
  remove(): Promise<void>;
  /** The same at once, for the end of this process. */
  removeNow(): void;
}

/** The reason why this machine can have no such network. */
export class NoNetwork extends Error {}

/**
 * Creates the network. Throws NoNetwork if this machine does not allow it. If this process is killed, the next run removes the network and
 * `dataDir`, with the disks that are mounted there.
 */
export async function createNetwork(hosts: number, dataDir: string): Promise<Network> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new NoNetwork('network namespaces need Linux and root');
  const [ip, tc] = await Promise.all([locate('ip'), locate('tc')]).catch((error: unknown) => {
    throw new NoNetwork(`there is no ip or tc: ${String(error)}`);
  });
  await removeLeftovers(ip);
  const number = await takeNumber(ip, dataDir);
  const name = nameOf(number);
  const numbers = Array.from({ length: hosts }, (_, i) => i + 1);
  const namespace = (host: number): string => `${name}-${host}`;
  const port = (host: number): string => `p${host}`;
  const hardwareAddress = (host: number): string => `02:00:0a:4d:${number.toString(16).padStart(2, '0')}:0${host}`;
  const removal = removalOf(name, hosts);
  const network: Network = {
    address: (host) => `10.77.${number}.${host}`,
    namespace: (host) => `${NAMESPACES}/${namespace(host)}`,
    async cut(host, directions) {
      // What goes to the host leaves the bridge at the port of the host. What the host sends leaves at its own interface.
      await queue(['-n', name], port(host), directions.includes('in') ? ['blackhole'] : undefined);
      await queue(['-n', namespace(host)], 'eth0', directions.includes('out') ? ['blackhole'] : undefined);
    },
    async slow(host) {
      const both = async (...discipline: string[]): Promise<void> => {
        await queue(['-n', name], port(host), discipline);
        await queue(['-n', namespace(host)], 'eth0', discipline);
      };
      try {
        await both('netem', 'delay', '40ms', '10ms', 'loss', '2%');
        return '40 ms, 2 % lost';
      } catch {
        // Few kernels lack netem. Without it, a narrow line with a short queue delays packets and loses some.
        await both('tbf', 'rate', '1mbit', 'burst', '5kb', 'latency', '60ms');
        return '1 Mbit/s, a queue of 60 ms';
      }
    },
    restore: (host) => network.cut(host, []),
    async remove() {
      for (const args of removal) await run(ip, args).catch(() => {});
    },
    removeNow() {
      for (const args of removal) {
        try {
          execFileSync(ip, args, { stdio: 'ignore' });
        } catch {
          // It was not created, or it is already removed.
        }
      }
    },
  };

  /** Sets the queueing discipline of an interface, or the default one. */
  async function queue(where: readonly string[], device: string, discipline: readonly string[] | undefined): Promise<void> {
    if (discipline) await run(tc, [...where, 'qdisc', 'replace', 'dev', device, 'root', ...discipline]);
    else await run(tc, [...where, 'qdisc', 'del', 'dev', device, 'root']).catch(() => {});
  }

  try {
    await run(ip, ['-n', name, 'link', 'set', UPLINK, 'master', BRIDGE, 'up']);
    await run(ip, ['-n', name, 'link', 'set', BRIDGE, 'up']);
    await run(ip, ['address', 'add', `10.77.${number}.254/24`, 'dev', name]);
    await run(ip, ['link', 'set', name, 'up']);
    for (const host of numbers) {
      await run(ip, ['netns', 'add', namespace(host)]);
      const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'address', hardwareAddress(host), 'netns', namespace(host)];
      await run(ip, ['-n', name, 'link', 'add', port(host), ...peer]);
      await run(ip, ['-n', name, 'link', 'set', port(host), 'master', BRIDGE, 'up']);
      await run(ip, ['-n', namespace(host), 'address', 'add', `${network.address(host)}/24`, 'dev', 'eth0']);
      for (const device of ['lo', 'eth0']) await run(ip, ['-n', namespace(host), 'link', 'set', device, 'up']);
    }
    // With fixed hardware addresses nobody asks for them. If nobody answered such a question, the kernel would report that the host is
    // unreachable, and a connection would fail at once instead of waiting.
    for (const known of numbers) {
      const neighbour = ['neighbour', 'replace', network.address(known), 'lladdr', hardwareAddress(known), 'nud', 'permanent'];
      await run(ip, [...neighbour, 'dev', name]);
      for (const host of numbers.filter((other) => other !== known)) await run(ip, ['-n', namespace(host), ...neighbour, 'dev', 'eth0']);
    }
    await network.cut(1, ['in', 'out']).catch((error: unknown) => {
      throw new NoNetwork(`this machine cannot drop the packets of an interface: ${messageOf(error)}`);
    });
    await network.cut(1, []);
  } catch (error) {
    await network.remove();
    throw error;
  }
  return network;
}

/** The name of the namespace of a bridge, and of the interface of this process that leads to it. */
const nameOf = (number: number): string => `clk${number}`;

/** The arguments of `ip` that remove a network. Not all parts of it need exist. */
function removalOf(name: string, hosts: number): string[][] {
  const numbers = Array.from({ length: hosts }, (_, i) => i + 1);
  return [
    ['link', 'del', name],
    ...numbers.map((host) => ['netns', 'del', `${name}-${host}`]),
    // This also removes the bridge and its ports. It is the last step, because after it another run can take the number.
    ['netns', 'del', name],
  ];
}

/** Creates a namespace with a number that no other run has. The alias of its bridge names this process and its directory. */
async function takeNumber(ip: string, dataDir: string): Promise<number> {
  let failure: unknown;
  for (let i = 0; i < NETWORKS; i++) {
    const number = (process.pid + i) % NETWORKS;
    const name = nameOf(number);
    try {
      // Only one process can create a namespace of this name.
      await run(ip, ['netns', 'add', name]);
    } catch (error) {
      failure = error;
      if (messageOf(error).includes('File exists')) continue;
      break;
    }
    try {
      await run(ip, ['-n', name, 'link', 'add', BRIDGE, 'type', 'bridge']);
      const alias = `${process.pid} ${await startTimeOf(process.pid)} ${dataDir}`;
      await run(ip, ['-n', name, 'link', 'set', BRIDGE, 'alias', alias]);
      await run(ip, ['link', 'add', name, 'type', 'veth', 'peer', 'name', UPLINK, 'netns', name]);
      return number;
    } catch (error) {
      await run(ip, ['netns', 'del', name]);
      failure = error;
      break;
    }
  }
  throw new NoNetwork(`this machine does not allow network namespaces with bridges: ${messageOf(failure)}`);
}

/** Removes the networks of runs that have ended without removing them. */
async function removeLeftovers(ip: string): Promise<void> {
  const namespaces = await readdir(NAMESPACES).catch(() => []);
  for (const name of namespaces.filter((any) => /^clk\d+$/.test(any))) {
    const { stdout } = await run(ip, ['-n', name, '-json', 'link', 'show', BRIDGE]).catch(() => ({ stdout: '[]' }));
    const [{ ifalias } = {}] = JSON.parse(stdout) as { ifalias?: string }[];
    if (ifalias === undefined || (await isRunning(ifalias))) continue;
    // The namespace may be that of another program, and the alias any text.
    const dataDir = ifalias.split(' ').slice(2).join(' ');
    if (!dataDir.startsWith(DATA_PREFIX) || dataDir.slice(DATA_PREFIX.length).includes('/')) continue;
    const hosts = namespaces.filter((other) => other.startsWith(`${name}-`)).length;
    for (const args of removalOf(name, hosts)) await run(ip, args).catch(() => {});
    unmountBelow(dataDir);
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Unmounts all file systems in a directory. */
export function unmountBelow(directory: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  for (const path of mounts.map((line) => line.split(' ')[1] ?? '').filter((name) => name.startsWith(`${directory}/`)))
    spawnSync('umount', ['-l', path], { stdio: 'ignore' });
}

function messageOf(error: unknown): string {
  return ((error as { stderr?: string }).stderr ?? '').trim().split('\n')[0] || String(error);
}
