import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { runs } from '../../test/support/runs.ts';
import { decide } from './decide.ts';
import { scanHtml } from './html-links.ts';
import { TAG_DIALECTS } from './merge-tag-data.ts';
import { namesUnsubscribing } from './merge-tag-fields.ts';
import { dialectOf, foreignTags, tagInAddress } from './merge-tags.ts';
import { scanText } from './text-links.ts';

const examples = TAG_DIALECTS.flatMap(({ sender, shape, inside, examples: tags }) =>
  tags.map((tag) => ({ sender, shape, own: inside, tag })),
);
const rules = { baseUrls: ['https://t.example.org'], exclude: [], trackUnsubscribe: true, utm: {} };
const reasonFor = (address: string): string | undefined => {
  const link = { from: 0, to: address.length, address, words: 'Shop', context: '', noTrack: false, label: '' };
  const decision = decide(link, rules);
  return decision.track ? undefined : decision.reason;
};
const isKeptAsTag = (address: string): boolean => ['merge-tag', 'unsubscribe'].includes(reasonFor(address) ?? '');

/**
 * Percent-encode a text as editors do. `encodeMarks` encodes only the marks. `encodeAll` encodes every character that is not a letter or a
 * digit.
 */
const encodeMarks = (text: string): string => encodeURIComponent(text).replaceAll('%20', ' ');
const encodeAll = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*~_.-]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
const references = (text: string): string => text.replace(/[^\w\s]/gu, (mark) => `&#${mark.codePointAt(0)};`);

describe('dialects', () => {
  test('are many, of many senders, each with a source', () => {
    expect(new Set(TAG_DIALECTS.map(({ sender }) => sender)).size).toBeGreaterThanOrEqual(90);
    for (const { source } of TAG_DIALECTS) expect(URL.canParse(source)).toBe(true);
  });

  test.each(examples)(
    '$sender: $tag is known by its shape, and by its name if that is the own one of the sender',
    ({ sender, shape, own, tag }) => {
      const found = tagInAddress(tag.startsWith('https') ? tag : `https://shop.example/?e=${tag}`);
      expect(found).toMatchObject({ shape });
      const inside = found?.inside ?? '';
      if (own?.test(inside)) expect(dialectOf({ shape, inside })).toBe(sender);
    },
  );

  // A tag that is a whole address is left out, because it cannot be part of another address.
  const tags = examples.filter(({ tag, shape }) => !tag.startsWith('https') && shape !== '<element>');
  const positions: Record<string, (tag: string) => string> = {
    'a value of the query': (tag) => `https://shop.example/a?e=${tag}`,
    'the first of several values': (tag) => `https://shop.example/a?x=1&e=${tag}&y=2`,
    'an encoded value': (tag) => `https://shop.example/a?e=${encodeMarks(tag)}&y=2`,
    'a fully encoded value': (tag) => `https://shop.example/a?e=${encodeAll(tag)}`,
    'a twice encoded value': (tag) => `https://shop.example/a?to=${encodeURIComponent(`https://x.example/?e=${encodeURIComponent(tag)}`)}`,
    'the whole address': (tag) => tag,
    'the whole address, encoded': (tag) => encodeAll(tag),
  };
  describe.each(Object.keys(positions))('in %s', (position) => {
    test.each(tags)('$tag', ({ tag }) => {
      expect(tagInAddress((positions[position] as (tag: string) => string)(tag))).toBeDefined();
    });
  });

  // Tags of these shapes are recognised only as values, because their marks are common in paths.
  const anywhere = tags.filter(({ shape }) => !['--', '----', '!', '$', '@Model', '<>', '()'].includes(shape));
  const paths: Record<string, (tag: string) => string> = {
    'a part of the path': (tag) => `https://shop.example/a/${tag}/b`,
    'the last part of the path': (tag) => `https://shop.example/${tag}`,
    'an encoded part of the path': (tag) => `https://shop.example/${encodeAll(tag)}/b`,
    'the host': (tag) => `http://${tag}`,
    'the host, encoded': (tag) => `http://${encodeAll(tag)}`,
    'the host, with a path': (tag) => `http://${tag}/a`,
  };
  describe.each(Object.keys(paths))('in %s', (position) => {
    test.each(anywhere)('$tag', ({ tag }) => {
      expect(isKeptAsTag((paths[position] as (tag: string) => string)(tag))).toBe(true);
    });
  });

  test.each(tags)('in HTML, as characters and as references: $tag', ({ tag }) => {
    const spelled = tag.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
    for (const href of [spelled, references(tag)]) {
      const { links } = scanHtml(`<a href="https://shop.example/?e=${href}">Shop</a>`);
      expect(links).toHaveLength(1);
      expect(isKeptAsTag((links[0] as { address: string }).address)).toBe(true);
    }
  });

  test.each(anywhere.filter(({ shape, tag }) => !['<<>>', '«»', '<??>'].includes(shape) && !tag.startsWith('<%[')))(
    'in plain text: $tag',
    ({ tag }) => {
      const address = `https://shop.example/?e=${tag}`;
      const links = scanText(`Look: ${address} and ${address}, or (${address}).`);
      expect(links.map((link) => isKeptAsTag(link.address))).toEqual([true, true, true]);
      expect(links[0]?.address).toBe(address);
    },
  );
});

test.each([
  ['https://x.example/?e={contact.email}', 'merge-tag'],
  ['https://x.example/?e=[EMAIL]', 'merge-tag'],
  ['https://x.example/?e=%EMAIL%', 'merge-tag'],
  ['https://x.example/?e=###USER_email###', 'merge-tag'],
  ['https://x.example/?e=-email-', 'merge-tag'],
  ['https://x.example/?e=%7B%7Bemail%7D%7D', 'merge-tag'],
  ['https://x.example/?e=*%7CEMAIL%7C*', 'merge-tag'],
  ['https://x.example/?e=%257B%257Bemail%257D%257D', 'merge-tag'],
  ['https://x.example/?e=%7B{email}%7D', 'merge-tag'],
  ['https://x.example/?e={{email', 'merge-tag'],
  ['https://x.example/?c={my_own_field}', 'merge-tag'],
  ['https://x.example/{my_own_field}/', 'merge-tag'],
  ['https://x.example/?c=[MY_FIELD]', 'merge-tag'],
  ['https://x.example/?c=%MY_FIELD%', 'merge-tag'],
  ['https://x.example/?c=$my_field$', 'merge-tag'],
  ['https://x.example/?a={prénom}', 'merge-tag'],
  ['https://x.example/?a={имя}', 'merge-tag'],
  ['https://x.example/user-{id}.html', 'merge-tag'],
  ['https://x.example/?e={e-mail}', 'merge-tag'],
  ['https://x.example/?e={email:urlencode}', 'merge-tag'],
  ['https://x.example/?e=@@email@@', 'merge-tag'],
  ['https://x.example/?e=||email||', 'merge-tag'],
  ['https://x.example/?e=^email^', 'merge-tag'],
  ['https://x.example/?e=*EMAIL*', 'merge-tag'],
  ['https://x.example/?e={*email*}', 'merge-tag'],
  ['https://x.example/?e=[$email]', 'merge-tag'],
  ['https://x.example/?e=(email)', 'merge-tag'],
  ['https://x.example/?e=<email>', 'merge-tag'],
  ['http://%7B%7Bunsubscribe%7D%7D', 'unsubscribe'],
  ['http://{unsubscribe_url}', 'unsubscribe'],
  ['http://[unsubscribe]', 'unsubscribe'],
  ['http://%unsubscribe_url%', 'unsubscribe'],
  ['http://*|UNSUB|*', 'unsubscribe'],
  ['%5Bunsubscribe%5D', 'unsubscribe'],
  ['##UnsubscribeLink##', 'unsubscribe'],
  ['#unsubscribe#', 'unsubscribe'],
  ['https://x.example/?e={{email}}&t={{unsubscribe_token}}', 'unsubscribe'],
  ['https://x.example/?e=[LINK_UNSUBSCRIBE]', 'unsubscribe'],
])('%s is kept: %s', (address, reason) => {
  expect(reasonFor(address)).toBe(reason);
});

/** Addresses that have the marks of merge tags, but no merge tag. */
const HARMLESS = `
  https://shop.example/?ids[]=3&ids[]=4
  https://shop.example/?filter[name]=x&filter[email]=y
  https://shop.example/?filter%5Bname%5D=x
  https://shop.example/?filter[name][0]=x
  https://shop.example/?[name]=x
  https://shop.example/?a[b][c]=[1,2,3]
  https://shop.example/list[1]
  https://shop.example/?range=[10,20]
  https://shop.example/?box=[[52.1,13.2],[52.3,13.5]]
  https://shop.example/?t=[red]
  https://shop.example/?q=[sic]
  http://[::1]/
  http://[2001:db8::1]:8080/
  http://[fe80::dead:beef]/
  https://wiki.example/wiki/Foo_(bar)
  https://wiki.example/wiki/Name_(disambiguation)
  https://wiki.example/wiki/(name)
  https://wiki.example/wiki/[REC]
  https://wiki.example/wiki/$9.99
  https://wiki.example/wiki/C%2B%2B
  https://wiki.example/wiki/100%25
  https://shop.example/?q=50%25
  https://shop.example/?q=50%25+off+20%25
  https://shop.example/?q=100%&x=50%
  https://shop.example/100%
  https://shop.example/?q=%E2%82%AC
  https://shop.example/?q=%E2%82%AC%20email%20%E2%82%AC
  https://shop.example/?q=%C3%A4name%C3%A4
  https://shop.example/?q=%DAte%20x
  https://shop.example/?q=%AB%CD%EF
  https://shop.example/?q=%22email%22
  https://shop.example/%D0%B8%D0%BC%D1%8F/
  https://shop.example/a-name-b
  https://shop.example/-name-/
  https://shop.example/first-name-and-email-address
  https://shop.example/?sort=-name
  https://shop.example/?x=a-name-b
  https://shop.example/?x=-foo-
  https://shop.example/?d=2026-11-28
  https://shop.example/a--b--c
  https://shop.example/~user/
  https://shop.example/~user~x/
  https://shop.example/?x=~name
  https://shop.example/$metadata
  https://shop.example/?$filter=name
  https://shop.example/?$select=name,email&$top=3
  https://shop.example/?price=$5
  https://shop.example/$5
  https://shop.example/?x=US$100
  https://shop.example/?q={"json":1}
  https://shop.example/?q={"name":"x"}
  https://shop.example/?q=%7B%22name%22%3A%22x%22%7D
  https://shop.example/?q={%22color%22:%22red%22}
  https://shop.example/?q={name:"x"}
  https://shop.example/?q={id:1}
  https://shop.example/?q={"a":{"b":{"c":1}}}
  https://shop.example/?fields={id,name}
  https://shop.example/?query={user{name}}
  https://shop.example/?id={6F9619FF-8B86-D011-B42D-00CF4FC964FF}
  https://shop.example/?id=%7BA1B2C3D4-8B86-D011-B42D-00CF4FC964FF%7D
  https://shop.example/{1}
  https://shop.example/?x={}
  https://shop.example/?q=a{2,3}b
  https://shop.example/#!/route
  https://shop.example/#/user/name
  https://shop.example/#name
  https://shop.example/#name#top
  https://shop.example/a#b#c
  https://shop.example/##
  https://shop.example/?tag=#email
  https://shop.example/?id=ABC_DEF
  https://shop.example/__init__.py
  https://docs.example/library/__main__.html
  https://docs.example/reference#definition.__name__
  https://shop.example/?q=__FILE__
  https://shop.example/a__b__c
  https://social.example/@name
  https://social.example/@email/123
  https://user@shop.example/
  https://user:name@shop.example/
  https://maps.example/@52.5,13.4,15z
  https://shop.example/!name
  https://shop.example/?x=!
  https://shop.example/a!b!c
  https://shop.example/?q=foo*|bar*
  https://shop.example/?q=a|b|c
  https://shop.example/?q=*
  https://shop.example/?q=%28name%29
  https://shop.example/?q=%3Cname%3E
  https://shop.example/?q=name%20%7C%20email
  https://shop.example/(S(abc))/default.aspx
  https://shop.example/?where=%7B%22email%22%3A%7B%22%24eq%22%3A%22x%22%7D%7D
  https://shop.example/?query=query%20%7Buser%20%7Bname%7D%7D
  https://shop.example/?columns[0][data]=name&order[0][column]=1
  https://shop.example/?data=05%7C02%7C%7Cname%7C0%7CUnknown%7C&reserved=0
  https://shop.example/:x:/r/Doc.aspx?doc=%7B6F9619FF-8B86-D011-B42D-00CF4FC964FF%7D
  https://shop.example/?text=%5BEmail%5D%20Title
  https://shop.example/maps/@52.5,13.4,15z/data=!4m5!3m4!1s0x47a8
  https://shop.example/?__cft__[0]=AZ&__tn__=-R
  https://shop.example/std::vector::begin
  https://shop.example/?q=a<b>c
  https://shop.example/?x=(name:foo)
  https://shop.example/?a=1;b=2,c=3
  https://shop.example/?a=b&amp=c&copy=1
  https://shop.example/?to=https%3A%2F%2Fx.example%2F%3Fa%5B%5D%3D1
`
  .trim()
  .split(/\s*\n\s*/);

test('there are many harmless addresses', () => {
  expect(new Set(HARMLESS).size).toBeGreaterThanOrEqual(90);
});

test.each(HARMLESS)('%s is tracked', (address) => {
  expect(tagInAddress(address)).toBeUndefined();
  expect(reasonFor(address)).toBeUndefined();
});

test('an address of usual characters has no tag', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9._~-]{1,12}$/).filter((text) => !/^-.*-$|~.*~|__/.test(text));
  const encoded = fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => encodeURIComponent(text.replace(/[^\p{L}\p{N} ,.:]/gu, '')));
  const part = fc.oneof(word, encoded);
  const address = fc
    .tuple(fc.array(part, { maxLength: 4 }), fc.array(fc.tuple(word, part), { maxLength: 4 }), fc.option(word))
    .map(
      ([path, query, hash]) =>
        `https://shop.example/${path.join('/')}?${query.map(([name, value]) => `${name}=${value}`).join('&')}${hash === null ? '' : `#${hash}`}`,
    );
  fc.assert(
    fc.property(address, (text) => {
      expect(tagInAddress(text)).toBeUndefined();
    }),
    runs(2000),
  );
});

test('a strong tag is found wherever it stands, in any spelling', () => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{1,20}$/);
  const tag = fc
    .tuple(
      name,
      fc.constantFrom(
        '{{?}}',
        '{{ ? }}',
        '{{{?}}}',
        '*|?|*',
        '%%?%%',
        '[[?]]',
        '${?}',
        '{% ? %}',
        '<%= ? %>',
        '$[?]$',
        '{!?}',
        '{$?}',
        '##?##',
      ),
    )
    .map(([inside, around]) => around.replace('?', () => inside));
  const place = fc.constantFrom(
    'https://a.example/?e=@',
    'https://a.example/x@y/',
    'http://@',
    '@',
    'https://a.example/?x=1&y=z@&b=2',
    'https://a.example/#@',
  );
  const spelling = fc.constantFrom(
    (text: string) => text,
    encodeMarks,
    encodeAll,
    references,
    (text: string) => encodeAll(encodeAll(text)),
  );
  fc.assert(
    fc.property(tag, place, spelling, (spelled, around, spell) => {
      expect(tagInAddress(around.replace('@', () => spell(spelled)))).toBeDefined();
    }),
    runs(3000),
  );
});

test.each(['unsubscribe_url', 'UNSUB', 'opt-out', 'OptOut', 'asm_group_unsubscribe_raw_url', 'remove', 'abmeldelink', 'désabonnement'])(
  '%s names unsubscribing',
  (inside) => expect(namesUnsubscribing(inside)).toBe(true),
);
test.each(['email', 'subscriber.email', 'remove_spaces', 'ARCHIVE', 'option'])('%s does not name unsubscribing', (inside) =>
  expect(namesUnsubscribing(inside)).toBe(false),
);

describe('tags in visible text', () => {
  test.each([
    ['Dear *|FNAME|*,', '*|FNAME|*', 'Mailchimp'],
    ['Dear %%FirstName_%%', '%%FirstName_%%', 'Delivra'],
    ['Hello {contact.first_name}!', '{contact.first_name}', 'CiviCRM'],
    ['Hello [UNSUBSCRIBE_URL]', '[UNSUBSCRIBE_URL]', 'MailWizz'],
    ['Hello [firstname,fallback=friend],', '[firstname,fallback=friend]', 'Campaign Monitor or Sendy'],
    ['Hello %FIRSTNAME%,', '%FIRSTNAME%', 'ActiveCampaign'],
    ['Hello [[firstname]],', '[[firstname]]', 'GetResponse'],
    ['Hello {!firstname_fix},', '{!firstname_fix}', 'AWeber'],
    ['Hello {$name},', '{$name}', 'MailerLite'],
    ['Hello ~Contact.FirstName~', '~Contact.FirstName~', 'Keap'],
    ['Hello $firstname$,', '$firstname$', 'Emarsys or SALESmanago'],
    ['Hello __FIRSTNAME__,', '__FIRSTNAME__', 'Dolibarr'],
    ['Hello ###USER_name###', '###USER_name###', 'TYPO3 Direct Mail'],
    ['{% if name %}x', '{% if name %}', 'Jinja, Twig or Liquid'],
    ['Hello <%= name %>', '<%= name %>', 'ERB, EJS or ASP'],
    ['Hello {{${first_name}}}', '{{${first_name}}}', 'Braze'],
    ['Hello <<First Name>>', '<<First Name>>', 'Word mail merge'],
    ['Hello ${first_name}', '${first_name}', 'Velocity or FreeMarker'],
  ])('%s', (text, tag, dialect) => {
    const from = text.indexOf(tag);
    expect(foreignTags(text)).toMatchObject([{ from, to: from + tag.length, text: tag, dialect }]);
  });

  test('are in the order of the text and do not overlap', () => {
    expect(foreignTags('%EMAIL% {email} *|EMAIL|* [[email]]').map(({ text }) => text)).toEqual([
      '%EMAIL%',
      '{email}',
      '*|EMAIL|*',
      '[[email]]',
    ]);
  });

  test.each([
    'Dear {{name}}, {{ name | there }} {{{name}}}',
    'Save 20% today and 30% tomorrow',
    'From $5 to $10, or 5$ (name your price)',
    '[Unsubscribe](https://shop.example/bye)',
    '[1]: https://shop.example/',
    '[1] and [sic] and [...]',
    'We don’t – or do we? – know #hashtag and #another one#',
    '## News ##',
    '~~old~~ new, **bold** and _soft_ and __strong__',
    'a -name- b, first-name, e-mail -',
    'ann@example.com and bob@example.com',
    '« Nom » et «Guillemets»',
    'function() { return name; }',
    '{a: 1}',
    'Rock & Roll; Q&A;',
    'Hey !name! @name @here',
    '',
  ])('%j has none', (text) => {
    expect(foreignTags(text)).toEqual([]);
  });
});

test.each(
  '{ } {{ }} {{a {{{ * *| *|a % %% %%= %a [[ [[a [% [%a: ]] $ ${ $$ $[ # ## #a ~ ~~ ~a @ - -- -a _ __ __A <% < << <a « :: ::a & &* %7B %257B ( {a: [a: {% {! {$ {( {| @Model. a}} {{${ {unsubscribe: %( !a =-a [agnA [EMV'.split(
    ' ',
  ),
)('four times as many %j take about four times as long', (text) => {
  expectLinear(1000, (times) => `https://e.org/?a=${text.repeat(times)}`, tagInAddress);
  expectLinear(1000, (times) => text.repeat(times), foreignTags);
  expectLinear(1000, (times) => `https://e.org/?a=${text.repeat(times)}`, scanText);
});
