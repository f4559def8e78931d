import { type Browser, chromium } from 'playwright-core';
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
