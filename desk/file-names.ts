import type { Report } from '../reporting/report-file.ts';

/** So long may a file name be, without its ending. */
const MAX_LENGTH = 100;

/**
 * Returns the name of a file with a report, without its ending. It has the values that decide which rows are in the file, so that two lists are not mistaken
 * for each other. Texts are left out, because they may be personal.
 */
export function fileNameOf({ name, parameters }: Report, values: Readonly<Record<string, string>>): string {
  const parts = parameters.flatMap(({ name: parameter, type }) => {
    const value = values[parameter];
    if (value === undefined || !/^[\w-]+$/.test(value)) return [];
    if (type === 'campaign') return /^\d+$/.test(value) ? [value] : [];
    if (type === 'number') return [parameter, value];
    return type.includes('|') ? [value] : [];
  });
  return [name, ...parts].join('-').slice(0, MAX_LENGTH);
}
