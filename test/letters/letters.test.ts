import { isUtf8 } from 'node:buffer';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isPrepared, type LetterPlan, type PixelPlace, planLetter } from '../../authoring/letter/plan.ts';
import { compileTemplate, fillTemplate } from '../../authoring/letter/template.ts';

// Each letter has three files, which are written by hand. NAME.html or NAME.txt is the letter. NAME.expected.html or .txt is the letter
// that a reader gets. L1, L2, … stand for its distinct tracked links in order of appearance. NAME.json lists the links that are tracked and
// the links that are kept.

interface Options {
  exclude?: string[];
  trackUnsubscribe?: boolean;
  utm?: Record<string, string>;
  pixel?: PixelPlace;
}

interface Expected {
  options?: Options;
  tracked: string[];
  kept: [address: string, reason: string][];
}

const baseUrl = 'https://t.example.org';
const pixel = `${baseUrl}/r/P.gif`;
const folder = import.meta.dirname;
const files = readdirSync(folder).filter((file) => /\.(?:html|txt|json)$/.test(file));
const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));

const read = (file: string): Buffer => readFileSync(join(folder, file));
const kindOf = (name: string): 'html' | 'text' => (existsSync(join(folder, `${name}.html`)) ? 'html' : 'text');
const extensionOf = (name: string): string => (kindOf(name) === 'html' ? 'html' : 'txt');

function plan(bytes: Buffer, name: string, options: Options = {}): LetterPlan {
  return planLetter(bytes, kindOf(name), {
    baseUrls: [baseUrl],
    exclude: [],
    trackUnsubscribe: false,
    utm: {},
    pixel: 'bottom',
    ...options,
  });
}

/** Fills the letter with the tracked links `links` and a pixel. Without `links`, the letter keeps its original links and gets no pixel. */
function fill(planned: LetterPlan, links: string[] | undefined): Buffer {
  const column = (name: string): never => expect.unreachable(`no column was asked for, but ${name} is`);
  return fillTemplate(compileTemplate(planned, undefined), { links, pixel: links && pixel, column });
}

/** Returns an address for each tracked link. Links with the same target and label get the same address. */
function addresses({ tracked }: LetterPlan): string[] {
  const distinct = new Map<string, string>();
  return tracked.map(({ target, label }) => {
    const key = JSON.stringify([target, label]);
    const address = distinct.get(key) ?? `${baseUrl}/u/L${distinct.size + 1}`;
    distinct.set(key, address);
    return address;
  });
}

/** Compares the bytes of two letters. Compares them as text first, so that a failure is readable. */
function expectSame(actual: Buffer, expected: Buffer): void {
  const readable = (bytes: Buffer) => bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  expect(readable(actual)).toBe(readable(expected));
  expect(actual.equals(expected)).toBe(true);
}

describe('letters', () => {
  test('are many, each with its expected bytes and its expected links', () => {
    expect(names.length).toBeGreaterThanOrEqual(40);
    const expectedFiles = names.flatMap((name) => [
      `${name}.json`,
      `${name}.${extensionOf(name)}`,
      `${name}.expected.${extensionOf(name)}`,
    ]);
    expect(files.sort()).toEqual(expectedFiles.sort());
  });

  test.each(names)('%s', (name) => {
    const letter = read(`${name}.${extensionOf(name)}`);
    const prepared = read(`${name}.expected.${extensionOf(name)}`);
    const { options, tracked, kept } = JSON.parse(read(`${name}.json`).toString()) as Expected;

    const planned = plan(letter, name, options);
    expect(planned.tracked.map(({ target }) => target)).toEqual(tracked);
    expect(planned.kept.map(({ address, reason }) => [address, reason])).toEqual(kept);
    expectSame(fill(planned, addresses(planned)), prepared);
    expectSame(fill(planned, undefined), letter);

    // Preparing a prepared letter again must not change it, even with other options.
    if (prepared.equals(letter) && !planned.hasTracking) return;
    const again = plan(prepared, name, { ...options, pixel: 'none' });
    // A place for the link for unsubscribing is still to be filled in.
    expect(isPrepared([again])).toBe(!again.hasUnsubscribe);
    expectSame(fill(again, []), prepared);
    if (options?.pixel !== 'none') expectSame(fill(plan(prepared, name, options), []), prepared);
  });
});
