import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { replaceFile } from '../../core/files.ts';

// The file that says which times of each schedule are done. Without it, a restart could repeat or skip a report. It has no mail addresses.

/**
 * What became of a message. `trying` means that the message was begun. If the process ends before the answer of the server, the message may have
 * been sent, and it is `unknown` after the restart.
 */
const RESULTS = ['trying', 'sent', 'refused', 'unknown'] as const;
type Result = (typeof RESULTS)[number];

const COUNTS = z.object({ sent: z.int(), refused: z.int(), unknown: z.int() });

const ENTRY = z.object({
  /** The cron expression and the time zone. After a change of them, times before the change are not due. */
  when: z.string(),
  /** All times until this one are done, in ISO 8601. */
  doneUntil: z.iso.datetime(),
  /** The time that is due and not done yet, and the results of the addresses, by a hash. */
  current: z.object({ at: z.iso.datetime(), results: z.record(z.string(), z.enum(RESULTS)), problem: z.string().optional() }).optional(),
  /** The last report that was sent. */
  last: z.object({ at: z.iso.datetime(), ...COUNTS.shape }).optional(),
});
const FILE = z.object({ version: z.literal(1), schedules: z.record(z.string(), ENTRY) });

export type Counts = z.infer<typeof COUNTS>;
export type ScheduleEntry = z.infer<typeof ENTRY>;

export interface ScheduleState {
  /** Returns the entry of a schedule. A new schedule, or one whose times were changed, begins at `now`. */
  of: (name: string, when: string, now: Date) => ScheduleEntry;
  /** Removes the entries of all other schedules. */
  keep: (names: readonly string[]) => void;
  /** Writes the file. Resolves when it is on the disk. */
  save: () => Promise<void>;
}

/** Opens the state. Throws `bad-input` if the file is not a state. A file that does not exist is an empty state. */
export async function openScheduleState(path: string): Promise<ScheduleState> {
  const schedules = await readState(path);
  // A message that was begun in an earlier run may have been sent.
  for (const { current } of Object.values(schedules))
    for (const [hash, result] of Object.entries(current?.results ?? {}))
      if (result === 'trying' && current) current.results[hash] = 'unknown';
  let saving: Promise<void> = Promise.resolve();
  return {
    of(name, when, now) {
      const known = schedules[name];
      if (known?.when === when) return known;
      const entry: ScheduleEntry = { when, doneUntil: now.toISOString(), last: known?.last };
      schedules[name] = entry;
      return entry;
    },
    keep(names) {
      for (const name of Object.keys(schedules)) if (!names.includes(name)) delete schedules[name];
    },
    save() {
      // One write after the other, because all of them replace the same file.
      saving = saving.catch(() => {}).then(() => replaceFile(path, `${JSON.stringify({ version: 1, schedules }, undefined, 1)}\n`));
      return saving;
    },
  };
}

async function readState(path: string): Promise<Record<string, ScheduleEntry>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {};
    throw error;
  }
  try {
    return FILE.parse(JSON.parse(text)).schedules;
  } catch (error) {
    throw new ClickledgerError(
      'bad-input',
      `${path} is not the state of schedules. Give another --state, or remove this file: then only reports from now on are sent.`,
      { cause: error },
    );
  }
}

export function countResults(results: Readonly<Record<string, Result>>): Counts {
  const count = (wanted: Result): number => Object.values(results).filter((result) => result === wanted).length;
  return { sent: count('sent'), refused: count('refused'), unknown: count('unknown') };
}
