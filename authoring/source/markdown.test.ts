import { parse } from 'parse5';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { scanHtml } from '../letter/html-links.ts';
import { markdownToHtml } from './markdown.ts';
import { loadOptional } from './optional-package.ts';

const convert = (markdown: string): Promise<string> => markdownToHtml(markdown, 'letter.md');
const bodyOf = (html: string): string => /<body>\n([\s\S]*)<\/body>/.exec(html)?.[1] ?? '';
const addressesIn = (html: string): string[] => scanHtml(html).links.map(({ address }) => address);

test('the letter is a whole document without scripts, and it loads nothing', async () => {
  const html = await convert('# News\n\nHello *Ann*.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n');
  expect(html).toMatch(/^<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">/);
  expect(bodyOf(html)).toContain('<h1>News</h1>\n<p>Hello <em>Ann</em>.</p>\n<table>');
  expect(html).not.toMatch(/<script|\blang=|\bsrc=|url\(|@import|https?:/);
  expect(() => parse(html, { onParseError: ({ code }) => expect.fail(code) })).not.toThrow();
});

test('a block of settings at the beginning is left out, and a line is not taken for one', async () => {
  expect(bodyOf(await convert('---\ntitle: "x: y"\ntags:\n  - a\n---\n\nHello'))).toBe('<p>Hello</p>\n');
  expect(bodyOf(await convert('\ufeffHello\n\n---\n\nBye'))).toBe('<p>Hello</p>\n<hr>\n<p>Bye</p>\n');
  expect(bodyOf(await convert('---\n\nHello, Ann\n\n---\n'))).toContain('<p>Hello, Ann</p>');
});

describe('tags stay as they are', () => {
  test('in text, in addresses, in titles and beside other signs of Markdown', async () => {
    const html = await convert(`{{name}} **{{first_name}}**, *|FNAME|* and {{{raw_value}}} {% if x_y %}{{ a_b | default: "you" }}{% endif %}

[a](https://shop.example/{{id}}?u={{ user id }}#{{part}}) [b]({{unsubscribe}} "to {{name}}") ![c]({{image}}) <{{address}}> https://shop.example/?c={{code}}

| {{a|b}} | \`{{code}}\` |
|---|---|
`);
    for (const tag of [
      '{{name}}',
      '<strong>{{first_name}}</strong>',
      '*|FNAME|*',
      '{{{raw_value}}}',
      "{{ a_b | default: 'you' }}",
      '{{a|b}}',
      '{% if x_y %}',
    ])
      expect(html).toContain(tag);
    expect(addressesIn(html)).toEqual([
      'https://shop.example/{{id}}?u={{ user id }}#{{part}}',
      '{{unsubscribe}}',
      'https://shop.example/?c={{code}}',
    ]);
    expect(html).toContain('title="to {{name}}"');
    expect(html).toContain('src="{{image}}"');
    expect(html).toContain('<code>{{code}}</code>');
    expect(html).toContain('&lt;{{address}}&gt;');
  });

  test('whatever is around them', async () => {
    const name = fc
      .string({ unit: fc.constantFrom('a', 'B', '1', '_', '-', ' ', 'é', '*', '|', '.'), minLength: 1, maxLength: 8 })
      .filter((text) => text.trim() !== '');
    const prose = fc.string({ unit: fc.constantFrom('x', ' ', '*', '_', '!', '.', '0cltag', '1e', '~', ':', '/'), maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(prose, name), { minLength: 1, maxLength: 5 }), name, async (pieces, inLink) => {
        const tags = pieces.map(([, column]) => `{{${column}}}`);
        const markdown = `w ${pieces.map(([before], i) => `${before}${tags[i]}`).join('')}\n\n[link](https://shop.example/{{${inLink.replaceAll(' ', '')}x}})`;
        const html = await convert(markdown);
        expect(
          bodyOf(html)
            .match(/\{\{[^}]*\}\}/g)
            ?.slice(0, tags.length),
        ).toEqual(tags);
        expect(addressesIn(html).at(-1)).toBe(`https://shop.example/{{${inLink.replaceAll(' ', '')}x}}`);
      }),
      runs(300),
    );
  });
});

test('a missing package is named, with the command that installs it', async () => {
  const missing = 'no-such-package-for-letters';
  await expect(loadOptional(() => import(missing), missing, 'letter.md is Markdown')).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(/^letter\.md is Markdown, and the package .* `npm install no-such-package-for-letters`/),
  });
});

test('settings at the beginning are left out, and a rule stays', async () => {
  expect(bodyOf(await convert('---\ntitle: x\n\nlist:\n  - a\n---\nhello'))).toBe('<p>hello</p>\n');
  expect(bodyOf(await convert('---\n\nHello: x\n\n---\nworld'))).toContain('Hello: x');
});

test('a reference whose label has a tag is a link', async () => {
  expect(addressesIn(await convert('[a][{{name}}]\n\n[{{name}}]: https://a.example/'))).toEqual(['https://a.example/']);
});
