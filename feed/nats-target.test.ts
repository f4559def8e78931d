import { expect, test } from 'vitest';
import { parseNatsTarget } from './nats-target.ts';

test('the target says the server, the subjects and the stream', () => {
  expect(parseNatsTarget('tls://out:se%40cret@n1:4222/news.events?stream=NEWS&create')).toEqual({
    servers: { servers: ['n1:4222'], user: 'out', password: 'se@cret', tls: true },
    prefix: 'news.events',
    stream: 'NEWS',
    create: true,
  });
  expect(parseNatsTarget('nats://n1/out?stream=OUT')).toMatchObject({ prefix: 'out', create: false });
});

test.each([
  'nats://u:secret@n1/?stream=OUT',
  'nats://u:secret@n1/a..b?stream=OUT',
  'nats://u:secret@n1/a.*?stream=OUT',
  'nats://u:secret@n1/a/b?stream=OUT',
  'nats://u:secret@n1/$JS.API?stream=OUT',
  'nats://u:secret@n1/_INBOX?stream=OUT',
  'nats://u:secret@n1/out',
  'nats://u:secret@n1/out?stream=a.b',
  'nats://u:secret@n1/out?stream=OUT&max_age=5',
])('%j is refused, and its password is not shown', (target) => {
  expect(() => parseNatsTarget(target)).toThrow(
    expect.objectContaining({ code: 'bad-input', message: expect.not.stringContaining('secret') }),
  );
});
