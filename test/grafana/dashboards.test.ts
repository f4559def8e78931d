import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { BOARDS, GRAFANA, isPrometheus, panelsOf, readBoard } from '../support/grafana.ts';
import { temporaryDirectory } from '../support/servers.ts';

// Tests the files of the dashboards and of the provisioning without a server. operators.test.ts and analysts.test.ts run the queries.

const ROOT = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

/** Ids of units that Grafana knows. It shows the number and the id if it does not know the id. */
const UNITS = ['none', 'short', 'percent', 'percentunit', 'bytes', 's', 'cps', 'reqps', 'dateTimeAsLocal', 'dateTimeFromNow'];

/** Checks JSON texts of dashboards against the type Board. Returns the errors of the TypeScript compiler for each text. */
async function compile(texts: readonly string[]): Promise<string[]> {
  const directory = await temporaryDirectory();
  const schema = join(ROOT, 'test', 'support', 'grafana-schema.ts');
  for (const [i, text] of texts.entries()) {
    const source = `import type { Board } from ${JSON.stringify(schema)};\nexport const board: Board = ${text};\n`;
    await writeFile(join(directory, `board-${i}.mts`), source);
  }
  const settings = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { types: [] }, include: ['*.mts'], exclude: [] };
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(settings));
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const { stdout } = await run(tsc, ['--pretty', 'false', '-p', directory]).catch((error: unknown) => error as { stdout: string });
  const errors = stdout.split(/\n(?=\S)/);
  expect(
    errors
      .filter((error) => !error.includes('/board-'))
      .join('')
      .trim(),
  ).toBe('');
  return texts.map((_, i) => errors.filter((error) => error.includes(`/board-${i}.mts(`)).join('\n'));
}

describe('each dashboard', () => {
  test('follows the schema of Grafana', { timeout: 120_000 }, async () => {
    const texts = await Promise.all(BOARDS.map((name) => readFile(join(GRAFANA, `${name}.json`), 'utf8')));
    const operators = texts[0] as string;
    // Each of these mistakes must be noticed: a wrong value, a wrong type, a field that does not exist, and a field that is missing.
    const mistakes = [
      ['"graphMode": "area"', '"graphMode": "arena"'],
      ['"showLegend": true', '"showLegend": "true"'],
      ['"drawStyle": "line"', '"drawStile": "line"'],
      ['"type": "stat"', '"type": "stat", "colour": "red"'],
      ['"schemaVersion": 41,', ''],
    ] as const;
    const wrong = mistakes.map(([right, mistake]) => operators.replace(right, mistake));
    for (const text of wrong) expect(text).not.toBe(operators);
    const errors = await compile([...texts, ...wrong]);
    expect(errors.slice(0, texts.length)).toEqual(['', '']);
    for (const [i, error] of errors.slice(texts.length).entries()) expect(error, mistakes[i]?.[1]).toContain('error TS');
  });

  test.each(BOARDS)('%s: each panel has a title, a unit, and says what to do; nothing overlaps', async (name) => {
    const board = await readBoard(name);
    expect(board.uid).toBe(`clickledger-${name}`);
    expect(board.timezone).toBe('browser');
    const panels = panelsOf(board);
    expect(panels.length).toBeGreaterThan(15);
    const titles = panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
    for (const { title, description = '', fieldConfig } of panels) {
      expect(title?.length ?? 0).toBeGreaterThan(4);
      // The description says what is shown, and then what to do.
      expect(description.split(/[.:] /).length, title).toBeGreaterThanOrEqual(2);
      expect(description, title).toMatch(/\b(?:if|otherwise|see|run|start|give|free|ask|do) /i);
      expect(UNITS, title).toContain(fieldConfig.defaults.unit);
      for (const { properties } of fieldConfig.overrides)
        for (const { id, value } of properties) if (id === 'unit') expect(UNITS, title).toContain(value);
    }
    const ids = board.panels.flatMap((panel) => [panel.id, ...(panel.type === 'row' ? panel.panels.map(({ id }) => id) : [])]);
    expect(new Set(ids).size).toBe(ids.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of board.panels) {
      const { x, y, w, h } = gridPos ?? { x: -1, y: -1, w: 0, h: 0 };
      expect(x >= 0 && x + w <= 24 && h > 0, title).toBe(true);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column},${line}`), title).toBe(false);
          taken.add(`${column},${line}`);
        }
      }
    }
  });

  test.each(BOARDS)('%s: its queries use only variables that it has or that Grafana has', async (name) => {
    const board = await readBoard(name);
    const known = new Set([...board.templating.list.map((variable) => variable.name), '__rate_interval', '__timezone', '__timeFilter']);
    for (const { title, targets } of panelsOf(board)) {
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
      for (const target of targets) {
        for (const [, variable] of (isPrometheus(target) ? target.expr : target.rawSql).matchAll(/\$\{?(\w+)/g))
          expect([...known], title).toContain(variable);
      }
    }
  });
});

interface Provisioned {
  datasources: {
    name: string;
    uid: string;
    type: string;
    url: string;
    user?: string;
    jsonData: Record<string, unknown>;
    secureJsonData?: Record<string, string>;
  }[];
  providers: { name: string; options: { path: string } }[];
}
interface Service {
  image: string;
  profiles?: string[];
  volumes: string[];
  networks: string[] | Record<string, unknown>;
  environment?: Record<string, string>;
  command?: string[];
}

const yamlOf = async (...path: string[]): Promise<unknown> => parse(await readFile(join(ROOT, ...path), 'utf8'), { merge: true });

describe('the provisioning', () => {
  test('has both data sources, of the types that the dashboards ask for', async () => {
    const { datasources } = (await yamlOf('examples', 'grafana', 'provisioning', 'datasources', 'clickledger.yml')) as Provisioned;
    const wanted = await Promise.all(
      BOARDS.map(async (name) => (await readBoard(name)).templating.list.find(({ type }) => type === 'datasource')),
    );
    expect(datasources.map(({ type }) => type)).toEqual(wanted.map((variable) => variable?.query));
    for (const [i, { name }] of datasources.entries()) {
      const regex = /^\/(.*)\/$/.exec(wanted[i]?.regex ?? '/./')?.[1] ?? '';
      expect(name).toMatch(new RegExp(regex));
    }
  });

  test('start.sh sets every variable that the provisioning uses', async () => {
    const text = await readFile(join(GRAFANA, 'provisioning', 'datasources', 'clickledger.yml'), 'utf8');
    const dashboards = await readFile(join(GRAFANA, 'provisioning', 'dashboards', 'clickledger.yml'), 'utf8');
    const start = await readFile(join(GRAFANA, 'start.sh'), 'utf8');
    const used = new Set(Array.from(`${text}${dashboards}`.matchAll(/\$\{?([A-Z_]+)/g), ([, variable]) => variable as string));
    expect(used.size).toBeGreaterThan(4);
    for (const variable of used) expect(start).toMatch(new RegExp(`\\b${variable}\\b`));
  });

  test('the Compose file mounts it, and gives Grafana only the secrets of the analyst', async () => {
    const { services } = (await yamlOf('docker-compose.yml')) as { services: Record<string, Service> };
    const { grafana, prometheus } = services as { grafana: Service; prometheus: Service };
    expect([grafana.profiles, prometheus.profiles]).toEqual([['grafana'], ['grafana']]);
    expect(grafana.volumes).toEqual(expect.arrayContaining(['./examples/grafana:/etc/clickledger:ro', 'settings-analyst:/settings:ro']));
    expect(grafana.volumes.filter((volume) => volume.startsWith('settings-'))).toEqual(['settings-analyst:/settings:ro']);
    expect(prometheus.volumes.filter((volume) => volume.startsWith('settings-'))).toEqual([]);
    expect(prometheus.command).toContain('--config.file=/etc/clickledger/examples/grafana/prometheus-docker.yml');
  });
});

/** Runs start.sh with a program that prints its environment in place of Grafana. */
async function startWith(env: Record<string, string>): Promise<Record<string, string>> {
  const { stdout } = await run('sh', [join(GRAFANA, 'start.sh'), 'env'], { env: { PATH: process.env['PATH'] ?? '', ...env } });
  return Object.fromEntries(stdout.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

describe('start.sh', () => {
  const password = { GRAFANA_PASSWORD: 'of the admin' };

  test('reads the parts of ANALYST_URL', async () => {
    const url = 'postgres://clickledger_analyst:p%40ss%2Fw%3ard@db1:6432/letters?sslmode=verify-full';
    expect(await startWith({ ...password, ANALYST_URL: url })).toMatchObject({
      ANALYST_USER: 'clickledger_analyst',
      ANALYST_PASSWORD: 'p@ss/w:rd',
      ANALYST_ADDRESS: 'db1:6432',
      ANALYST_DATABASE: 'letters',
      ANALYST_SSLMODE: 'verify-full',
      GF_SECURITY_ADMIN_PASSWORD: 'of the admin',
      GRAFANA_DASHBOARDS: GRAFANA,
      PROMETHEUS_URL: 'http://127.0.0.1:9090',
    });
    expect(await startWith({ ...password, ANALYST_URL: 'postgresql://a:b@[::1]/c' })).toMatchObject({
      ANALYST_ADDRESS: '[::1]:5432',
      ANALYST_SSLMODE: 'disable',
    });
  });

  test('reads ANALYST_URL from a file of settings, quoted or not', async () => {
    const directory = await temporaryDirectory();
    const file = join(directory, 'env');
    for (const line of ['ANALYST_URL=postgres://u:p@h/d', 'ANALYST_URL="postgres://u:p@h/d"']) {
      await writeFile(file, `SLUG_KEYS=x\n${line}\nBASE_URL=http://127.0.0.1\n`);
      expect(await startWith({ ...password, SETTINGS: file })).toMatchObject({
        ANALYST_USER: 'u',
        ANALYST_PASSWORD: 'p',
        ANALYST_ADDRESS: 'h:5432',
      });
    }
  });

  test('says what is missing', async () => {
    await expect(startWith({ ANALYST_URL: 'postgres://u:p@h/d' })).rejects.toThrow('GRAFANA_PASSWORD');
    await expect(startWith({ ...password, SETTINGS: '/nowhere/env' })).rejects.toThrow('ANALYST_URL');
    await expect(startWith({ ...password, ANALYST_URL: 'mysql://x' })).rejects.toThrow('not a URL');
  });
});
