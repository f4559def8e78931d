import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { ClickledgerError } from '../../core/errors.ts';
import { libraryPath, locate } from '../../stack/debian.ts';

/** Starts Chromium, or returns the reason as a text if it is not available. */
export async function startBrowser(): Promise<Browser | string> {
  try {
    const executablePath = await locate('chromium-headless-shell', (text) => process.stderr.write(`${text}\n`));
    // Chromium cannot use its sandbox as root. No sandbox is needed, because the tests load only their own pages.
    return await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu'],
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', LD_LIBRARY_PATH: libraryPath(executablePath) },
    });
  } catch (error) {
    if (error instanceof ClickledgerError && error.code === 'missing-server') return error.message;
    throw error;
  }
}

/** Checks a page with axe, in both colour schemes. Returns what it finds. Frames are left out: a letter in a frame is what its author wrote. */
export async function findAxeViolations(page: Page): Promise<{ id: string; html: string | undefined; why: string | undefined }[]> {
  const axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  const found = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    // A transition between the schemes would have other colours.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(axe);
    const { violations } = (await page.evaluate(`axe.run({ exclude: [['iframe']] })`)) as {
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    };
    found.push(...violations.map(({ id, nodes }) => ({ id, html: nodes[0]?.html, why: nodes[0]?.failureSummary })));
  }
  return found;
}
