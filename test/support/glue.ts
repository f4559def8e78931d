// Characters after an address that mail clients, and programs that turn plain text into links, may treat as a part of the address.

const MARKS = [
  ...'.,;:!*|)>]}"\'&=+~@$^`\\/'.split(''),
  ...'（）。，、；：！？」』】》”’“»…–—'.split(''),
  '\u00a0',
  '\u200b',
  '\u3000',
  '\ufeff',
  ' ',
  '\t',
  '\r\n',
  '&gt;',
  '&quot;',
  '&nbsp;',
  '</a>',
  '"/>',
  '\\n',
  '=',
  '=0D=0A',
  '=\r\n',
  '\\u003e',
  ');',
  '**',
  '])',
  '...',
  '/',
  '/.',
  ".'",
  '?',
];
/** The name of an alias may contain these characters, so they do not end the name. */
const MARKS_OF_NAMES = ['_', '-', '__', '_)', '--', '-.', '_,'];
const isAllowedInARequest = (text: string): boolean => /^[^\s\0-\x20\x7f\ufeff]*$/u.test(text);

const percentEncoded = (text: string): string => Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/**
 * Returns all forms in which these characters may follow an address in a request: without encoding, percent-encoded in upper and lower
 * case, encoded twice, several in a row, and with a query. Every text contains the bytes of a request line in UTF-8, decoded as Latin-1.
 */
export function gluedForms(): string[] {
  const single = [...MARKS, ...MARKS_OF_NAMES];
  const pairs = single.flatMap((mark, i) => [mark + (single[(i * 7 + 3) % single.length] as string), `${mark}>`, `.${mark}`]);
  const forms = new Set<string>([
    '?',
    '?.',
    '?)',
    '.?utm_source=x',
    ')?a=b)',
    '%20?a=b',
    '%A0',
    '%E9',
    '%ff',
    '%c3',
    '%253E',
    '%26gt%3B',
    '%2F',
    '%3F',
  ]);
  for (const text of [...single, ...pairs]) {
    if (isAllowedInARequest(text)) forms.add(Buffer.from(text).toString('latin1'));
    forms.add(percentEncoded(text));
    forms.add(percentEncoded(text).toUpperCase());
    forms.add(encodeURIComponent(encodeURIComponent(text)));
  }
  // Clients never send the fragment of a URL, so forms with an unencoded # are left out.
  return [...forms].filter((form) => form !== '' && !form.includes('#'));
}
