import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { trackedAddresses } from '../support/authors.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { sendRaw, startMailServer, startRelay } from '../support/mail.ts';

// Sends messages as the mail libraries of listmonk, Ghost, WordPress and Mautic write them, and as Postfix and msmtp pass them on, through the
// relay. The texts are examples. The headers, boundaries and encodings are those of the libraries.

const DIRECTORY = join(import.meta.dirname, 'messages');

/** For each message, the number of tracked links in its HTML and its text. */
const EXPECTED: Readonly<Record<string, [html: number, text: number]>> = {
  'ghost-nodemailer-html-only.eml': [4, 0],
  'ghost-nodemailer.eml': [4, 2],
  'listmonk-attachment.eml': [4, 2],
  'listmonk-campaign-html.eml': [4, 0],
  'listmonk-campaign-plain.eml': [0, 2],
  'listmonk-campaign.eml': [4, 2],
  'listmonk-inline-image.eml': [4, 2],
  'msmtp-plain.eml': [0, 1],
  'nodemailer-default.eml': [4, 2],
  'nodemailer-related-attachment.eml': [4, 2],
  'nodemailer-smtputf8.eml': [0, 1],
  'phpmailer-8bit-latin1.eml': [4, 2],
  'phpmailer-8bit.eml': [4, 2],
  'phpmailer-base64-inline-attachment.eml': [4, 2],
  'phpmailer-ical.eml': [1, 1],
  'phpmailer-longline-qp.eml': [8, 0],
  'phpmailer-msghtml.eml': [4, 0],
  'postfix-front.eml': [0, 1],
  'symfony-mautic-attachment-inline.eml': [4, 2],
  'symfony-mautic-empty-text.eml': [4, 0],
  'symfony-mautic-returnpath.eml': [4, 2],
  'symfony-mautic.eml': [4, 2],
  'wordpress-own-multipart-6.9.eml': [4, 2],
  'wordpress-own-multipart-before-6.9.eml': [4, 2],
  'wordpress-wp_mail-html.eml': [4, 0],
  'wordpress-wp_mail-plain-7bit.eml': [0, 1],
  'wordpress-wp_mail-plain.eml': [0, 4],
};

let databases: Databases;
beforeAll(async () => {
  databases = await createDatabases(1);
});

test('all messages are listed', async () => {
  expect((await readdir(DIRECTORY)).toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
});

test.each(Object.entries(EXPECTED))('%s arrives with %j tracked links, and otherwise as it was', async (file, expected) => {
  const upstream = await startMailServer();
  onTestFinished(() => upstream.close());
  const relay = await startRelay(databases, upstream.port);
  const original = await readFile(join(DIRECTORY, file));
  const sent = Buffer.concat([Buffer.from('X-Clickledger-Campaign: recipes\r\n'), original]);
  expect(await sendRaw(relay.port, sent, { mail: /smtputf8/.test(file) ? ' SMTPUTF8 BODY=8BITMIME' : '' })).toMatch(/^250/);
  const got = upstream.received[0]?.bytes ?? Buffer.alloc(0);
  const [before, after] = await Promise.all([PostalMime.parse(original), PostalMime.parse(got)]);
  const count = (part: string | undefined) => trackedAddresses(databases, part ?? '').filter(({ kind }) => kind === 'u').length;
  expect([count(after.html), count(after.text)]).toEqual(expected);

  const targets = await databases.query<{ id: number; original: string }>(
    'catalog',
    "SELECT id, original FROM catalog.link WHERE kind = 'url'",
  );
  const originalOf = new Map(targets.map(({ id, original: target }) => [Number(id), target]));
  /** Replaces tracked URLs with their targets, and removes the pixel. */
  const undone = (part: string | undefined, isHtml: boolean): string | undefined =>
    part?.replace(/<img src="https:\/\/t\.example\.org\/r\/[^>]*>/, '').replace(/https:\/\/t\.example\.org\/u\/[0-9A-Za-z]+/g, (url) => {
      const [address] = trackedAddresses(databases, url);
      const target = originalOf.get(address?.link ?? 0) ?? '';
      return isHtml ? target.replaceAll('&', '&amp;') : target;
    });
  expect(undone(after.html, true)).toBe(before.html);
  expect(undone(after.text, false)).toBe(before.text);
  expect(after.attachments).toEqual(before.attachments);
  const added = ['list-unsubscribe', 'list-unsubscribe-post'].filter((key) => !before.headers.some((header) => header.key === key));
  const ownHeaders = ({ headers }: typeof after) =>
    headers.filter(({ key }) => key !== 'x-clickledger-campaign' && key !== 'content-transfer-encoding');
  expect(ownHeaders(after).filter(({ key }) => !added.includes(key))).toEqual(ownHeaders(before));
  expect(after.headers.filter(({ key }) => key.startsWith('list-unsubscribe'))).toHaveLength(
    added.length || before.headers.filter(({ key }) => key.startsWith('list-unsubscribe')).length,
  );
});
