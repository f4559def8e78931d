import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { createUrls } from '../authoring/urls.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { SLUG_KEYS } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { withBenchSystem } from './system.ts';

// Runs `clickledger prepare` for one million people and ten links. In the first run the people are not in the catalog yet. The second run
// has the same people. The baseline encodes the same number of slugs in a loop and does nothing else.

const PEOPLE = 1_000_000;
const LINKS = 10;
/** The number of columns in the list: one for each link, and one for the pixel, which is the last column. */
const COLUMNS = LINKS + 1;

export const prepareBench: Bench = async ({ directory, progress }) =>
  withBenchSystem({ directory: join(directory, 'stand'), members: ['postgres'] }, async (benchSystem): Promise<Figure[]> => {
    const dataDir = join(directory, 'stand');
    const letter = join(directory, 'letter.html');
    const people = join(directory, 'people.csv');
    const links = Array.from({ length: LINKS }, (_, i) => `<p><a href="https://shop.example/may/${i}?a=1&amp;b=2">Number ${i}</a></p>`);
    await writeFile(letter, `<!DOCTYPE html>\n<html><body>\n<p>Dear {{name}},</p>\n${links.join('\n')}\n</body></html>\n`);
    await writePeople(people);
    await runCommand(dataDir, ['campaign', 'create', 'May']);
    const rates: Record<string, number> = {};
    for (const round of ['new', 'known']) {
      const outDir = join(directory, round);
      const startedMs = performance.now();
      await runCommand(dataDir, ['prepare', letter, '--campaign', 'May', '--to', people, '--merge', 'generic', '--out', outDir]);
      rates[round] = PEOPLE / ((performance.now() - startedMs) / 1000);
      progress(`   ${round} people: ${Math.round(rates[round])} people/s`);
      await expectCompleteList(join(outDir, 'people.csv'));
      await rm(outDir, { recursive: true });
    }
    const [recorded] = await benchSystem.query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.mailing');
    expectEqual('people for whom mail was prepared', recorded?.n ?? 0, PEOPLE);
    const bare = { what: 'encoding the slugs alone', value: PEOPLE / timeEncoding() };
    const target = { ratio: 0.5 };
    return [
      { what: `prepare: ${LINKS} links and a pixel for new people`, unit: 'people/s', ours: rates['new'] as number, bare, target },
      { what: `prepare: ${LINKS} links and a pixel for known people`, unit: 'people/s', ours: rates['known'] as number, bare, target },
    ];
  });

async function writePeople(path: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const file = createWriteStream(path);
  file.write('email,name,city\r\n');
  for (let i = 0; i < PEOPLE; i += 1000) {
    const rows = Array.from(
      { length: 1000 },
      (_, j) => `reader.${((i + j) * 7919) % PEOPLE}@mail${(i + j) % 97}.example,"Reader, ${i + j}",Town\r\n`,
    );
    if (!file.write(rows.join(''))) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}

/** Runs the command in a separate process, as users do. */
async function runCommand(dataDir: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [new URL('../bin/clickledger.js', import.meta.url).pathname, '--data', dataDir, ...args], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const peakTimer = setInterval(() => void recordPeakOfChild(child.pid as number).catch(() => {}), 200);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearInterval(peakTimer);
  expectEqual(`exit code of ${args[0]}`, code ?? -1, 0);
}

/** bin/clickledger.js runs the command in a child process. */
async function recordPeakOfChild(pid: number): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  for (const child of children.trim().split(' ').filter(Boolean)) await recordPeak('prepare', Number(child));
}

/** Throws unless every person is in the list, with a URL in each column. */
async function expectCompleteList(path: string): Promise<void> {
  let lines = 0;
  let urls = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes = chunk as Buffer;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
    for (let at = bytes.indexOf('//'); at >= 0; at = bytes.indexOf('//', at + 1)) urls++;
  }
  expectEqual('lines of the list', lines, PEOPLE + 1);
  // The count may miss a URL whose slashes are split across two chunks.
  if (urls < PEOPLE * COLUMNS * 0.999) throw new Error(`URLs in the list: ${urls} instead of ${PEOPLE * COLUMNS}`);
}

/** Encodes the same URLs without storing them. Returns the time in seconds. */
function timeEncoding(): number {
  const urls = createUrls('http://127.0.0.1:8080', createSlugCodec(parseSlugKeys(SLUG_KEYS)));
  let length = 0;
  const startedMs = performance.now();
  for (let recipient = 1; recipient <= PEOPLE; recipient++)
    for (let link = 1; link <= COLUMNS; link++) length += urls.click(link, recipient).length;
  if (length === 0) throw new Error('no slug was encoded');
  return (performance.now() - startedMs) / 1000;
}
