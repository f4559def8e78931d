import { describe, expect, test } from 'vitest';
import { parseLedgerReply, parseLedgerRequest } from './event.ts';

describe('questions to the ledger', () => {
  test('question and answer round trip', () => {
    const gens = ['a'.repeat(32), 'b'.repeat(32)];
    expect(parseLedgerRequest(JSON.stringify({ gens }))).toEqual({ gens });
    const reply = { shards: 'f', gens: { [gens[0] as string]: { committed: [[0, 5] as [number, number]], size: null } } };
    expect(parseLedgerReply(JSON.stringify(reply))).toEqual(reply);
  });

  test.each(['', '{}', '{"gens":["x"]}', '{"gens":"a"}', `{"gens":[${'"a",'.repeat(2)}"b"]}`])('%s is no question', (text) => {
    expect(() => parseLedgerRequest(text)).toThrow();
  });
});
