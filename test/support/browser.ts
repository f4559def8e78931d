import { type Browser, chromium } from 'playwright-core';
import { ClickledgerError } from '../../core/errors.ts';
import { libraryPath, locate } from '../../stack/debian.ts';

/** Chromium of the distribution; a text that says why there is none to be had. */
export async function startBrowser(): Promise<Browser | string> {
  try {
    const executablePath = await locate('chromium-headless-shell', (text) => process.stderr.write(`${text}\n`));
    // Root may not have the sandbox, and the pages are ours.
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
