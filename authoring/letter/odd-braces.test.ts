import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { runs } from '../../test/support/runs.ts';
import { oddBraces } from './odd-braces.ts';

describe('odd braces', () => {
  test.each([
    ['Dear {{name},', ['{{name}']],
    ['Dear {name}},', ['{name}}']],
    ['Dear {{ name, hello', ['{{ name']],
    ['Dear {{name', ['{{name']],
    ['Dear {{{name}},', ['{{{name}}']],
    ['Dear {{name}}},', ['{{name}}}']],
    ['Dear { {name}},', ['{ {name}}']],
    ['Dear {{name} },', ['{{name} }']],
    ['Dear name}},', ['name}}']],
    ['{{a} and {{b}} and {c}}', ['{{a}', '{c}}']],
    ['{{name\nHello {{town}}', ['{{name']],
    ['Dear {{first name}', ['{{first name}']],
    ['Dear {{name|there}', ['{{name|there}']],
  ])('%j: %j', (text, odd) => {
    expect(oddBraces(text).map((found) => found.text)).toEqual(odd);
    for (const { from, to, text: spelled } of oddBraces(text)) expect(text.slice(from, to)).toBe(spelled);
  });

  test.each([
    'Dear {{name}}, {{ name }}, {{{name}}}, {{name|there}}, {{ name | default: "there" }}',
    'Dear {name}',
    '{}',
    '{ } }} {{ 5',
    '{"a":{"b":{"c":1}}}',
    '@media print{.a{color:red}.b{color:blue}}',
    'x:{y:{name}}',
    '',
  ])('%j has none', (text) => {
    expect(oddBraces(text)).toEqual([]);
  });
});

test('every change of one brace in a column is found', () => {
  const name = fc.stringMatching(/^[a-z][a-z_]{0,10}$/);
  const spelled = fc.constantFrom('{{?}', '{?}}', '{{{?}}', '{{?}}}', '{ {?}}', '{{?} }', '{{?', '{{ ?', '{{ ? }');
  const prose = fc.constantFrom('Dear ', 'Dear {{title}} ', 'Dear {title} ', '');
  fc.assert(
    fc.property(prose, name, spelled, (before, column, braces) => {
      const tag = braces.replace('?', () => column);
      expect(oddBraces(`${before}${tag}, hello {{town}}`)).toEqual([{ from: before.length, to: before.length + tag.length, text: tag }]);
    }),
    runs(1000),
  );
});

test.each(['{', '}', '{{', '}}', '{{a', '{a}}', '{{a}', '{ {', 'a}}', '{{a}}', '{a'])(
  'four times as many %j take about four times as long',
  (text) => {
    expectLinear(3000, (times) => text.repeat(times), oddBraces);
  },
);
