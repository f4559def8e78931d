import { ClickledgerError } from '../../core/errors.ts';
import { clickersOf, recipientsOf } from '../figures/audience.ts';
import { readCampaign, readRates } from '../figures/campaigns.ts';
import { readLetter } from '../figures/letters.ts';
import { readLinks } from '../figures/links.ts';
import { addressOf } from '../state.ts';
import { letterDocument, type Mark } from './letter-frame.ts';
import type { Reader } from './reader.ts';

/** Builds the document for the frame of a letter: the letter with the share of each link. Throws `not-found` if the letter is not stored. */
export async function letterPage(reader: Reader, numberOrName: string, letter: string, part: string): Promise<string> {
  const { pool, limits, formats, state } = reader;
  if (part !== 'html' && part !== 'text') throw new ClickledgerError('not-found', 'a letter has the parts html and text');
  const campaign = await readCampaign(pool, numberOrName, limits);
  const id = campaign.campaign_id;
  const [stored, links, rates] = await Promise.all([
    readLetter(pool, id, letter, limits),
    readLinks(pool, id, limits),
    readRates(pool, id, limits),
  ]);
  const { who } = state;
  const all = clickersOf(rates, who);
  const most = Math.max(1, ...links.map((link) => recipientsOf(link, who)));
  const marks = new Map(
    links.map((link): [number, Mark] => {
      const count = recipientsOf(link, who);
      return [
        link.link_id,
        {
          href: addressOf(`/campaign/${id}/link/${link.link_id}`, state),
          text: all === 0 ? formats.number(count) : `${formats.share(count, all)} · ${formats.number(count)}`,
          weight: count / most,
        },
      ];
    }),
  );
  return letterDocument(stored, part, marks, state.images);
}
