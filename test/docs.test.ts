import { globSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { FAULTS } from './chaos/faults.ts';
import { commandsIn, helpOf } from './support/help.ts';

// Tests the documents: links must lead to an existing place, and lengths and lists must follow the rules in CONTRIBUTING.md.
// test/e2e/readme.test.ts runs the commands in the documents.

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = globSync('{*,docs/*,bench/*,examples/*,test/*/*}.md', { cwd: ROOT });

const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

/** Returns the text without code blocks. */
const prose = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, '');

/** Returns the anchors of a document: explicit anchors, and anchors that GitHub makes from headings. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set(Array.from(text.matchAll(/<a id="([^"]+)">/g), ([, id]) => id as string));
  const counts = new Map<string, number>();
  for (const [, heading] of prose(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = (heading as string)
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-');
    const seen = counts.get(slug) ?? 0;
    counts.set(slug, seen + 1);
    anchors.add(seen === 0 ? slug : `${slug}-${seen}`);
  }
  return anchors;
}

test('every relative link of a document leads to a file, and its anchor to a place in it', async () => {
  expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'CONTRIBUTING.md', join('docs', 'authors.md')]));
  const broken: string[] = [];
  for (const document of DOCUMENTS) {
    for (const [, target] of prose(await read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target as string)) continue;
      const [path, anchor] = (target as string).split('#') as [string, string | undefined];
      const file = path === '' ? document : relative(ROOT, join(ROOT, dirname(document), path));
      const exists = await stat(join(ROOT, file)).catch(() => undefined);
      if (!exists) broken.push(`${document}: ${target}`);
      else if (anchor !== undefined && file.endsWith('.md') && !anchorsOf(await read(file)).has(anchor))
        broken.push(`${document}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

test('the README has at most 200 lines', async () => {
  expect((await read('README.md')).split('\n').length).toBeLessThanOrEqual(200);
});

test('CONTRIBUTING.md lists every npm script', async () => {
  const text = await read('CONTRIBUTING.md');
  for (const name of Object.keys(packageJson.scripts)) {
    const command = { start: 'npm start', test: 'npm test', prepack: 'npm pack' }[name] ?? `npm run ${name}`;
    expect(text).toContain(`\`${command}\``);
  }
});

test('every directory of the repository is in the list of the README', async () => {
  const readme = await read('README.md');
  const directories = globSync('*/', { cwd: ROOT, exclude: ['node_modules', 'dist', 'bin', '.*'] }).filter((name) => !name.startsWith('.'));
  expect(directories.length).toBeGreaterThan(10);
  for (const name of directories) expect(readme).toMatch(new RegExp(`^${name.replace(/\/$/, '')}/ `, 'm'));
});

/** Finds the commands in code blocks and inline code of a document. Returns the words after `clickledger` of each command. */
function callsIn(text: string): string[][] {
  const blocks = Array.from(text.matchAll(/^```(?:sh|text)?\n([\s\S]*?)^```$/gm), ([, block]) => block as string);
  const inline = Array.from(prose(text).matchAll(/`([^`\n]+)`/g), ([, code]) => code as string);
  const lines = [...blocks.flatMap((block) => block.split('\n')), ...inline];
  return lines
    .flatMap((line) => line.replaceAll(/\s#.*$/g, '').split(/&&|;|\|/))
    .map((command) => /(?:^|[\s"`])clickledger ((?:--data \S+ )?[a-z]+\b.*)/.exec(command)?.[1]?.trim().split(/\s+/))
    .filter((words) => words !== undefined);
}

test('every command in a document exists, with its options', async () => {
  const names = commandsIn((await helpOf([])) ?? '');
  expect(names).toEqual(expect.arrayContaining(['prepare', 'campaign', 'audit']));
  const found = (await Promise.all(DOCUMENTS.map(async (document) => callsIn(await read(document)).map((words) => ({ document, words })))))
    .flat()
    .filter(({ words: [name = ''] }) => names.includes(name));
  expect(found.length).toBeGreaterThan(50);
  const wrong: string[] = [];
  for (const {
    document,
    words: [name = '', ...words],
  } of found) {
    const subcommand = words[0] ?? '';
    const hasSubcommands = commandsIn((await helpOf([name])) ?? '').length > 0 && /^[a-z-]+$/.test(subcommand);
    const help = await helpOf(hasSubcommands ? [name, subcommand] : [name]);
    if (help === undefined) wrong.push(`${document}: ${name} ${subcommand}`);
    // The parameters of a report are also written as options, but the help does not list them.
    if (help === undefined || name === 'report') continue;
    for (const word of words) {
      const option = /^--[a-z-]+/.exec(word)?.[0];
      if (option !== undefined && option !== '--help' && !new RegExp(`${option}\\b`).test(help))
        wrong.push(`${document}: ${name} ${option}`);
    }
  }
  expect(wrong).toEqual([]);
}, 180_000);

test('every npm script and fault in a document exists', async () => {
  const wrong: string[] = [];
  for (const document of DOCUMENTS) {
    const text = await read(document);
    for (const [, name] of text.matchAll(/npm run ([a-z:]+)/g))
      if (!((name as string) in packageJson.scripts)) wrong.push(`${document}: ${name}`);
    for (const [, name] of text.matchAll(/test:chaos -- --only ([a-z-]+)/g))
      if (!FAULTS.some((fault) => fault.name === name)) wrong.push(`${document}: ${name}`);
    for (const [, paths] of text.matchAll(/npm test -- ([\w./ -]+)/g))
      for (const path of (paths as string).trim().split(/\s+/))
        if (!(await stat(join(ROOT, path)).catch(() => undefined))) wrong.push(`${document}: ${path}`);
  }
  expect(wrong).toEqual([]);
});
