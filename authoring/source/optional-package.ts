import { ClickledgerError, codeOf } from '../../core/errors.ts';

/**
 * Loads a package that only some letters need. It is no dependency of clickledger, so it may be missing. Throws `bad-input`, which says how to
 * install it.
 */
export async function loadOptional<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (codeOf(error) !== 'ERR_MODULE_NOT_FOUND' && codeOf(error) !== 'MODULE_NOT_FOUND') throw error;
    throw new ClickledgerError(
      'bad-input',
      `${what}, and the package ${name} is not installed. Install it beside clickledger with \`npm install ${name}\`, or convert the letter to HTML first.`,
      { cause: error },
    );
  }
}
