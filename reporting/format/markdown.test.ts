import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HOSTILE } from '../../test/support/campaigns.ts';
import { asStream, createResult, textOf } from '../../test/support/results.ts';
import { escapeMarkdown, toMarkdown } from './markdown.ts';

const REACH = { lastAt: new Date('2030-05-01T12:00:00Z'), holes: 0, missingBytes: 0 };

test('title, question, parameters, what was asked, a table with numbers to the right, and how far the data reach', async () => {
  const result = {
    ...createResult(
      ['campaign', 'human_hits'],
      [
        ['one', 3],
        ['two', null],
      ],
    ),
    values: { campaign: '1', timezone: 'Europe/Berlin' },
    asked: 'By the clock of Europe/Berlin: from the first hit to the last hit.',
  };
  expect(await textOf(toMarkdown(asStream(result), REACH))).toBe(`# Mine

What is it?

campaign: 1, timezone: Europe/Berlin

By the clock of Europe/Berlin: from the first hit to the last hit.

| campaign | human hits |
| --- | --: |
| one | 3 |
| two |  |

Counted until 2030-05-01 12:00 UTC; no holes.
`);
});

test('nothing in a text is markup', () => {
  expect(escapeMarkdown(HOSTILE)).toBe(`\\<img src=x onerror=alert(1)\\> \\| "Sale" & 'more' ,;\\\\ \\</script\\>`);
  expect(escapeMarkdown('a_b*c*[d](e)`f`~~g~~ &amp; $x$\r\n\nh')).toBe('a\\_b\\*c\\*\\[d\\](e)\\`f\\`\\~\\~g\\~\\~ \\&amp; \\$x\\$ h');
});

test('whatever the texts are, a row has as many cells as there are columns', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: fc.constantFrom('|', '\\', '\n', '\r', 'a', '`', ' ') }), async (text) => {
      const rows = (await textOf(toMarkdown(asStream(createResult(['a', 'b'], [[text, text]])), undefined))).trimEnd().split('\n').slice(6);
      expect(rows).toHaveLength(1);
      // A pipe ends a cell if an even number of backslashes precedes it.
      expect(Array.from((rows[0] as string).matchAll(/(?<!\\)(?:\\\\)*\|/g))).toHaveLength(3);
    }),
  );
});
