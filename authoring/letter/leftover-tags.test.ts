import { expect, test } from 'vitest';
import { leftoverTags } from './leftover-tags.ts';
import { planLetter } from './plan.ts';

const find = (content: string, kind: 'html' | 'text' = 'html') =>
  leftoverTags(
    planLetter(Buffer.from(content), kind, {
      baseUrls: ['https://t.example.org'],
      exclude: [],
      trackUnsubscribe: false,
      utm: {},
      pixel: 'none',
    }),
  ).map(({ line, text, sender }) => [line, text, sender === undefined ? 'misspelled' : 'foreign']);

test('tags of other senders and misspelled columns are found with their line, in text and attributes', () => {
  expect(
    find('<p>Dear {{name}},\n*|FNAME|* <img alt="{{name}" src="https://e.org/%%email%%.png">\n<a href="https://e.org/?e=[EMAIL]">x</a>'),
  ).toEqual([
    [2, '*|FNAME|*', 'foreign'],
    [2, '{{name}', 'misspelled'],
    [2, '%%email%%', 'foreign'],
    [3, '[EMAIL]', 'foreign'],
  ]);
  expect(find('Dear {{name}},\n\nbye *|FNAME|* {name}}', 'text')).toEqual([
    [3, '*|FNAME|*', 'foreign'],
    [3, '{name}}', 'misspelled'],
  ]);
});

test('well-spelled columns, styles and ordinary text are not', () => {
  expect(find('<style>a{color:red}</style><p>{{name}} {{name|there}} {{{name}}} 50 % {1} [1] a*b|c</p><!-- *|FNAME|* -->')).toEqual([]);
});
