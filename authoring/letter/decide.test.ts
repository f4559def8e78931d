import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_TARGET_BYTES } from '../../core/target.ts';
import { runs } from '../../test/support/runs.ts';
import { type Decision, decide, isTarget, KEEP_REASONS, type KeepReason, type TrackingRules, withUtm } from './decide.ts';
import type { FoundLink } from './html-links.ts';

const decided = (address: string, overrides: Partial<FoundLink & TrackingRules> = {}): Decision =>
  decide(
    { from: 0, to: address.length, address, words: 'Shop', context: '', noTrack: false, label: '', ...overrides },
    { baseUrls: ['https://t.example.org'], exclude: [], trackUnsubscribe: false, utm: {}, ...overrides },
  );
const reasonFor = (address: string, overrides?: Partial<FoundLink & TrackingRules>): KeepReason | undefined => {
  const decision = decided(address, overrides);
  return decision.track ? undefined : decision.reason;
};
const targetOf = (address: string, overrides?: Partial<FoundLink & TrackingRules>): string | undefined => {
  const decision = decided(address, overrides);
  return decision.track ? decision.target : undefined;
};

describe('a link is kept', () => {
  const long = 'x'.repeat(MAX_TARGET_BYTES);
  const reasons: [KeepReason, string][] = [
    ['empty', ''],
    ['anchor', '#'],
    ['anchor', '#unsubscribe'],
    ['merge-tag', '{{link}}'],
    ['merge-tag', 'https://e.org/?a={{ first name }}'],
    ['merge-tag', 'mailto:{{friend}}'],
    ['merge-tag', '*|ARCHIVE|*'],
    ['merge-tag', 'https://e.org/%%name%%'],
    ['merge-tag', '[[data:link]]'],
    ['merge-tag', 'https://e.org/${name}'],
    ['merge-tag', '{% url %}'],
    ['merge-tag', '<%= url %>'],
    ['merge-tag', 'https://e.org/?a=%recipient.name%'],
    ['unsubscribe', '*|UNSUB|*'],
    ['unsubscribe', '{{ unsubscribe_url }}'],
    ['unsubscribe', '%unsubscribe_url%'],
    ['unsubscribe', '%mailing_list_unsubscribe_url%'],
    ['unsubscribe', '<%asm_group_unsubscribe_raw_url%>'],
    ['unsubscribe', '[[OPTOUT]]'],
    ['not-http', 'mailto:a@example.org'],
    ['not-http', 'MAILTO:a@example.org?subject=unsubscribe'],
    ['not-http', 'tel:+49-30-1'],
    ['not-http', 'javascript:void(0)'],
    ['not-http', 'cid:image1'],
    ['not-http', 'ftp://e.org/'],
    ['not-http', 'example.org:8080/x'],
    ['relative', '/shop'],
    ['relative', 'shop?a=1'],
    ['relative', '//e.org/shop'],
    ['relative', 'www.example.org'],
    ['relative', '\\\\e.org\\shop'],
    ['malformed', 'https://'],
    ['malformed', 'https:'],
    ['malformed', 'https:?q=1'],
    ['malformed', 'https://e.org:99999/'],
    ['malformed', 'https://exa mple.org/'],
    ['malformed', 'https://e.org/\u007f'],
    ['malformed', 'https://e.org/\u0001'],
    ['too-long', `https://e.org/${long}`],
    ['too-long', `https://e.org/${'é'.repeat(MAX_TARGET_BYTES / 2)}`],
    ['already-tracked', 'https://t.example.org/u/abc'],
    ['already-tracked', 'https://t.example.org/r/abc'],
    ['already-tracked', 'https://t.example.org/o/abc'],
    ['already-tracked', 'HTTPS://T.example.org/u/abc'],
    ['unsubscribe', 'https://e.org/unsubscribe?u=1'],
    ['preferences', 'https://e.org/email-preferences'],
    ['view-in-browser', 'https://e.org/view-in-browser/1'],
  ];
  test.each(reasons)('as %s: %s', (reason, address) => {
    expect(reasonFor(address)).toBe(reason);
  });

  test.each(['https://b.example:8443/u/abc', 'https://b.example:8443/o/abc', 'http://c.example/mail/r/abc.gif'])(
    'as already-tracked at any of the base URLs: %s',
    (address) => {
      const baseUrls = ['https://a.example', 'https://b.example:8443', 'http://c.example/mail'];
      expect(reasonFor(address, { baseUrls })).toBe('already-tracked');
      expect(reasonFor(address.replace('.example', '.example.org'), { baseUrls })).toBeUndefined();
      expect(reasonFor(address, { baseUrls: baseUrls.slice(0, 1) })).toBeUndefined();
    },
  );

  test.each([
    ['unsubscribe', 'Abmelden'],
    ['preferences', 'Email preferences'],
    ['view-in-browser', 'View in browser'],
  ] as const)('as %s: by its words %j', (reason, words) => {
    expect(reasonFor('https://e.org/', { words })).toBe(reason);
    expect(reasonFor('https://e.org/', { words: 'here', context: `${words} here` })).toBe(reason);
    expect(reasonFor('https://e.org/', { words, trackUnsubscribe: true })).toBeUndefined();
  });

  test('as no-track, where its author says so', () => {
    expect(reasonFor('https://e.org/', { noTrack: true })).toBe('no-track');
  });

  // The reason of each row and reasons of later rows apply to the URL of the row. `decide` must return the reason of the row.
  const everything = { words: 'Unsubscribe', noTrack: true, exclude: ['e.org', 't.example.org'], baseUrls: ['https://t.example.org'] };
  test.each([
    ['empty', ''],
    ['anchor', '#{{x}}'],
    ['merge-tag', `mailto:{{x}} ${long}`],
    ['not-http', `mailto:${long}\u0001`],
    ['relative', `shop\u0001${long}`],
    ['malformed', `https://e.org/\u0001${long}`],
    ['too-long', `https://t.example.org/u/${long}`],
    ['already-tracked', 'https://t.example.org/u/unsubscribe'],
    ['no-track', 'https://e.org/unsubscribe'],
  ] as const)('as %s before anything after it', (reason, address) => {
    expect(KEEP_REASONS).toContain(reason);
    expect(reasonFor(address, everything)).toBe(reason);
  });

  test('as of an excluded domain before what it is for, and as what is first done: unsubscribe, preferences, browser', () => {
    const all = 'https://e.org/view-in-browser/email-preferences/unsubscribe';
    expect(reasonFor(all, { exclude: ['e.org'] })).toBe('excluded-domain');
    expect(reasonFor(all)).toBe('unsubscribe');
    expect(reasonFor('https://e.org/view-in-browser/email-preferences')).toBe('preferences');
    expect(reasonFor('https://e.org/', { words: 'View in browser or change your preferences' })).toBe('preferences');
  });

  test('to unsubscribe by merge tag even if such links are tracked', () => {
    expect(reasonFor('{{unsubscribe}}', { trackUnsubscribe: true })).toBe('unsubscribe');
    expect(reasonFor('https://e.org/unsubscribe', { trackUnsubscribe: true })).toBeUndefined();
  });
});

describe('a link is tracked', () => {
  test.each([
    ['https://e.org', 'https://e.org'],
    ['HTTPS://E.org/A?b=%7e#C', 'HTTPS://E.org/A?b=%7e#C'],
    ['https://bücher.example/ü?q=é#字', 'https://bücher.example/ü?q=é#字'],
    ['https://e.org/a b', 'https://e.org/a%20b'],
    ['https://user:secret@e.org:8080/a/../b', 'https://user:secret@e.org:8080/a/../b'],
    ['http://[::1]/', 'http://[::1]/'],
    ['https://e.org/100%', 'https://e.org/100%'],
    ['https:e.org', 'https://e.org'],
    ['HTTPS:/e.org/A', 'HTTPS://e.org/A'],
    ['https:///e.org/', 'https://e.org/'],
    ['https:\\\\e.org\\a?b=\\c#\\d', 'https://e.org/a?b=\\c#\\d'],
    ['https:/\\/e.org', 'https://e.org'],
    ['https://e.org\\a', 'https://e.org/a'],
    ['https://t.example.org/blog', 'https://t.example.org/blog'],
    ['https://t.example.org/urgent', 'https://t.example.org/urgent'],
    ['https://t.example.org.evil.example/u/a', 'https://t.example.org.evil.example/u/a'],
    [`https://e.org/${'x'.repeat(MAX_TARGET_BYTES - 14)}`, `https://e.org/${'x'.repeat(MAX_TARGET_BYTES - 14)}`],
  ])('%s leads to %s', (address, target) => {
    expect(targetOf(address)).toBe(target);
  });

  test.each([
    ['/shop?a=1', 'https://e.org/de/', 'https://e.org/shop?a=1'],
    ['shop', 'https://e.org/de/x', 'https://e.org/de/shop'],
    ['//other.example/a', 'https://e.org/', 'https://other.example/a'],
    ['?a=1', 'https://e.org/de/', 'https://e.org/de/?a=1'],
    ['https:shop', 'https://e.org/de/', 'https://e.org/de/shop'],
    ['https:/shop', 'https://e.org/de/', 'https://e.org/shop'],
    ['https:shop', 'http://e.org/de/', 'https://shop'],
    ['https:\\\\shop', 'https://e.org/de/', 'https://shop'],
  ])('%s from %s leads to %s', (address, base, target) => {
    expect(targetOf(address, { base })).toBe(target);
  });

  test('an address with other slashes leads to where a browser goes', () => {
    const slashes = fc.array(fc.constantFrom('/', '\\'), { maxLength: 4 }).map((marks) => marks.join(''));
    const rest = fc
      .array(fc.constantFrom('/', '\\', 'a', 'B', '?', '#', '=', '%20', '.', 'ü'), { maxLength: 8 })
      .map((parts) => parts.join(''))
      // Paths with two `#` are left out, because they could have a merge tag, such as #email#.
      .filter((path) => path.indexOf('#') === path.lastIndexOf('#'));
    const base = fc.constantFrom(undefined, 'https://base.example/de/', 'http://base.example/de/');
    fc.assert(
      fc.property(fc.constantFrom('http:', 'HTTPS:'), slashes, rest, base, (scheme, marks, path, from) => {
        const address = `${scheme}${marks}e.org${path}`;
        const target = targetOf(address, { base: from });
        const expected = URL.canParse(address, from) ? new URL(address, from).href : undefined;
        expect(target === undefined ? undefined : new URL(target).href).toBe(expected);
      }),
      runs(2000),
    );
  });

  test.each(['/local', 'file:///c/', 'mailto:a@e.org', ''])('nothing is relative to the base %j', (base) => {
    expect(reasonFor('/shop', { base })).toBe('relative');
    expect(targetOf('https://e.org/', { base })).toBe('https://e.org/');
  });
});

describe('excluded domains', () => {
  test.each([
    ['https://e.org/', 'e.org', true],
    ['https://www.e.org/', 'e.org', true],
    ['https://a.b.e.org:8080/', 'e.org', true],
    ['https://WWW.E.ORG/', 'e.org', true],
    ['https://www.e.org/', 'E.org', true],
    ['https://e.org./', 'e.org', true],
    ['https://note.org/', 'e.org', false],
    ['https://e.org.example/', 'e.org', false],
    ['https://e.org/', 'www.e.org', false],
    ['https://x.example/?e.org', 'e.org', false],
    ['https://e.org@x.example/', 'e.org', false],
    ['https://user@e.org/', 'e.org', true],
    ['https://bücher.example/', 'bücher.example', true],
    ['https://shop.bücher.example/', 'BÜCHER.example', true],
    ['https://xn--bcher-kva.example/', 'bücher.example', true],
    ['https://bücher.example/', 'xn--bcher-kva.example', true],
    ['https://b%C3%BCcher.example/', 'bücher.example', true],
    ['https://bucher.example/', 'bücher.example', false],
  ])('%s is below %s: %s', (address, domain, excluded) => {
    expect(reasonFor(address, { exclude: ['other.example', domain] })).toBe(excluded ? 'excluded-domain' : undefined);
  });
});

describe('parameters', () => {
  const utm = { source: 'news', medium: 'e-mail' };
  test.each([
    ['https://e.org', 'https://e.org?utm_source=news&utm_medium=e-mail'],
    ['https://e.org/', 'https://e.org/?utm_source=news&utm_medium=e-mail'],
    ['https://e.org/?a=1', 'https://e.org/?a=1&utm_source=news&utm_medium=e-mail'],
    ['https://e.org/?', 'https://e.org/?utm_source=news&utm_medium=e-mail'],
    ['https://e.org/??', 'https://e.org/??&utm_source=news&utm_medium=e-mail'],
    ['https://e.org/?a=b?', 'https://e.org/?a=b?&utm_source=news&utm_medium=e-mail'],
    ['https://e.org/?a=1&', 'https://e.org/?a=1&utm_source=news&utm_medium=e-mail'],
    ['https://e.org/#top', 'https://e.org/?utm_source=news&utm_medium=e-mail#top'],
    ['https://e.org/?a=1#/x?y=1', 'https://e.org/?a=1&utm_source=news&utm_medium=e-mail#/x?y=1'],
    ['https://e.org/#?', 'https://e.org/?utm_source=news&utm_medium=e-mail#?'],
    ['https://e.org/?utm_source=own', 'https://e.org/?utm_source=own&utm_medium=e-mail'],
    ['https://e.org/?utm%5Fsource=own', 'https://e.org/?utm%5Fsource=own&utm_medium=e-mail'],
    ['https://e.org/?utm_source=&utm_medium', 'https://e.org/?utm_source=&utm_medium'],
    ['https://e.org/#utm_source=own', 'https://e.org/?utm_source=news&utm_medium=e-mail#utm_source=own'],
    ['https://e.org/?xutm_source=1', 'https://e.org/?xutm_source=1&utm_source=news&utm_medium=e-mail'],
  ])('%s becomes %s', (target, tagged) => {
    expect(withUtm(target, utm)).toBe(tagged);
    expect(targetOf(target, { utm })).toBe(tagged);
  });

  test('are encoded', () => {
    expect(withUtm('https://e.org/', { campaign: 'a b&c=d#e+f%ü' })).toBe('https://e.org/?utm_campaign=a%20b%26c%3Dd%23e%2Bf%25%C3%BC');
  });

  test('are not added to what is kept', () => {
    expect(decided('https://e.org/unsubscribe', { utm })).toEqual({ track: false, reason: 'unsubscribe' });
  });

  test('do not make an address too long', () => {
    const target = targetOf(`https://e.org/${'x'.repeat(MAX_TARGET_BYTES - 20)}`, { utm });
    expect(Buffer.byteLength(target ?? '')).toBeLessThanOrEqual(MAX_TARGET_BYTES);
  });

  test('without them the address is the same, with them it says all of them', () => {
    const part = fc.constantFrom('a', '=', '&', '?', '#', '/', '%', '%20', '+', 'utm_source', 'utm_term=1', 'ü', ';');
    const target = fc.array(part, { maxLength: 10 }).map((parts) => `https://e.org/${parts.join('')}`);
    const values = fc.dictionary(
      fc.constantFrom('source', 'medium', 'campaign', 'term'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }),
    );
    fc.assert(
      fc.property(target, values, (address, wanted) => {
        const tagged = withUtm(address, wanted);
        expect(isTarget(tagged)).toBe(true);
        const had = new URL(address).searchParams;
        const has = new URL(tagged).searchParams;
        const added = Object.keys(wanted).filter((name) => !had.has(`utm_${name}`));
        for (const name of added) expect(has.get(`utm_${name}`)).toBe(wanted[name]);
        const inserted = added.map((name) => `utm_${name}=${encodeURIComponent(wanted[name] ?? '')}`).join('&');
        const at = tagged.indexOf(inserted);
        const undone = [0, 1].map((joint) => tagged.slice(0, at - joint) + tagged.slice(at + inserted.length));
        if (inserted === '') expect(tagged).toBe(address);
        else expect(undone).toContain(address);
        expect(/#.*/s.exec(tagged)?.[0]).toBe(/#.*/s.exec(address)?.[0]);
      }),
      runs(1000),
    );
  });
});
