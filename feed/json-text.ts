import { type Address, type FeedEvent, identityOf, type Item, toJson } from './event.ts';

// Writes items as JSON text. A hit is written without an object in between, because at 20,000 events a second most of the time of a delivery would be
// spent on these objects. json-text.test.ts compares both.

/** Characters that JSON writes as they are. */
const PLAIN = /^[ !#-[\]-~]*$/;

const text = (value: string | null): string => {
  if (value === null) return 'null';
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
};

/** Returns `JSON.stringify(toJson(item, shard, addresses))`. */
export function toJsonText(item: Item, shard: string, addresses?: ReadonlyMap<number, Address>): string {
  const { event, change } = item;
  const isHit = event.kind === 'click' || event.kind === 'open';
  return isHit && change === undefined ? hitText(event, shard, addresses) : JSON.stringify(toJson(item, shard, addresses));
}

function hitText(e: FeedEvent, shard: string, addresses: ReadonlyMap<number, Address> | undefined): string {
  const address = e.recipient_id === null ? undefined : addresses?.get(e.recipient_id);
  const contact =
    addresses === undefined ? '' : `,"email":${text(address?.email ?? null)},"external_id":${text(address?.external_id ?? null)}`;
  const signals = e.signals === null || e.signals === '' ? '[]' : `["${e.signals.replaceAll(',', '","')}"]`;
  return (
    `{"id":"${identityOf(e)}","type":"${e.kind}","at":"${new Date(e.at).toISOString()}","recipient_id":${e.recipient_id}${contact}` +
    `,"campaign_id":${e.campaign_id},"link_id":${e.link_id},"link_version":${e.link_version},"visitor":${text(e.visitor)}` +
    `,"country":${text(e.country)},"net":${text(e.net)},"referrer":${text(e.referrer)},"client":${text(e.client)}` +
    `,"client_version":${text(e.client_version)},"system":${text(e.system)},"device":${text(e.device)},"verdict":${text(e.verdict)}` +
    `,"rules":${e.rules},"request_id":"${e.request_id}","signals":${signals},"shard":"${shard}","gen":"${e.gen}","off":${e.off}}`
  );
}
