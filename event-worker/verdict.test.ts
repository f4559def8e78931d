import { describe, expect, test } from 'vitest';
import { SIGNALS, signalsOf, verdictOf } from './verdict.ts';

describe('person or machine', () => {
  test.each([
    [{ head: false, purpose: '' }, false, [], 'human'],
    [{ head: true, purpose: '' }, false, ['head'], 'head'],
    [{ head: false, purpose: 'prefetch;prerender' }, false, ['prefetch'], 'prefetch'],
    [{ head: false, purpose: 'preview' }, false, ['prefetch'], 'prefetch'],
    [{ head: false, purpose: 'Prefetch' }, false, ['prefetch'], 'prefetch'],
    [{ head: false, purpose: 'something else' }, false, [], 'human'],
    [{ head: false, purpose: '' }, true, ['bot-ua'], 'bot-ua'],
    [{ head: true, purpose: 'prefetch' }, true, ['head', 'prefetch', 'bot-ua'], 'head'],
  ] as const)('%j with bot=%s is %j, so %s', (event, bot, signals, verdict) => {
    expect(signalsOf(event, bot)).toEqual(signals);
    expect(verdictOf(signals)).toBe(verdict);
  });

  test('every signal can be a verdict', () => {
    for (const signal of SIGNALS) expect(verdictOf([signal])).toBe(signal);
  });
});
