import { existsSync } from 'node:fs';
import { ClickledgerError, messageOf } from '../../core/errors.ts';
import { createLineCounter } from '../letter/line-counter.ts';
import { loadOptional } from './optional-package.ts';
import { protectTags, tagForHtml } from './protected-tags.ts';

// Makes an HTML letter from MJML.

/** At most this many mistakes are in the message. */
const MAX_LISTED = 10;

/**
 * Returns the HTML of an MJML letter. Tags such as `{{name}}` stay as they are. Throws `bad-input` with the lines of all mistakes, for a letter
 * that includes other files, and if the package mjml is not installed. `name` is the name of the file in the messages.
 */
export async function mjmlToHtml(mjml: string, name: string): Promise<string> {
  // The package loads this file when it is imported, and runs the packages that the file names.
  if (existsSync('.mjmlconfig'))
    throw new ClickledgerError(
      'bad-input',
      `the working directory has a file .mjmlconfig, which could run code of whoever wrote it. Run the command in another directory, or compile ${name} yourself.`,
    );
  const { default: convert } = await loadOptional(() => import('mjml'), 'mjml', `${name} is MJML`);
  const include = /<mj-include\b/i.exec(mjml.replace(/<!--[\s\S]*?-->/g, (comment) => comment.replace(/[^\n]/g, ' ')));
  // A letter from somebody else could name any file of this machine, and its content would be sent to everybody.
  if (include)
    throw new ClickledgerError(
      'bad-input',
      `${name}, line ${createLineCounter(mjml)(include.index)}: mj-include is not read. Compile the letter first, e.g. with: npx mjml ${name} -o letter.html`,
    );
  const { text, restore } = protectTags(mjml);
  let result: Awaited<ReturnType<typeof convert>>;
  try {
    result = await convert(text, { validationLevel: 'soft', ignoreIncludes: true });
  } catch (error) {
    throw new ClickledgerError('bad-input', `${name} is not valid MJML: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
  if (result.errors.length > 0) {
    const lines = result.errors.slice(0, MAX_LISTED).map(({ line, tagName, message }) => `line ${line}: ${tagName}: ${restore(message)}`);
    const more = result.errors.length - lines.length;
    throw new ClickledgerError(
      'bad-input',
      [`${name} is not valid MJML.`, ...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n  '),
    );
  }
  return restore(result.html, tagForHtml);
}
