import type { Audience } from '../state.ts';
import type { Rates } from './campaigns.ts';

/** Recipients and hits, all and those judged human. */
interface Counted {
  readonly hits: number;
  readonly human_hits: number;
  readonly recipients: number;
  readonly human_recipients: number;
}

/** The recipients that an audience has. Those of machines are the recipients without a hit by a person. */
export const recipientsOf = ({ recipients, human_recipients }: Counted, who: Audience): number =>
  ({ people: human_recipients, machines: recipients - human_recipients, both: recipients })[who];

export const hitsBy = ({ hits, human_hits }: Counted, who: Audience): number =>
  ({ people: human_hits, machines: hits - human_hits, both: hits })[who];

/** The recipients of a campaign with a click. */
export const clickersOf = ({ clicked, human_clicked }: Pick<Rates, 'clicked' | 'human_clicked'>, who: Audience): number =>
  ({ people: human_clicked, machines: clicked - human_clicked, both: clicked })[who];
