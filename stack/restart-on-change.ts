import { watch } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Member, System } from './system.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Editors write a file in several steps. All changes within this time cause one restart. */
const SETTLE_MS = 200;

/** For each kind of member, the directories that contain its code. The name of a member consists of the kind and a number. */
const DIRECTORIES: Readonly<Record<string, readonly string[]>> = {
  nginx: ['nginx'],
  backend: ['backend', 'core'],
  'log-agent': ['log-agent', 'core'],
  'event-worker': ['event-worker', 'core', 'sql'],
};

/**
 * Stops a member when a file in its directories changes. `supervise` then starts the member with the new code. The directories are watched
 * from the return of this function until `signal` aborts. `clickledger up --watch` uses this for development.
 */
export function restartOnChange(system: System, onProblem: (text: string) => void, signal: AbortSignal): void {
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  async function restartMembers(): Promise<void> {
    const directories = [...changed];
    changed.clear();
    timer = undefined;
    if (signal.aborted) return;
    onProblem(`changed: ${directories.join(', ')}`);
    const members = system.members.filter((member) => directoriesOf(member).some((directory) => directories.includes(directory)));
    await Promise.all(members.map(async (member) => member.running?.stop()));
  }

  for (const directory of new Set(Object.values(DIRECTORIES).flat())) {
    watch(ROOT + directory, { recursive: true, signal }, (_, file) => {
      if (file === null || file.endsWith('.test.ts')) return;
      changed.add(directory);
      timer ??= setTimeout(() => void restartMembers(), SETTLE_MS);
    });
  }
}

function directoriesOf(member: Member): readonly string[] {
  return DIRECTORIES[member.name.replace(/-\d+$/, '')] ?? [];
}
