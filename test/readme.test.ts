import { access, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { SETTINGS } from '../core/config.ts';
import { FAULTS } from './chaos/faults.ts';

const proofPage = await readFile(new URL('../docs/proof.md', import.meta.url), 'utf8');
const settingsPage = await readFile(new URL('../docs/settings.md', import.meta.url), 'utf8');

test('the README lists every setting with its default and meaning, and no other', () => {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const { default: standard } = setting as { default?: string };
    return `| \`${name}\` | ${standard ? `\`${standard}\`` : standard === '' ? '' : 'required'} | ${setting.help} |`;
  });
  const [, tables = ''] = settingsPage.split(/<!-- (?:settings|end of settings)\b.*-->/);
  expect(tables.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows);
});

test('the README says of how many kinds the faults are', () => {
  expect(proofPage).toContain(`faults of ${FAULTS.length} kinds`);
});

test('every test that SECURITY.md names is there', async () => {
  const text = await readFile(new URL('../SECURITY.md', import.meta.url), 'utf8');
  const named = Array.from(text.matchAll(/[\w/-]+\.test\.ts/g), ([path]) => path);
  expect(named.length).toBeGreaterThan(20);
  for (const path of new Set(named)) await expect(access(new URL(`../${path}`, import.meta.url)), path).resolves.toBeUndefined();
});
