import { ClickledgerError } from './errors.ts';
import { anyOf, nearestNames } from './nearest.ts';

// Time zones by their IANA names, and the local time of a zone. Postgres also accepts abbreviations and offsets, but reads them in ways
// that people do not expect: PST ignores daylight saving time, and UTC+5 means five hours behind UTC, because POSIX reverses the signs.

/**
 * The names of the IANA database that Intl does not list. Most of them are older or newer names of zones that Intl lists under another
 * name.
 */
const MORE_NAMES = `
  Africa/Asmara Africa/Timbuktu America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia
  America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/Mendoza America/Atikokan America/Atka America/Ensenada
  America/Fort_Wayne America/Indiana/Indianapolis America/Kentucky/Louisville America/Knox_IN America/Montreal America/Nipigon
  America/Nuuk America/Pangnirtung America/Porto_Acre America/Rainy_River America/Rosario America/Santa_Isabel America/Shiprock
  America/Thunder_Bay America/Virgin America/Yellowknife Antarctica/South_Pole Asia/Ashkhabad Asia/Choibalsan Asia/Chongqing
  Asia/Chungking Asia/Dacca Asia/Harbin Asia/Ho_Chi_Minh Asia/Istanbul Asia/Kashgar Asia/Kathmandu Asia/Kolkata Asia/Macao
  Asia/Tel_Aviv Asia/Thimbu Asia/Ujung_Pandang Asia/Ulan_Bator Asia/Yangon Atlantic/Faroe Atlantic/Jan_Mayen Australia/ACT
  Australia/Canberra Australia/Currie Australia/LHI Australia/NSW Australia/North Australia/Queensland Australia/South
  Australia/Tasmania Australia/Victoria Australia/West Australia/Yancowinna Brazil/Acre Brazil/DeNoronha Brazil/East Brazil/West
  Canada/Atlantic Canada/Central Canada/Eastern Canada/Mountain Canada/Newfoundland Canada/Pacific Canada/Saskatchewan Canada/Yukon
  Chile/Continental Chile/EasterIsland Cuba Egypt Eire Etc/GMT Etc/GMT+0 Etc/GMT+1 Etc/GMT+10 Etc/GMT+11 Etc/GMT+12 Etc/GMT+2
  Etc/GMT+3 Etc/GMT+4 Etc/GMT+5 Etc/GMT+6 Etc/GMT+7 Etc/GMT+8 Etc/GMT+9 Etc/GMT-0 Etc/GMT-1 Etc/GMT-10 Etc/GMT-11 Etc/GMT-12
  Etc/GMT-13 Etc/GMT-14 Etc/GMT-2 Etc/GMT-3 Etc/GMT-4 Etc/GMT-5 Etc/GMT-6 Etc/GMT-7 Etc/GMT-8 Etc/GMT-9 Etc/GMT0 Etc/Greenwich
  Etc/UCT Etc/UTC Etc/Universal Etc/Zulu Europe/Belfast Europe/Kyiv Europe/Nicosia Europe/Tiraspol Europe/Uzhgorod Europe/Zaporozhye
  GB GB-Eire Hongkong Iceland Iran Israel Jamaica Japan Kwajalein Libya Mexico/BajaNorte Mexico/BajaSur Mexico/General NZ NZ-CHAT
  Navajo PRC Pacific/Chuuk Pacific/Johnston Pacific/Kanton Pacific/Pohnpei Pacific/Samoa Pacific/Yap Poland Portugal ROC ROK
  Singapore Turkey US/Alaska US/Aleutian US/Arizona US/Central US/East-Indiana US/Eastern US/Hawaii US/Indiana-Starke US/Michigan
  US/Mountain US/Pacific US/Samoa W-SU
`;

/** The zones that each abbreviation could mean. */
const ABBREVIATIONS: Readonly<Record<string, string>> = {
  PST: 'America/Los_Angeles Asia/Manila Pacific/Pitcairn',
  PDT: 'America/Los_Angeles',
  PT: 'America/Los_Angeles',
  MST: 'America/Denver America/Phoenix Asia/Kuala_Lumpur',
  MDT: 'America/Denver',
  MT: 'America/Denver',
  CST: 'America/Chicago Asia/Shanghai America/Havana',
  CDT: 'America/Chicago America/Havana',
  CT: 'America/Chicago',
  EST: 'America/New_York America/Panama Australia/Sydney',
  EDT: 'America/New_York',
  ET: 'America/New_York',
  AST: 'America/Halifax America/Puerto_Rico Asia/Riyadh',
  ADT: 'America/Halifax',
  AKST: 'America/Anchorage',
  AKDT: 'America/Anchorage',
  HST: 'Pacific/Honolulu',
  HDT: 'America/Adak',
  NST: 'America/St_Johns',
  NDT: 'America/St_Johns',
  BRT: 'America/Sao_Paulo',
  ART: 'America/Argentina/Buenos_Aires',
  CLT: 'America/Santiago',
  COT: 'America/Bogota',
  PET: 'America/Lima',
  GMT: 'Europe/London Africa/Accra UTC',
  BST: 'Europe/London Asia/Dhaka Pacific/Bougainville',
  IST: 'Asia/Kolkata Asia/Jerusalem Europe/Dublin',
  IDT: 'Asia/Jerusalem',
  WET: 'Europe/Lisbon Atlantic/Canary',
  WEST: 'Europe/Lisbon Atlantic/Canary',
  CET: 'Europe/Berlin Europe/Paris Europe/Madrid Europe/Rome',
  CEST: 'Europe/Berlin Europe/Paris Europe/Madrid Europe/Rome',
  MET: 'Europe/Berlin Europe/Paris Europe/Madrid Europe/Rome',
  MEZ: 'Europe/Berlin Europe/Vienna Europe/Zurich',
  MESZ: 'Europe/Berlin Europe/Vienna Europe/Zurich',
  EET: 'Europe/Athens Europe/Helsinki Europe/Kyiv Africa/Cairo',
  EEST: 'Europe/Athens Europe/Helsinki Europe/Kyiv',
  MSK: 'Europe/Moscow',
  TRT: 'Europe/Istanbul',
  SAST: 'Africa/Johannesburg',
  CAT: 'Africa/Maputo',
  EAT: 'Africa/Nairobi',
  WAT: 'Africa/Lagos',
  GST: 'Asia/Dubai Atlantic/South_Georgia',
  PKT: 'Asia/Karachi',
  NPT: 'Asia/Kathmandu',
  ICT: 'Asia/Bangkok Asia/Ho_Chi_Minh',
  WIB: 'Asia/Jakarta',
  SGT: 'Asia/Singapore',
  HKT: 'Asia/Hong_Kong',
  PHT: 'Asia/Manila',
  JST: 'Asia/Tokyo',
  KST: 'Asia/Seoul',
  SST: 'Pacific/Pago_Pago Asia/Singapore',
  AEST: 'Australia/Sydney Australia/Melbourne Australia/Brisbane',
  AEDT: 'Australia/Sydney Australia/Melbourne',
  ACST: 'Australia/Adelaide Australia/Darwin',
  ACDT: 'Australia/Adelaide',
  AWST: 'Australia/Perth',
  NZST: 'Pacific/Auckland',
  NZDT: 'Pacific/Auckland',
  UCT: 'UTC',
  Z: 'UTC',
  ZULU: 'UTC',
};

/** The IANA names by their spelling in lower case. */
const NAMES = new Map(
  ['UTC', ...Intl.supportedValuesOf('timeZone'), ...MORE_NAMES.trim().split(/\s+/)].map((name) => [name.toLowerCase(), name]),
);

/** All names that parseTimeZone takes. */
export function timeZoneNames(): string[] {
  return [...NAMES.values()];
}

/**
 * Parses the IANA name of a time zone, or UTC, in upper or lower case. Returns the name in its usual spelling. Throws `bad-input` for any
 * other text; the message names the zones that could be meant.
 */
export function parseTimeZone(text: string): string {
  const name = NAMES.get(text.trim().toLowerCase());
  if (name !== undefined) return name;
  const word = text.trim().toUpperCase();
  // For example, EST5EDT is the abbreviation EST with an offset.
  const meant = ABBREVIATIONS[word] ?? ABBREVIATIONS[/^([A-Z]{3,4})\d+[A-Z]{0,4}$/.exec(word)?.[1] ?? ''];
  if (meant !== undefined && Object.hasOwn(ABBREVIATIONS, /^[A-Z]+/.exec(word)?.[0] ?? ''))
    throw new ClickledgerError(
      'bad-input',
      `'${text}' is an abbreviation, not the name of a time zone. Write the name: ${anyOf(meant.split(' '))}.`,
    );
  const offset = /^(?:UTC|GMT|Z)?\s*([+\-−])\s*(\d{1,2})(?::?(\d\d))?$/.exec(word);
  if (offset) {
    const minutes = (offset[1] === '+' ? 1 : -1) * (Number(offset[2]) * 60 + Number(offset[3] ?? 0));
    throw new ClickledgerError(
      'bad-input',
      `'${text}' is an offset, not the name of a time zone. Write the name${namesAt(minutes * 60_000)}.`,
    );
  }
  const near = nearestNames(text.trim().replaceAll(/\s+/g, '_'), NAMES.values());
  throw new ClickledgerError(
    'bad-input',
    `'${text}' is not the name of a time zone. ${near.length > 0 ? `Similar names: ${anyOf(near)}.` : 'Write a name such as Europe/Berlin, Asia/Kolkata or UTC.'}`,
  );
}

function namesAt(offsetMs: number): string {
  if (offsetMs === 0) return ': UTC';
  const now = Date.now();
  const names = Intl.supportedValuesOf('timeZone')
    .map((name) => NEW_NAMES[name] ?? name)
    .filter((name) => name.includes('/') && utcOffsetMs(name, now) === offsetMs);
  // Many zones have this offset. The message shows four: first one of each continent, then others.
  const first = names.filter((name, i) => names.findIndex((other) => other.split('/')[0] === name.split('/')[0]) === i);
  const shown = [...new Set([...first, ...names])].slice(0, 4);
  return shown.length === 0 ? ', such as Europe/Berlin' : `. At this offset now: ${anyOf(shown)}`;
}

/** Names that Intl lists in an older form. */
const NEW_NAMES: Readonly<Record<string, string>> = {
  'Asia/Calcutta': 'Asia/Kolkata',
  'Asia/Katmandu': 'Asia/Kathmandu',
  'Asia/Rangoon': 'Asia/Yangon',
  'Asia/Saigon': 'Asia/Ho_Chi_Minh',
  'Europe/Kiev': 'Europe/Kyiv',
};

/** The time zone of this machine. */
export function machineTimeZone(): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return NEW_NAMES[timeZone] ?? timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Returns how far the clock of a zone is ahead of UTC at a moment, in milliseconds. */
export function utcOffsetMs(zone: string, atMs: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    const two = '2-digit' as const;
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: two,
      day: two,
      hour: two,
      minute: two,
      second: two,
    });
    formats.set(zone, format);
  }
  const seconds = Math.floor(atMs / 1000) * 1000;
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(seconds)) part[type] = value;
  const year = part['era'] === 'BC' ? 1 - Number(part['year']) : Number(part['year']);
  return (
    utcMs(year, Number(part['month']), Number(part['day']), Number(part['hour']), Number(part['minute']), Number(part['second'])) - seconds
  );
}

/** Like Date.UTC, but correct for all years: Date.UTC reads the years 0 to 99 as 1900 to 1999. */
export function utcMs(year: number, month: number, day: number, hour = 0, minute = 0, second = 0): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime();
}

/**
 * Returns the moment at which the clock of a zone shows a time. `clockMs` is that time as if it were UTC, in milliseconds. It does the same
 * as Postgres: a time that the clock skips is moved later by the length of the skipped period, and a time that the clock shows twice means
 * the second moment.
 */
export function atClock(zone: string, clockMs: number): number {
  const day = 86_400_000;
  const [before, after] = [utcOffsetMs(zone, clockMs - day), utcOffsetMs(zone, clockMs + day)];
  const isShown = (offset: number): boolean => utcOffsetMs(zone, clockMs - offset) === offset;
  return clockMs - (isShown(after) ? after : before);
}

/** Returns the first moment of a day in a zone. `dayMs` is midnight as if it were UTC, in milliseconds. */
export function startOfDay(zone: string, dayMs: number): number {
  // In some zones the clock skips or repeats midnight. It rarely skips or repeats the second before midnight, so the calculation starts
  // there.
  return atClock(zone, dayMs - 1000) + 1000;
}

/** Formats the offset of a zone at a moment: +05:45. */
export function offsetText(zone: string, atMs: number): string {
  const offset = utcOffsetMs(zone, atMs);
  const seconds = Math.abs(offset) / 1000;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  const rest = seconds % 60 === 0 ? '' : `:${two(seconds % 60)}`;
  return `${offset < 0 ? '-' : '+'}${two(seconds / 3600)}:${two((seconds / 60) % 60)}${rest}`;
}

/** Formats a moment as local time in a zone, e.g. 2026-11-01 08:30 +05:45. In UTC, it ends with `UTC`. Omits the seconds if they are 0. */
export function formatMoment(atMs: number, zone: string): string {
  const clock = new Date(atMs + utcOffsetMs(zone, atMs)).toISOString().slice(0, 19).replace('T', ' ').replace(/:00$/, '');
  return `${clock} ${zone === 'UTC' ? 'UTC' : offsetText(zone, atMs)}`;
}
