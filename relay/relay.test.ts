import { createHash, createVerify, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import nodemailer from 'nodemailer';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { setClosed } from '../authoring/campaigns.ts';
import { createPool } from '../core/postgres.ts';
import { authorSettings, trackedAddresses } from '../test/support/authors.ts';
import { makeCertificates } from '../test/support/certificates.ts';
import { clickledger } from '../test/support/commands.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { asData, type MailServer, type Relay, sendRaw, startMailServer, startRelay, talkTo } from '../test/support/mail.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';

// Tests the relay as a process, between real SMTP clients and a mail server, with a real catalog.

let databases: Databases;
beforeAll(async () => {
  databases = await createDatabases(1);
});

async function start(
  settings: Record<string, string> = {},
  server: Parameters<typeof startMailServer>[0] = {},
): Promise<{ relay: Relay; upstream: MailServer }> {
  const upstream = await startMailServer(server);
  onTestFinished(() => upstream.close());
  return { relay: await startRelay(databases, upstream.port, settings), upstream };
}

const message = (headers: readonly string[], body: string): string => [...headers, '', body].join('\r\n');
const HEADERS = ['From: Shop <news@shop.example>', 'To: ann@example.com', 'Subject: News', 'X-Clickledger-Campaign: news'];
const HTML = [...HEADERS, 'MIME-Version: 1.0', 'Content-Type: text/html; charset=utf-8'];
const LINK = '<p>Hello <a href="https://shop.example/a">a</a></p>';

describe('a message', () => {
  test('with two parts and an attachment arrives tracked, with the headers of RFC 8058 and the same attachment', async () => {
    const { relay, upstream } = await start();
    const attachment = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256));
    const transport = nodemailer.createTransport({ host: '127.0.0.1', port: relay.port, ignoreTLS: true });
    const { response } = await transport.sendMail({
      from: 'Shop <news@shop.example>',
      to: 'Ann <ann@example.com>',
      subject: 'Grüße',
      headers: { 'X-Clickledger-Campaign': 'spring' },
      html: '<p>ü <a href="https://shop.example/a?b=1&amp;c=2">a</a> <a href="https://shop.example/b">b</a></p>',
      text: 'ü See https://shop.example/a?b=1&c=2 now.',
      attachments: [{ filename: 'a.bin', content: attachment }],
    });
    expect(response).toBe('250 2.0.0 queued as 1');
    const [got] = upstream.received;
    const mail = await PostalMime.parse(got?.bytes ?? '');
    expect(trackedAddresses(databases, mail.html ?? '').map(({ kind }) => kind)).toEqual(['u', 'u', 'r']);
    expect(trackedAddresses(databases, mail.text ?? '').map(({ kind }) => kind)).toEqual(['u']);
    expect(mail.subject).toBe('Grüße');
    expect(Buffer.from(mail.attachments[0]?.content as ArrayBuffer)).toEqual(attachment);
    const header = (key: string) => mail.headers.find((each) => each.key === key)?.value;
    expect(header('list-unsubscribe')).toMatch(/^<https:\/\/t\.example\.org\/o\/\w+>$/);
    expect(header('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click');
    expect(header('x-clickledger-campaign')).toBeUndefined();
    expect(await databases.query('catalog', "SELECT name FROM catalog.campaign WHERE name = 'spring'")).toHaveLength(1);
    expect(await relay.metric('clickledger_relay_messages_total{outcome="tracked"}')).toBe(1);
    transport.close();
  });

  test('without a campaign passes byte for byte', async () => {
    const { relay, upstream } = await start();
    const bytes = message(
      HTML.filter((line) => !line.startsWith('X-')),
      `${LINK}\r\n.dot\r\n`,
    );
    expect(await sendRaw(relay.port, bytes)).toBe('250 2.0.0 queued as 1\r\n');
    expect(upstream.received[0]?.bytes.toString()).toBe(bytes);
    expect(await relay.metric('clickledger_relay_passed_total{reason="no-campaign"}')).toBe(1);
  });

  test.each([
    ['its header', ['X-Clickledger-Campaign: =?utf-8?q?Fr=C3=BChling?='], 'Frühling'],
    ['its List-Id', ['List-Id: Weekly news <weekly.shop.example>'], 'weekly.shop.example'],
    ['its subject', ['Subject: =?utf-8?B?TmV3cyDigqw=?='], 'News €'],
    ['its header without control characters', ['X-Clickledger-Campaign: =?utf-8?q?a=00b=0Ac?='], 'a b c'],
    ['the first that it has', ['Subject: b', 'List-Id: <a.shop.example>'], 'a.shop.example'],
  ])('gets the campaign of %s', async (_name, headers, campaign) => {
    const { relay, upstream } = await start({ RELAY_CAMPAIGN: 'X-Clickledger-Campaign,List-Id,Subject' });
    await sendRaw(relay.port, message([...headers, 'Content-Type: text/html'], LINK));
    const [link] = trackedAddresses(databases, upstream.received[0]?.bytes.toString() ?? '');
    const rows = await databases.query<{ name: string }>(
      'catalog',
      'SELECT c.name FROM catalog.campaign c JOIN catalog.link l ON l.campaign_id = c.id WHERE l.id = $1',
      [link?.link],
    );
    expect(rows).toEqual([{ name: campaign }]);
  });

  test('with an empty campaign, without a sender, or to an address that no person has, passes without tracking', async () => {
    const { relay, upstream } = await start({});
    const headers = ['List-Id: <a.shop.example>', 'Content-Type: text/html'];
    await sendRaw(relay.port, message(['X-Clickledger-Campaign:', ...headers], LINK));
    await sendRaw(relay.port, message(headers, LINK), { from: '' });
    await sendRaw(relay.port, message(headers, LINK), { to: 'root@localhost' });
    expect(upstream.received.map(({ bytes }) => bytes.toString())).toEqual(Array(3).fill(`${message(headers, LINK)}\r\n`));
  });

  test('is refused if its recipient has unsubscribed, and has no tracked links if its recipient opted out', async () => {
    const { relay, upstream } = await start();
    const send = (to: string) => sendRaw(relay.port, message(HTML, `${LINK}<a href="{{unsubscribe}}">no more</a>`), { to });
    for (const to of ['gone@example.com', 'out@example.com']) expect(await send(to)).toMatch(/^250/);
    const [gone] = await databases.query<{ id: number }>('catalog', "SELECT id FROM catalog.recipient WHERE email = 'gone@example.com'");
    await databases.query(
      'a',
      `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
       VALUES (now(), 0, gen_random_uuid(), gen_random_uuid(), $1, 1, 1)`,
      [gone?.id],
    );
    await databases.query('catalog', "UPDATE catalog.recipient SET opted_out_at = now() WHERE email = 'out@example.com'");
    expect(await send('gone@example.com')).toMatch(/^550 5\.7\.1 the recipient has unsubscribed/);
    expect(await send('out@example.com')).toMatch(/^250/);
    const [, , last] = upstream.received;
    expect(upstream.received).toHaveLength(3);
    expect(last?.bytes.toString()).toContain('<a href="https://shop.example/a">a</a>');
    expect(trackedAddresses(databases, last?.bytes.toString() ?? '')).toEqual([]);
    expect(last?.bytes.toString()).toMatch(/<a href="https:\/\/t\.example\.org\/o\/\w+">no more/);
  });

  test('begins its URLs with the base URL of its campaign', async () => {
    const { relay, upstream } = await start({ BASE_URLS: 'https://click.shop.example' });
    await databases.query('catalog', "INSERT INTO catalog.campaign (name, base_url) VALUES ('own', 'https://click.shop.example')");
    await sendRaw(relay.port, message(['X-Clickledger-Campaign: own', 'Content-Type: text/html'], LINK));
    expect(upstream.received[0]?.bytes.toString()).toMatch(/href="https:\/\/click\.shop\.example\/u\/\w+"/);
  });

  test('keeps links above the limit of its campaign, and tracks those that the campaign has', async () => {
    const { relay, upstream } = await start({ RELAY_MAX_LINKS: '2' });
    const send = (...paths: string[]) =>
      sendRaw(
        relay.port,
        message(
          ['X-Clickledger-Campaign: full', 'Content-Type: text/html'],
          paths.map((path) => `<a href="https://shop.example/${path}">${path}</a>`).join(' '),
        ),
      );
    await send('a', 'b', 'c');
    await send('d', 'b');
    const kept = upstream.received.map(({ bytes }) => Array.from(bytes.toString().matchAll(/shop\.example\/(\w)"/g), ([, path]) => path));
    expect(kept).toEqual([['c'], ['d']]);
    expect(await relay.metric('clickledger_relay_links_over_limit_total')).toBe(2);
  });

  test('with an attachment of 50 MB streams through, in bounded memory', async () => {
    let size = 0;
    const { relay } = await start(
      { RELAY_MAX_MIB: '100' },
      {
        onData(stream, _session, callback) {
          stream.on('error', () => {});
          stream.on('data', (chunk: Buffer) => (size += chunk.length));
          stream.on('end', () => callback(null, 'ok'));
        },
      },
    );
    const line = `${'QUJD'.repeat(19)}\r\n`;
    const attachment = line.repeat(Math.ceil((50 * 1024 * 1024) / 57));
    const headers = [...HEADERS, 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b'];
    const large = message(
      headers,
      `--b\r\nContent-Type: text/html\r\n\r\n${LINK}\r\n--b\r\nContent-Type: image/png\r\n\r\n${attachment}--b--`,
    );
    await sendRaw(relay.port, message(HTML, LINK));
    const before = await peakMib(relay.pid);
    const replies = await Promise.all(Array.from({ length: 4 }, () => sendRaw(relay.port, large)));
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['250', '250', '250', '250']);
    expect(size).toBeGreaterThan(4 * large.length);
    // The messages have 290 MB together.
    expect((await peakMib(relay.pid)) - before).toBeLessThan(150);
  });

  test('is refused if its campaign is closed', async () => {
    const { relay, upstream } = await start();
    const pool = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
    onTestFinished(() => pool.end());
    await sendRaw(relay.port, message(['X-Clickledger-Campaign: closed', 'Content-Type: text/html'], LINK));
    const [campaign] = await databases.query<{ id: number }>('catalog', "SELECT id FROM catalog.campaign WHERE name = 'closed'");
    await setClosed(pool, Number(campaign?.id), true);
    const restarted = await startRelay(databases, upstream.port);
    const refused = await sendRaw(restarted.port, message(['X-Clickledger-Campaign: closed', 'Content-Type: text/html'], LINK));
    expect(refused).toMatch(/^550 5\.7\.1 campaign 'closed' is closed/);
    expect(upstream.received).toHaveLength(1);
  });

  test('with a DKIM signature is refused, or signed anew', async () => {
    const { relay, upstream } = await start();
    const signed = ['DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=a; h=from; bh=x; b=y', ...HTML];
    expect(await sendRaw(relay.port, message(signed, LINK))).toMatch(/^550 5\.7\.7 .*RELAY_DKIM_KEY/);
    expect(upstream.received).toHaveLength(0);
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const directory = await temporaryDirectory();
    await writeFile(`${directory}/key.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const signing = await startRelay(databases, upstream.port, {
      RELAY_DKIM_KEY: `${directory}/key.pem`,
      RELAY_DKIM_DOMAIN: 'shop.example',
      RELAY_DKIM_SELECTOR: 'relay',
    });
    expect(await sendRaw(signing.port, message(signed, LINK))).toMatch(/^250/);
    const text = upstream.received[0]?.bytes.toString() ?? '';
    expect(text.match(/^DKIM-Signature:/gim)).toHaveLength(1);
    expect(text).toContain('/u/');
    expect(isSignedBy(text, publicKey)).toBe(true);
    // RFC 8058 requires that both fields are signed.
    expect(
      /; h=[^;]*/i
        .exec(text.replace(/\r\n\s+/g, ' '))?.[0]
        .replace(/\s+/g, '')
        .toLowerCase(),
    ).toMatch(/list-unsubscribe:list-unsubscribe-post/);
    expect(isSignedBy(text.replace('Hello', 'Hallo'), publicKey)).toBe(false);
  });
});

describe('SMTP', () => {
  test('a second recipient gets 452 4.5.3, and the first one gets the message', async () => {
    const { relay, upstream } = await start();
    const talk = await talkTo(relay.port);
    const ehlo = await talk.say('EHLO client.example');
    for (const extension of ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 104857600']) expect(ehlo).toContain(extension);
    talk.write('MAIL FROM:<a@shop.example>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n');
    expect([await talk.reply(), await talk.reply(), await talk.reply(), await talk.reply()].map((reply) => reply.slice(0, 9))).toEqual([
      expect.stringMatching(/^250/),
      expect.stringMatching(/^250/),
      '452 4.5.3',
      expect.stringMatching(/^354/),
    ]);
    talk.write(asData(message(HTML, LINK)));
    expect(await talk.reply()).toMatch(/^250/);
    expect(upstream.received.map(({ to }) => to.map(({ address }) => address))).toEqual([['ann@example.com']]);
    talk.end();
  });

  test('what the sender says about the envelope arrives at the mail server', async () => {
    const { relay, upstream } = await start({}, { size: 1_000_000 });
    const talk = await talkTo(relay.port);
    await talk.say('EHLO client.example');
    await talk.say('MAIL FROM:<a@shop.example> SIZE=500 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2Bx+3D');
    await talk.say('RCPT TO:<ann@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann+2Btag@example.com');
    await talk.say('DATA');
    talk.write(asData(message(HTML, LINK)));
    expect(await talk.reply()).toMatch(/^250/);
    const [got] = upstream.received;
    expect({ bodyType: got?.bodyType, utf8: got?.utf8, dsn: got?.dsn, from: got?.from, to: got?.to }).toMatchObject({
      bodyType: '8bitmime',
      utf8: true,
      dsn: { ret: 'HDRS', envid: 'q+x=' },
      from: { args: { SIZE: '500' } },
      to: [{ dsn: { notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;ann+tag@example.com' } }],
    });
    talk.end();
  });

  test('the refusals of the mail server reach the sender as they are', async () => {
    const refuse = (code: number, text: string) => Object.assign(new Error(text), { responseCode: code });
    const { relay, upstream } = await start(
      {},
      {
        onRcptTo({ address }, _session, callback) {
          callback(address === 'nobody@example.com' ? refuse(550, '5.1.1 no such person') : null);
        },
        onMailFrom({ address }, _session, callback) {
          callback(address === 'slow@shop.example' ? refuse(451, '4.7.1 try later') : null);
        },
      },
    );
    expect(await sendRaw(relay.port, message(HTML, LINK), { to: 'nobody@example.com' })).toBe('550 5.1.1 no such person\r\n');
    expect(await sendRaw(relay.port, message(HTML, LINK), { from: 'slow@shop.example' })).toBe('451 4.7.1 try later\r\n');
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect(upstream.received).toHaveLength(1);
  });

  test('a message that is too large is refused, and nothing of it arrives', async () => {
    const { relay, upstream } = await start({ RELAY_MAX_MIB: '1' });
    const large = message(HTML, `${'x'.repeat(76)}\r\n`.repeat(20_000));
    expect(await sendRaw(relay.port, large)).toMatch(/^552/);
    expect(await sendRaw(relay.port, message(HTML, LINK), { mail: ' SIZE=9999999' })).toMatch(/^552/);
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect(upstream.received).toHaveLength(1);
  });

  test('a sender that disconnects in the middle of a message leaves nothing behind', async () => {
    const { relay, upstream } = await start();
    const talk = await talkTo(relay.port);
    await talk.say('EHLO client.example');
    for (const line of ['MAIL FROM:<a@shop.example>', 'RCPT TO:<ann@example.com>', 'DATA']) await talk.say(line);
    talk.write(message(HTML, LINK).repeat(100));
    talk.destroy();
    await eventually('the abort is counted', async () => (await relay.metric('clickledger_relay_messages_total{outcome="aborted"}')) === 1);
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect(upstream.received).toHaveLength(1);
  });

  test('bare line feeds cannot smuggle a second message', async () => {
    const { relay, upstream } = await start();
    const talk = await talkTo(relay.port);
    await talk.say('EHLO client.example');
    for (const line of ['MAIL FROM:<a@shop.example>', 'RCPT TO:<ann@example.com>', 'DATA']) await talk.say(line);
    talk.write(`${message(HTML, LINK)}\n.\nMAIL FROM:<x@shop.example>\r.\rRCPT TO:<y@example.com>\r\n.\r\n`);
    expect(await talk.reply()).toMatch(/^250/);
    talk.end();
    expect(upstream.received).toHaveLength(1);
    expect(upstream.received[0]?.bytes.toString()).toContain('\r\n.\r\nMAIL FROM:<x@shop.example>\r\n.\r\nRCPT TO');
  });

  test('after SIGTERM, a message that has not arrived gets 421, one that has arrived gets its answer, and idle senders are told', async () => {
    let answer = (): void => {};
    const { relay, upstream } = await start(
      {},
      {
        onData(stream, _session, callback) {
          stream.on('error', () => {});
          stream.resume();
          stream.on('end', () => (answer = () => callback(null, '2.0.0 late')));
        },
      },
    );
    const [arriving, arrived, idle] = await Promise.all([talkTo(relay.port), talkTo(relay.port), talkTo(relay.port)]);
    for (const talk of [arriving, arrived]) {
      await talk.say('EHLO client.example');
      for (const line of ['MAIL FROM:<a@shop.example>', 'RCPT TO:<ann@example.com>', 'DATA']) await talk.say(line);
    }
    arriving.write(message(HTML, LINK));
    arrived.write(asData(message(HTML, LINK)));
    await eventually('the mail server has the message', () => answer.toString().includes('late'));
    const stopped = relay.stop();
    expect(await arriving.reply()).toMatch(/^421 4\.3\.2/);
    expect(await idle.reply()).toMatch(/^421 4\.3\.2/);
    answer();
    expect(await arrived.reply()).toMatch(/^250 2\.0\.0 late/);
    expect(await arrived.reply()).toMatch(/^421 4\.3\.2/);
    await stopped;
    expect(upstream.received).toHaveLength(0);
  });
});

describe('who may send', () => {
  test('programs of other networks must sign in, over TLS', async () => {
    const { certificate, key, ca } = await makeCertificates(await temporaryDirectory(), 'relay');
    const { relay, upstream } = await start({
      RELAY_NETWORKS: '10.0.0.0/8',
      RELAY_TLS_CERT: certificate,
      RELAY_TLS_KEY: key,
      RELAY_USERS: 'shop:correct horse,other:x',
    });
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^530 5\.7\.0 sign in first/);
    const sendAs = (user: string, pass: string) => {
      const transport = nodemailer.createTransport({
        host: 'localhost',
        port: relay.port,
        requireTLS: true,
        auth: { user, pass },
        tls: { ca: caText },
      });
      return transport.sendMail({ from: 'a@shop.example', to: 'ann@example.com', subject: 'x', html: LINK });
    };
    const caText = await readFile(ca, 'utf8');
    await expect(sendAs('shop', 'wrong')).rejects.toThrow('5.7.8');
    await expect(sendAs('nobody', '')).rejects.toThrow();
    await sendAs('shop', 'correct horse');
    expect(upstream.received).toHaveLength(1);
    const talk = await talkTo(relay.port);
    expect(await talk.say('EHLO x')).not.toContain('AUTH');
    talk.end();
  });

  test.each([
    [{ RELAY_HOST: '0.0.0.0' }, 'RELAY_USERS'],
    [{ RELAY_NETWORKS: '0.0.0.0/0' }, 'everybody'],
    [{ RELAY_NETWORKS: '127.0.0.0/8,10.0.0.0/0' }, 'everybody'],
    [{ RELAY_NETWORKS: '0.0.0.0/1,128.0.0.0/1' }, 'everybody'],
    [{ RELAY_NETWORKS: '::/1' }, 'everybody'],
    [{ RELAY_NETWORKS: 'everything' }, 'is not a network'],
    [{ RELAY_UPSTREAM: 'smtp://localhost:2525' }, 'the relay itself'],
    [{ RELAY_DKIM_KEY: '/dev/null', RELAY_DKIM_DOMAIN: 'a.example', RELAY_DKIM_SELECTOR: 's' }, 'RSA'],
    [{ RELAY_USERS: 'a:b' }, 'RELAY_TLS_CERT'],
    [{ RELAY_UPSTREAM: 'http://x' }, 'smtp://'],
    [{ RELAY_USERS: 'ab' }, 'name:password'],
    [{ RELAY_CAMPAIGN: 'a header' }, 'RELAY_CAMPAIGN'],
    [{ RELAY_DKIM_KEY: '/nowhere/key.pem', RELAY_DKIM_DOMAIN: 'a.example', RELAY_DKIM_SELECTOR: 's' }, '/nowhere/key.pem'],
  ])('the settings %j are refused', async (settings, reason) => {
    const { code, stderr } = await clickledger(['run', 'relay'], { env: { ...authorSettings(databases), ...settings } });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(reason) });
  });
});

describe('without the catalog', () => {
  const AWAY = 'postgres://clickledger_author:x@127.0.0.1:1/nowhere';

  test('senders get 451, or messages pass without tracking', async () => {
    const { relay, upstream } = await start({ AUTHOR_URL: AWAY });
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^451 4\.3\.0 /);
    expect(upstream.received).toHaveLength(0);
    const health = (await (await fetch(`http://127.0.0.1:${relay.adminPort}/healthz`)).json()) as { degraded: { code: string }[] };
    expect(health.degraded.map(({ code }) => code)).toEqual(['untrackable']);
    const passing = await startRelay(databases, upstream.port, { AUTHOR_URL: AWAY, RELAY_UNTRACKABLE: 'pass' });
    expect(await sendRaw(passing.port, message(HTML, LINK))).toMatch(/^250/);
    expect(upstream.received[0]?.bytes.toString()).toContain('https://shop.example/a');
  });

  test('senders get 451 if the answer of the mail server is lost after the message', async () => {
    const dying = await startScriptedServer((command) => (command === '.' ? 'close' : undefined));
    const lost = await startRelay(databases, dying.port);
    expect(await sendRaw(lost.port, message(HTML, LINK))).toMatch(/^451 4\.4\.2 /);
    expect(await lost.metric('clickledger_relay_messages_total{outcome="unknown"}')).toBe(1);
  });

  test('senders get 451 if the mail server ends the connection while the relay signs in', async () => {
    const server = await startScriptedServer((command) =>
      command.startsWith('EHLO') ? '250-scripted\r\n250 AUTH PLAIN' : command.startsWith('AUTH') ? 'close' : undefined,
    );
    const relay = await startRelay(databases, server.port, { RELAY_UPSTREAM: `smtp://me:secret@127.0.0.1:${server.port}` });
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^451 4\.4\.1 /);
  });

  test('an answer in the middle of a message ends the connection, and no command gets into the message', async () => {
    let isFirst = true;
    const server = await startScriptedServer((command) => {
      if (command !== 'data' || !isFirst) return undefined;
      isFirst = false;
      return '552 5.3.4 too large';
    });
    const relay = await startRelay(databases, server.port);
    const large = message(HTML, `${LINK}\r\n`.repeat(20_000));
    expect(await sendRaw(relay.port, large)).toMatch(/^552 5\.3\.4 too large/);
    expect(server.heard).not.toContain('RSET');
    const before = server.connections;
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect(server.connections).toBe(before + 1);
  });

  test('a connection that the mail server has closed meanwhile is replaced', async () => {
    let messages = 0;
    const server = await startScriptedServer((command, session) => {
      if (command === '.') messages++;
      return messages === 1 && session === 1 && command.startsWith('MAIL') ? '421 4.4.2 timeout' : undefined;
    });
    const relay = await startRelay(databases, server.port);
    for (let i = 0; i < 2; i++) expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect({ messages, connections: server.connections }).toEqual({ messages: 2, connections: 2 });
  });

  test('a domain in ASCII stays in ASCII', async () => {
    const server = await startScriptedServer(() => undefined);
    const relay = await startRelay(databases, server.port);
    expect(await sendRaw(relay.port, message(HTML, LINK), { to: 'ann@xn--bcher-kva.example' })).toMatch(/^250/);
    expect(server.heard).toContain('RCPT TO:<ann@xn--bcher-kva.example>\r\n');
  });

  test('senders get 451 while the mail server is away', async () => {
    const { relay, upstream } = await start();
    await upstream.close();
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^451 4\.4\.1 /);
    const back = await startMailServer({}, upstream.port);
    onTestFinished(() => back.close());
    expect(await sendRaw(relay.port, message(HTML, LINK))).toMatch(/^250/);
    expect(back.received).toHaveLength(1);
  });
});

/** Returns the peak resident memory of a process in MiB. */
async function peakMib(pid: number): Promise<number> {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

interface ScriptedServer {
  port: number;
  /** All commands, and the bytes of messages. */
  heard: string;
  connections: number;
}

/**
 * Starts a mail server that answers as a script says. `reply` gets each command, `.` for the end of a message, and `data` for each chunk of a message. It
 * returns the reply, '' for none, or 'close'. `session` counts connections from 1.
 */
async function startScriptedServer(reply: (command: string, session: number) => string | undefined): Promise<ScriptedServer> {
  const scripted: ScriptedServer = { port: 0, heard: '', connections: 0 };
  const server = createServer((socket) => {
    const session = ++scripted.connections;
    let inData = false;
    const answer = (command: string): void => {
      const text = reply(command, session) ?? (command === 'DATA' ? '354 go on' : command === 'data' ? '' : '250 2.0.0 ok');
      if (text === 'close') socket.destroy();
      else if (text !== '') socket.write(`${text}\r\n`);
      if (command === 'DATA' && text.startsWith('3')) inData = true;
    };
    socket.on('error', () => {});
    socket.write('220 scripted\r\n');
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      scripted.heard += text;
      if (inData) {
        answer('data');
        if (!text.endsWith('\r\n.\r\n')) return;
        inData = false;
        answer('.');
      } else for (const command of text.split('\r\n').filter((line) => line !== '')) answer(command);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  scripted.port = (server.address() as { port: number }).port;
  return scripted;
}

/** Verifies the only DKIM signature of a message, in the form relaxed/relaxed (RFC 6376, 3.4). */
function isSignedBy(text: string, key: KeyObject): boolean {
  const at = text.indexOf('\r\n\r\n');
  const fields = text.slice(0, at).split(/\r\n(?![ \t])/);
  const valueOf = (field: string): string =>
    field
      .slice(field.indexOf(':') + 1)
      .replace(/\r\n/g, '')
      .replace(/[ \t]+/g, ' ')
      .trim();
  const nameOf = (field: string): string => field.slice(0, field.indexOf(':')).trim().toLowerCase();
  const signature = valueOf(fields.find((field) => nameOf(field) === 'dkim-signature') ?? '');
  const tag = (name: string): string => new RegExp(`(?:^|; ?)${name}=([^;]*)`).exec(signature)?.[1]?.replaceAll(' ', '') ?? '';
  const body = text
    .slice(at + 4)
    .replace(/[ \t]+/g, ' ')
    .replace(/ (?=\r\n)/g, '')
    .replace(/(?:\r\n)*$/, '\r\n');
  const signed = [
    ...tag('h')
      .split(':')
      .map((name) => `${name.toLowerCase()}:${valueOf(fields.findLast((field) => nameOf(field) === name.toLowerCase()) ?? '')}\r\n`),
    `dkim-signature:${signature.replace(/(^|; ?)b=[^;]*/, '$1b=')}`,
  ].join('');
  const isBody = createHash('sha256').update(body).digest('base64') === tag('bh');
  return isBody && createVerify('sha256').update(signed).verify(key, tag('b'), 'base64');
}
