import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { sleep } from '../core/time.ts';
import { rotateLog } from './nginx.ts';
import type { Member, System } from './system.ts';

const ROTATE_BYTES = 256 * 1024 * 1024;
const ROTATE_MS = 24 * 3600_000;
const CHECK_MS = 1_000;

/**
 * Restarts members that exit, and rotates the access logs by size and age, until `signal` aborts. For each member that exited or could not
 * be started, `onProblem` gets a message for the user.
 */
export async function supervise(system: System, onProblem: (text: string) => void, signal: AbortSignal): Promise<void> {
  await Promise.all([...system.members.map((member) => keepRunning(member, onProblem, signal)), keepRotating(system, signal)]);
}

/** Restarts a member whenever it exits. */
async function keepRunning(member: Member, onProblem: (text: string) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const exit = await Promise.race([member.running?.exited ?? sleep(1_000, signal), sleep(2 ** 31 - 1, signal)]);
    if (signal.aborted) return;
    onProblem(`${member.name} ${exit ?? 'is not running'}; restarting it`);
    await sleep(500, signal);
    if (signal.aborted) return;
    await member.start().catch((error: unknown) => onProblem(messageOf(error)));
  }
}

/** Rotates an access log when it has reached ROTATE_BYTES. Also rotates a log that is not empty if no log was rotated for ROTATE_MS. */
async function keepRotating(system: System, signal: AbortSignal): Promise<void> {
  let rotatedAt = Date.now();
  while (!signal.aborted) {
    await sleep(CHECK_MS, signal);
    for (const [i, logDir] of system.logDirs.entries()) {
      const size = await stat(join(logDir, 'access.log')).then(
        (status) => status.size,
        () => 0,
      );
      const nginx = system.member(`nginx-${i + 1}`).running;
      if (nginx && (size >= ROTATE_BYTES || (size > 0 && Date.now() - rotatedAt >= ROTATE_MS))) {
        await rotateLog(logDir, nginx);
        rotatedAt = Date.now();
      }
    }
  }
}
