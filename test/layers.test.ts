import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

// Tests that a folder imports only from lower layers, and that imports have no cycles. Type imports count as well.

const ROOT = join(import.meta.dirname, '..');

/** For each folder, the other folders from which it may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  sql: ['core'],
  backend: ['core'],
  'log-agent': ['core'],
  'event-worker': ['core'],
  authoring: ['core', 'sql'],
  relay: ['core', 'authoring'],
  reporting: ['core', 'sql'],
  feed: ['core'],
  forwarder: ['core', 'feed'],
  export: ['core', 'feed'],
  operating: ['core', 'sql', 'log-agent', 'event-worker', 'feed'],
  stack: ['core', 'sql', 'operating'],
  desk: ['core', 'authoring', 'reporting', 'feed'],
  cli: ['core', 'sql', 'authoring', 'reporting', 'operating', 'feed', 'forwarder', 'export', 'stack', 'desk'],
};
/** `clickledger run` starts a part in its own process, so this file may import the parts. */
const MAY_START_PARTS = 'cli/commands/run.ts';
const PARTS = ['backend', 'log-agent', 'event-worker', 'relay', 'forwarder'];

/** Returns the imports of every file of the product: static, dynamic and type imports. */
async function readImports(): Promise<Map<string, string[]>> {
  const files = globSync(`{${Object.keys(MAY_IMPORT).join(',')}}/**/*.ts`, { cwd: ROOT }).filter((file) => !file.endsWith('.test.ts'));
  const imports = new Map<string, string[]>();
  for (const file of files) {
    const text = await readFile(join(ROOT, file), 'utf8');
    const found = Array.from(text.matchAll(/(?:\bfrom|\bimport\()\s*'(\.{1,2}\/[^']+)'/g), ([, path]) =>
      normalize(join(dirname(file), path as string)),
    );
    imports.set(file, found);
  }
  return imports;
}

const folderOf = (file: string): string => file.split('/')[0] as string;

const imports = await readImports();

test('an import goes down the layers', () => {
  const allowed = (file: string, imported: string): boolean =>
    folderOf(imported) === folderOf(file) ||
    MAY_IMPORT[folderOf(file)]?.includes(folderOf(imported)) === true ||
    (file === MAY_START_PARTS && PARTS.some((part) => imported === `${part}/main.ts`));
  const wrong = [...imports].flatMap(([file, found]) =>
    found.filter((imported) => !allowed(file, imported)).map((imported) => `${file} imports ${imported}`),
  );
  expect(wrong).toEqual([]);
});

test('no file imports itself by way of others', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

test('core holds nothing that one part alone uses', () => {
  const usedBy = new Map<string, Set<string>>();
  for (const [file, found] of imports) {
    for (const imported of found) {
      if (folderOf(imported) === 'core') usedBy.set(imported, (usedBy.get(imported) ?? new Set()).add(folderOf(file)));
    }
  }
  const usedByOnePart = [...usedBy]
    .filter(([, folders]) => folders.size === 1 && PARTS.includes([...folders][0] as string))
    .map(([file]) => file);
  expect(usedByOnePart).toEqual([]);
});

test('the reader of imports finds all forms of them', () => {
  expect(imports.get('cli/commands/run.ts')?.length ?? 0, 'dynamic imports').toBeGreaterThan(0);
  expect(imports.get('log-agent/health.ts'), 'imports of types').toContain('log-agent/disk.ts');
  expect(imports.size).toBeGreaterThan(100);
});
