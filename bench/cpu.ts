import { readdir, readFile } from 'node:fs/promises';

// Reads the CPU time of the processes of a system from /proc. Unlike rates, CPU time hardly depends on other programs on the machine.

const TICKS_PER_SECOND = 100;

interface Process {
  pid: number;
  parent: number;
  /** The command line. A process of Postgres writes its purpose there. */
  title: string;
  /** User and system time of the process in seconds. The field `endedChildren` has the time of its child processes that have ended. */
  seconds: number;
  endedChildren: number;
}

/** Returns the CPU seconds of each purpose since the start of the processes. `roots` maps the name of each part to its process id. */
export async function cpuSeconds(roots: Readonly<Record<string, number>>): Promise<Map<string, number>> {
  const all = await processes();
  const seconds = new Map<string, number>();
  const add = (purpose: string, more: number): void => void seconds.set(purpose, (seconds.get(purpose) ?? 0) + more);
  for (const [part, root] of Object.entries(roots)) {
    for (const one of all.filter((process) => isBelow(process, root, all))) {
      add(purposeOf(part, one), one.seconds);
      if (one.endedChildren > 0) add(`${part}: ended processes`, one.endedChildren);
    }
  }
  return seconds;
}

/** `postgres: clickledger_worker …` is a session of that role; `postgres: checkpointer` is a process of the server. */
function purposeOf(part: string, { title }: Process): string {
  const postgres = /^postgres: (?:\w+_(worker|owner|backend|author|analyst) |([a-z /]+))/.exec(title);
  return postgres ? `${part}: ${postgres[1] ? `sessions of the ${postgres[1]}` : postgres[2]?.trim()}` : part;
}

function isBelow(process: Process, root: number, all: readonly Process[]): boolean {
  for (let current: Process | undefined = process; current; current = all.find(({ pid }) => pid === current?.parent))
    if (current.pid === root) return true;
  return false;
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => describeProcess(pid).catch(() => undefined)));
  return found.filter((process) => process !== undefined);
}

/**
 * Describes a process. proc(5) documents the fields of /proc/PID/stat. The parsing starts at the third field, because the second field, the
 * name, may contain spaces and brackets.
 */
async function describeProcess(pid: number): Promise<Process> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (from: number): number => (Number(fields[from - 3]) + Number(fields[from - 2])) / TICKS_PER_SECOND;
  const title = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
  return { pid, parent: Number(fields[1]), title, seconds: ticks(14), endedChildren: ticks(16) };
}
