import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planLetter } from '../../authoring/letter/plan.ts';

// The labelled corpus of links, and the letters that the tests build around it. The files known.tsv and held-out.tsv have one link per
// line: language, label (`track`, or `keep` for a link that is not tracked), kind and phrase. The phrases of held-out.tsv were written
// before the rules. Do not look at them when you change the rules. Otherwise they can no longer show whether the rules work for unknown
// phrases.

type Kind = 'words' | 'sentence' | 'before' | 'alt' | 'address';

export interface Item {
  /** An ISO 639 code. Addresses have `und`, which means no language. */
  language: string;
  label: 'keep' | 'track';
  /**
   * The kind of the phrase: the text of the link (`words`), a sentence with the link in square brackets (`sentence`), the text before a
   * link whose text is its address (`before`), the alternative text of an image in the link (`alt`), or the address of the link
   * (`address`).
   */
  kind: Kind;
  phrase: string;
}

/** Reads one part of the corpus. */
export function readCorpus(part: 'known' | 'held-out'): Item[] {
  const [, ...lines] = readFileSync(join(import.meta.dirname, `${part}.tsv`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => {
    const [language, label, kind, phrase] = line.split('\t') as [string, Item['label'], Kind, string];
    return { language, label, kind, phrase };
  });
}

const ADDRESS = 'https://news.example/x/1';

/** A way to write the same phrase in HTML. */
export type Spelling = (phrase: string) => string;
export const asIs: Spelling = (phrase) => phrase.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Returns the item's link in a small HTML letter. `spell` writes the phrase in HTML. */
export function inHtml({ kind, phrase }: Item, spell: Spelling = asIs): string {
  const link = (text: string, address = ADDRESS) => `<a href="${asIs(address)}">${text}</a>`;
  const paragraph = (): string => {
    switch (kind) {
      case 'words':
        return link(spell(phrase));
      case 'sentence': {
        const [before, words, after] = phrase.split(/[[\]]/) as [string, string, string];
        return `${spell(before)}${link(spell(words))}${spell(after)}`;
      }
      case 'before':
        return `${spell(phrase)} ${link(ADDRESS)}`;
      case 'alt':
        return link(`<img src="https://news.example/a.png" alt="${spell(phrase)}">`);
      case 'address':
        return link('More', phrase);
    }
  };
  return `<html><body><p>Ann,</p><p>${paragraph()}</p><p>Bob</p></body></html>`;
}

/** Returns the item's link in a plain-text letter. */
export function inText({ kind, phrase }: Item): string {
  const line = kind === 'address' ? `More: ${phrase}` : `${phrase.replace(/[[\]]/g, '').replace(/[:：]$/, '')}: ${ADDRESS}`;
  return `Ann,\n\n${line}\n\nBob\n`;
}

/** Returns the decision of `prepare` about the only link of a letter. */
export function decisionOn(letter: string, kind: 'html' | 'text'): 'keep' | 'track' {
  const rules = { baseUrls: ['https://t.example.org'], exclude: [], trackUnsubscribe: false, utm: {}, pixel: 'none' } as const;
  const { tracked, kept } = planLetter(Buffer.from(letter), kind, rules);
  if (tracked.length + kept.length !== 1) throw new Error(`one link expected in ${letter}`);
  return tracked.length === 1 ? 'track' : 'keep';
}
