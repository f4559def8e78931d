import { loadOptional } from './optional-package.ts';
import { protectTags, tagForHtml } from './protected-tags.ts';

// Makes an HTML letter from Markdown.

/**
 * Removes a block of settings at the beginning of a file, as static site generators have it: `key: value` directly after a line `---`, up to the
 * next such line. Otherwise `---` is a rule of the letter.
 */
function withoutFrontMatter(markdown: string): string {
  const lines = markdown.split('\n');
  const isRule = (line: string | undefined): boolean => line?.trimEnd() === '---';
  if (!isRule(lines[0]) || !/^[\w-]+:/.test(lines[1] ?? '')) return markdown;
  const end = lines.findIndex((line, i) => i > 0 && !/^(?:[\w-]+:|[ \t]|\s*$)/.test(line));
  return end > 0 && isRule(lines[end]) ? lines.slice(end + 1).join('\n') : markdown;
}

/** The letter has no language, because nobody knows it. Mail programs show it in the colours and the font size of the reader. */
const BEFORE = `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { max-width: 38em; margin: 0 auto; padding: 1em; font-family: sans-serif; line-height: 1.5; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25em 0.5em; border: 1px solid; }
</style>
</head>
<body>
`;
const AFTER = `</body>
</html>
`;

/**
 * Returns an HTML document. It has no scripts, and it loads nothing but the images of the letter. Tags such as `{{name}}` stay as they are, also
 * in addresses. Throws `bad-input` if the package marked is not installed. `name` is the name of the file in this message.
 */
export async function markdownToHtml(markdown: string, name: string): Promise<string> {
  const { Marked } = await loadOptional(() => import('marked'), 'marked', `${name} is Markdown`);
  const { text, restore } = protectTags(withoutFrontMatter(markdown.replace(/^\ufeff/, '')));
  const body = await new Marked({ gfm: true }).parse(text);
  return BEFORE + restore(body, tagForHtml) + AFTER;
}
