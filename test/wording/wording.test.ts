import { stdout } from 'node:process';
import { describe, expect, test } from 'vitest';
import { asIs, decisionOn, type Item, inHtml, inText, readCorpus, type Spelling } from './corpus.ts';

// Measures which links of the corpus `prepare` keeps, which means that it does not track them. Recall is the share of the links with the
// label `keep` that are kept. Precision is the share of the kept links that have the label `keep`.

const PARTS = { known: readCorpus('known'), 'held-out': readCorpus('held-out') };
const ALL = Object.values(PARTS).flat();
const MINIMUM = 0.97;

interface Figures {
  recall: number;
  precision: number;
  missed: string[];
  wronglyKept: string[];
}

function measure(items: readonly Item[], decisionOf: (item: Item) => 'keep' | 'track'): Figures {
  const decided = items.map((item) => ({ ...item, decision: decisionOf(item) }));
  const kept = decided.filter(({ decision }) => decision === 'keep');
  const toKeep = decided.filter(({ label }) => label === 'keep');
  const right = kept.filter(({ label }) => label === 'keep').length;
  const phrases = (found: typeof decided) => found.map(({ language, phrase }) => `${language}: ${phrase}`);
  return {
    recall: right / (toKeep.length || 1),
    precision: right / (kept.length || 1),
    missed: phrases(toKeep.filter(({ decision }) => decision === 'track')),
    wronglyKept: phrases(kept.filter(({ label }) => label === 'track')),
  };
}

const inMedium = {
  HTML: (item: Item) => decisionOn(inHtml(item), 'html'),
  'plain text': (item: Item) => decisionOn(inText(item), 'text'),
};
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

describe('the corpus', () => {
  test('has enough phrases of every kind, and a third of near misses', () => {
    const languages = new Set(ALL.map(({ language }) => language));
    expect(ALL.length).toBeGreaterThanOrEqual(1400);
    expect(languages.size).toBeGreaterThanOrEqual(44);
    for (const kind of ['words', 'sentence', 'before', 'alt', 'address'] as const)
      expect(ALL.filter((item) => item.kind === kind).length).toBeGreaterThan(20);
    expect(ALL.filter(({ label }) => label === 'track').length).toBeGreaterThan(ALL.length / 3);
    for (const language of languages)
      for (const label of ['keep', 'track']) expect(ALL.some((item) => item.language === language && item.label === label)).toBe(true);
  });

  test('has each phrase once', () => {
    const keys = ALL.map(({ language, kind, phrase }) => `${language} ${kind} ${phrase}`);
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });
});

describe.each(['HTML', 'plain text'] as const)('in %s', (medium) => {
  // Plain text has no images, so there are no alternative texts.
  const of = (items: readonly Item[]) => items.filter(({ kind }) => medium === 'HTML' || kind !== 'alt');

  test.each(['known', 'held-out'] as const)('of the phrases that are %s, nearly all are decided right', (part) => {
    const { recall, precision, missed, wronglyKept } = measure(of(PARTS[part]), inMedium[medium]);
    stdout.write(`${medium}, ${part}: ${of(PARTS[part]).length} phrases, recall ${percent(recall)}, precision ${percent(precision)}\n`);
    if (part === 'known') stdout.write(`  tracked: ${missed.join('; ') || 'none'}\n  kept: ${wronglyKept.join('; ') || 'none'}\n`);
    expect(recall).toBeGreaterThanOrEqual(MINIMUM);
    expect(precision).toBeGreaterThanOrEqual(MINIMUM);
  });

  test('each language is decided right', () => {
    const languages = [...new Set(ALL.map(({ language }) => language))].sort();
    const lines = languages.map((language) => {
      const items = of(ALL).filter((item) => item.language === language);
      const { recall, precision } = measure(items, inMedium[medium]);
      expect.soft([language, recall >= 0.8, precision >= 0.9]).toEqual([language, true, true]);
      return `${language.padEnd(8)} ${String(items.length).padStart(4)} phrases, recall ${percent(recall)}, precision ${percent(precision)}`;
    });
    stdout.write(`${medium}\n  ${lines.join('\n  ')}\n`);
  });
});

// The same phrase, written in other ways that look the same or nearly the same.
const everyCharacter = (spell: (character: string) => string) => (phrase: string) =>
  Array.from(phrase, (character) => spell(character)).join('');
const SPELLINGS: Readonly<Record<string, Spelling>> = {
  'upper case': (phrase) => (phrase.includes('{{') ? asIs(phrase) : asIs(phrase.toUpperCase())),
  'soft hyphens': (phrase) => asIs(phrase).replace(/(?<=[^&;#\d\s]{3})(?=\p{L}{3})/gu, '&shy;'),
  'zero-width characters': (phrase) => asIs(phrase).replace(/ /g, '\u200b \u200c').replace(/$/, '\ufeff'),
  'no-break spaces': (phrase) => asIs(phrase).replace(/ /g, '&nbsp;'),
  entities: everyCharacter((character) => `&#x${(character.codePointAt(0) as number).toString(16)};`),
  'decomposed accents': (phrase) => asIs(phrase.normalize('NFD')),
  'line breaks': (phrase) => asIs(phrase).replace(/ /g, '\n   '),
};
// These spellings add text or tags. This makes no sense in an alternative text or in a part of a sentence.
const WRAPPINGS: Readonly<Record<string, Spelling>> = {
  'a span and a b': (phrase) => `<span style="color:red"><b>${asIs(phrase)}</b></span>`,
  'a b for the first letters': (phrase) => `<b>${asIs(phrase.slice(0, 2))}</b>${asIs(phrase.slice(2))}`,
  'an arrow': (phrase) => `${asIs(phrase)} →`,
  'angle quotes': (phrase) => `» ${asIs(phrase)}`,
  'a trade mark': (phrase) => `${asIs(phrase)}™`,
  brackets: (phrase) => `[${asIs(phrase)}]`,
};

describe('the same phrase is decided in the same way', () => {
  const usual = new Map(ALL.map((item) => [item, inMedium.HTML(item)]));
  const differences = (items: readonly Item[], spell: Spelling) =>
    items
      .filter((item) => decisionOn(inHtml(item, spell), 'html') !== usual.get(item))
      .map(({ language, phrase }) => `${language}: ${phrase}`);

  test.each(Object.entries(SPELLINGS))('with %s', (_, spell) => {
    expect(differences(ALL, spell)).toEqual([]);
  });

  test.each(Object.entries(WRAPPINGS))('with %s', (_, spell) => {
    const items = ALL.filter(({ kind }) => kind === 'words');
    expect(differences(items, spell)).toEqual([]);
  });
});
