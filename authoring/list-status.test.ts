import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { openPeople, type PeopleColumns } from './list-file.ts';
import { createStatusCheck, STATUS_COLUMNS } from './list-status.ts';

const isExcluded = (column: string, value: string): boolean =>
  createStatusCheck(['email', column]).check(['a@example.com', value]) !== undefined;

/**
 * Exports of services. Each entry has a column, values for people who must not be written to, and values for people who may be written to.
 */
const EXPORTS: readonly [service: string, column: string, excluded: string[], kept: string[]][] = [
  ['listmonk', 'status', ['blocklisted', 'disabled'], ['enabled']],
  ['listmonk', 'subscription_status', ['unsubscribed', 'unconfirmed'], ['confirmed']],
  ['Mailchimp', 'UNSUB_TIME', ['2024-01-31 10:00:00', '1/31/24 10:00'], ['']],
  ['Mailchimp', 'CLEAN_TIME', ['2019-12-01 00:00:01'], ['', '0000-00-00 00:00:00']],
  ['Mailchimp', 'status', ['unsubscribed', 'cleaned', 'Non-subscribed'], ['subscribed']],
  ['phpList', 'blacklisted', ['1', 'yes'], ['0', '', 'no']],
  ['phpList', 'confirmed', ['0', 'no'], ['1', 'yes', '']],
  ['MailerLite', 'Status', ['Unsubscribed', 'unconfirmed', 'bounced', 'junk'], ['Active', 'active']],
  ['Brevo', 'BLACKLIST', ['1', 'true'], ['0', 'false', '']],
  ['Brevo', 'EMAIL_BLACKLIST', ['Y', 'TRUE'], ['N', 'FALSE']],
  ['Mautic', 'dnc', ['1', 'unsubscribed', 'bounced', 'manual'], ['0', '']],
  ['HubSpot', 'Unsubscribed from all email', ['true', 'TRUE', 'Yes'], ['false', '', 'No']],
  ['Campaign Monitor', 'State', ['Unsubscribed', 'Bounced', 'Deleted', 'Unconfirmed'], ['Active']],
  ['Ghost', 'subscribed_to_emails', ['false', 'FALSE', '0'], ['true', '']],
  ['Buttondown', 'type', ['unsubscribed', 'unactivated', 'removed', 'spammy'], ['regular', 'premium', 'gifted', 'churning', 'past_due']],
  ['Klaviyo', 'Email Marketing Consent', ['UNSUBSCRIBED', 'NEVER_SUBSCRIBED', 'FALSE'], ['SUBSCRIBED', 'TRUE', '']],
  ['Postmark', 'SuppressionReason', ['HardBounce', 'SpamComplaint', 'ManualSuppression'], ['']],
  ['Shopify', 'Accepts Email Marketing', ['no', 'No'], ['yes', '']],
  ['Wix', 'Email subscriber status', ['Unsubscribed', 'Never subscribed', 'Pending'], ['Subscribed']],
  ['Constant Contact', 'Email permission status', ['No permission set', 'Unsubscribed'], ['Explicit', 'Implied']],
  ['Salesforce', 'HasOptedOutOfEmail', ['TRUE', '1'], ['FALSE', '0']],
  ['Zoho', 'Email Opt Out', ['true'], ['false']],
  ['Mailjet', 'IsExcludedFromCampaigns', ['true'], ['false']],
  ['Pipedrive', 'Marketing status', ['Unsubscribed', 'Archived', 'No consent'], ['Subscribed']],
  ['Substack', 'email_disabled', ['true'], ['false']],
  ['MailPoet', 'List status', ['Unsubscribed', 'Inactive'], ['Subscribed']],
  ['CleverReach', 'Abmeldedatum', ['31.01.2024'], ['', '-']],
  ['Magento', 'newsletter', ['0', 'no', 'nein'], ['1', 'yes', 'weekly', '']],
  ['German', 'Status', ['abgemeldet', 'Gesperrt'], ['aktiv', 'angemeldet']],
  ['French', 'Statut', ['Désabonné', 'désinscrite'], ['Abonné']],
  ['Russian', 'Статус', ['Отписан'], ['Подписан']],
];

describe('people who must not be written to', () => {
  test.each(EXPORTS)('%s, column %s', (_, column, excluded, kept) => {
    for (const name of [column, column.toUpperCase(), ` ${column} `, column.replaceAll(' ', '_'), `\u200b${column}`]) {
      expect([name, ...excluded.filter((value) => !isExcluded(name, value))]).toEqual([name]);
      expect([name, ...excluded.filter((value) => !isExcluded(name, ` ${value.toUpperCase()} `))]).toEqual([name]);
      expect([name, ...kept.filter((value) => isExcluded(name, value))]).toEqual([name]);
    }
  });

  test('every column has a source', () => {
    for (const { source, names } of STATUS_COLUMNS) expect([names.length > 0, source]).toEqual([true, expect.stringMatching(/./)]);
  });

  // Words with other meanings. In a column that is about the subscription, some words of the second line would exclude people.
  const harmless = [
    'active,Active,vip,VIP,married,single,gold,customer,lead,New,open,won,lost,CA,NO,Texas,Bayern,B2B,shipped,paid,enabled,subscribed',
    'pending,cancelled,inactive,archived,1,0,2,yes,no,true,false,,-,n/a',
  ].flatMap((words) => words.split(','));
  test('a column with another meaning leaves everybody in', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('status', 'Status', 'State', 'type', 'Statut', 'Estado'),
        fc.constantFrom(...harmless),
        (column, value) => {
          expect([column, value, isExcluded(column, value)]).toEqual([column, value, false]);
        },
      ),
      runs(300),
    );
    for (const column of [
      'name',
      'note',
      'subject',
      'reason',
      'Marital status',
      'Order status',
      'Bounces',
      'unsubscribe_url',
      'active',
      'optin',
    ])
      for (const value of ['unsubscribed', '1', 'true', 'no', '2024-01-01'])
        expect([column, value, isExcluded(column, value)]).toEqual([column, value, false]);
  });

  async function read(content: string, columns: PeopleColumns = {}) {
    const path = join(await temporaryDirectory(), 'people.csv');
    await writeFile(path, content);
    const list = await openPeople(path, columns);
    const result = { list, emails: [] as (string | undefined)[], rejected: [] as object[] };
    for await (const chunk of list.chunks((rejected) => result.rejected.push(rejected)))
      result.emails.push(...chunk.map(({ email }) => email));
    return result;
  }

  test('are left out by line, with the column and its value; nobody else is', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...EXPORTS),
        fc.array(fc.tuple(fc.boolean(), fc.nat(9)), { maxLength: 20 }),
        async ([, column, excluded, kept], picks) => {
          const values = picks.map(([isOut, n]) => ({
            isOut,
            value: (isOut ? excluded[n % excluded.length] : kept[n % kept.length]) as string,
          }));
          const content = `email,${column}\n${values.map(({ value }, i) => `p${i}@example.com,"${value}"\n`).join('')}`;
          const result = await read(content);
          const addresses = (isOut: boolean) => values.flatMap((it, i) => (it.isOut === isOut ? [`p${i}@example.com`] : []));
          expect(result.emails).toEqual(addresses(false));
          expect(result.rejected).toEqual(
            values.flatMap(({ isOut }, i) =>
              isOut ? [{ line: i + 2, reason: 'not-subscribed', value: `p${i}@example.com`, status: expect.stringContaining(column) }] : [],
            ),
          );
          expect(result.list.findings.statusColumns).toEqual([column]);
          const everybody = await read(content, { ignoreStatus: true });
          expect([everybody.emails.length, everybody.rejected, everybody.list.findings.statusColumns]).toEqual([values.length, [], []]);
        },
      ),
      runs(200),
    );
  });

  test('are excluded by any of several columns, and the reasons are few', async () => {
    const rows = Array.from(
      { length: 500 },
      (_, i) => `p${i}@example.com,${i % 3 === 0 ? 'unsubscribed' : 'active'},${i % 5 === 0 ? `2024-01-${(i % 28) + 1}` : ''},${i % 7}`,
    );
    const { rejected } = await read(`email,status,UNSUB_TIME,bounced\n${rows.join('\n')}\n`);
    const reasons = new Set(rejected.map((it) => (it as { status: string }).status));
    expect([...reasons].toSorted()).toEqual(['UNSUB_TIME', 'bounced', 'bounced: 1', 'status: unsubscribed']);
  });
});
