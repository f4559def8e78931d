import { html } from '../../reporting/format/markup.ts';
import { readCampaign, readRates } from '../figures/campaigns.ts';
import { nameOfLink, readLink } from '../figures/links.ts';
import { readTimeline } from '../figures/timeline.ts';
import { addressOf } from '../state.ts';
import { audienceSwitch, cards, time, zoneForm } from './components.ts';
import { type Content, live } from './frame.ts';
import { part, type Reader, reachNote } from './reader.ts';
import { rangeBar, timelineChart } from './timeline-view.ts';

// The page of a link: how many clicked it, when, and who.

export async function linkPage(reader: Reader, numberOrName: string, link: number): Promise<Content> {
  const { pool, limits, formats, state } = reader;
  const campaign = await readCampaign(pool, numberOrName, limits);
  const id = campaign.campaign_id;
  const [found, rates, reach] = await Promise.all([readLink(pool, id, link, limits), readRates(pool, id, limits), reachNote(reader)]);
  const chart = await part(async () =>
    timelineChart(await readTimeline(pool, { campaign: id, link, sentAt: campaign.sent_at }, state, limits), ['clicks'], reader),
  );
  const name = nameOfLink(found);
  const base = `/campaign/${id}`;
  const path = `${base}/link/${link}`;
  const people = addressOf(`${path}/people`, state);
  const { target, position, aliases, disabled_at, expires_at } = found;
  return {
    title: `${name}: ${campaign.name}`,
    breadcrumbs: [
      { href: addressOf(base, state), text: campaign.name },
      { href: addressOf(path, state), text: name },
    ],
    body: html`<h1 class="address">${name}</h1>
<p class="question">Link ${link}${position !== null && html`, place ${position} in the letter`}, leads to <a href="${target}" rel="noreferrer nofollow">${target}</a>${aliases.length > 0 && html`, also known as ${aliases.join(', ')}`}.${disabled_at !== null && html` Disabled ${time(disabled_at, formats)}.`}${expires_at !== null && html` Expires ${time(expires_at, formats)}.`}</p>
${live(
  html`${reach}${cards([
    {
      name: 'People who clicked',
      value: formats.number(found.human_recipients),
      href: people,
      note: html`${formats.share(found.human_recipients, rates.human_clicked)} of the people who clicked in this letter`,
    },
    { name: 'Clicks by people', value: formats.number(found.human_hits) },
    {
      name: 'Clicks by machines',
      value: formats.number(found.hits - found.human_hits),
      note: html`from the links of ${formats.number(found.recipients - found.human_recipients)} other recipients`,
    },
  ])}`,
)}
<p class="actions"><a href="${people}">Who clicked this link</a><a href="${addressOf(`${path}/people`, state, { mailable: 'only' })}">Who clicked and can be mailed</a></p>
<section id="time" aria-labelledby="time-title"><h2 id="time-title">Over time</h2>
<div class="toolbar">${audienceSwitch(path, state)}</div>
${rangeBar(path, state)}
${live(chart)}</section>`,
    footer: zoneForm(path, state, formats.zone),
  };
}
