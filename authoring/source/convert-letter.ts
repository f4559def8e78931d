import { decode, detectEncoding, type Encoding } from '../letter/encoding.ts';
import { assertReadable } from '../letter/recognise-file.ts';
import { markdownToHtml } from './markdown.ts';
import { mjmlToHtml } from './mjml.ts';

/**
 * Returns the HTML of a letter in Markdown or MJML, in UTF-8. Throws `bad-input` if the file is something else, or if the package that converts
 * it is not installed.
 */
export async function convertToHtml(
  bytes: Uint8Array,
  format: 'markdown' | 'mjml',
  name: string,
  charset: Encoding | undefined,
): Promise<Buffer> {
  assertReadable(bytes, name);
  const { encoding } = detectEncoding(bytes, { charset, html: false });
  const { text } = decode(bytes, encoding);
  return Buffer.from(format === 'markdown' ? await markdownToHtml(text, name) : await mjmlToHtml(text, name));
}
