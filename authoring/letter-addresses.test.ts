import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSlugKeys } from '../core/slug.ts';
import { type AddressPlan, createAddresses, startAddressThread } from './letter-addresses.ts';

const keys = parseSlugKeys(`${'ab'.repeat(32)},${'cd'.repeat(32)}`);
const PLAN: AddressPlan = { baseUrl: 'https://t.shop.example', keys, links: [3, 4], pixel: 5 };

test('the thread makes the same URLs, in the order of the recipients and of the requests', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 1e9 }), { maxLength: 4 }),
      fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
      fc.array(fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 }),
      async (links, pixel, requests) => {
        const plan = { ...PLAN, links, pixel };
        const thread = startAddressThread(plan);
        const results = await Promise.all(requests.map((recipients) => thread.addressesOf(recipients)));
        await thread.end();
        const addressesOf = createAddresses(plan);
        expect(results.map((all) => all())).toEqual(requests.map((recipients) => recipients.map((id) => addressesOf(id))));
      },
    ),
    { numRuns: 20 },
  );
});

test('an error of the thread rejects all requests, also later ones', async () => {
  const thread = startAddressThread(PLAN);
  // An answer that is still on its way when the thread fails may be lost, so this one is awaited first.
  expect((await thread.addressesOf([1]))()).toHaveLength(1);
  const results = await Promise.allSettled([thread.addressesOf([-1]), thread.addressesOf([2])]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(thread.addressesOf([3])).rejects.toThrow('a recipient id a whole number');
  await thread.end();
});
