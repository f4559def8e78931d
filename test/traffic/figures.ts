// All numbers that determine the generated traffic, with their sources. A number without a published source is marked as assumed.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The cumulative share of events at a time after sending: [share, milliseconds], both ascending. */
export type Timeline = readonly (readonly [share: number, ms: number])[];

// ---- Opening and clicking --------------------------------------------------------------------------------------------------------

/**
 * The share of recipients with a recorded open, including opens by Apple's proxy. Source: GetResponse 2022, almost 7 billion messages, 26.8
 * % worldwide. https://campaignsms.com/global-metrics-playoff-whos-doing-best-with-their-email-marketing-mediapost-communications (the same
 * page: click-to-open 7 %, North America 9.6 %; GetResponse 2019, before Apple: open rate of newsletters 20.48 %, click-to-open 13.86 %,
 * https://www.mediapost.com/publications/article/339901/worldwide-opens-and-clicks-newsletters-do-well-t.html)
 */
export const OPEN_RATE = 0.268;

/**
 * The mean number of opens by a person who opens. Assumed: some pages define total and unique opens, but no page with measured numbers was
 * found.
 */
export const OPENS_PER_OPENER = 1.3;

/**
 * The share of each mail client in all opens. Source: Litmus, December 2021, over a billion opens. This is the last month that was found
 * with all parts of Apple's share: https://www.litmus.com/blog/email-client-market-share-december-2021 (Apple 57.4 %: Mail Privacy
 * Protection 41.0, iPhone 10.7, Mail 5.0, iPad 0.6; Gmail 30.4; Outlook 4.1; Yahoo 2.5; Google Android 2.0; Outlook.com 1.0; Samsung 0.4).
 * The remaining share is «other». Later reports attribute more than half of all opens to Mail Privacy Protection:
 * https://feeds.houseofsummary.com/blog/average-newsletter-open-rate
 */
export const OPEN_SHARES = {
  'apple-mpp': 0.41,
  iphone: 0.107,
  'apple-mail': 0.05,
  ipad: 0.006,
  gmail: 0.304,
  outlook: 0.041,
  yahoo: 0.025,
  android: 0.02,
  'outlook.com': 0.01,
  samsung: 0.004,
  other: 0.023,
} as const;
export type ClientName = keyof typeof OPEN_SHARES;

/**
 * For each device: its share of the addresses, the share of recipients with at least one click, and the number of clicks per recipient.
 * Source: Mailchimp, 395 million messages. PC, tablet and phone have 64 %, 9 % and 27 % of the addresses, unique click rates of 3.8, 3.8
 * and 2.7 %, and total click rates of 6.7, 5.6 and 3.9 %.
 * https://mailchimp.com/resources/research/impact-of-mobile-use-on-email-engagement/ and
 * https://www.marketingcharts.com/marketing-data-roundup-facebooks-growth-for-may-less-than-expected-google-yahoo-stay-the-course-in-search-rankings-049432/page/2
 */
export const DEVICES = {
  pc: { share: 0.64, clickRate: 0.038, totalClickRate: 0.067 },
  tablet: { share: 0.09, clickRate: 0.038, totalClickRate: 0.056 },
  phone: { share: 0.27, clickRate: 0.027, totalClickRate: 0.039 },
} as const;
export type Device = keyof typeof DEVICES;

/** The fifth link of a letter gets about half the clicks of the first link. Source: Mailchimp, the same study. */
export const HALF_LIFE_OF_LINKS = 4;

/** The share of a person's clicks that repeat a link. Assumed, because no figure was found. */
export const REPEATED_CLICK = 0.15;

/**
 * The share of clickers who have not loaded a picture. These sources confirm that clients block pictures and that there are clicks without
 * opens: https://github.com/anymail/django-anymail/issues/200, https://academy.insiderone.com/docs/email-bot-clicks; the share is assumed.
 */
export const CLICKERS_WITHOUT_PICTURES = 0.1;

/**
 * Times of opens. GetResponse, 5.5 billion messages July 2019 to June 2020: 21.5 % in the first hour, half (50.6 %) in the sixth, 73 %
 * within 24 hours:
 * https://moversandshakers.v12data.com/datatechnology/half-of-your-email-campaigns-clicks-occur-within-3-hours-post-send-more-email-benchmarks/
 * 8.91 % in the second hour and 5.81 % in the third: https://chimpmetrics.com/email-opens-by-hour. 95 % within a week, the rest within 30
 * days: http://i-emailer.com/resourcecenter/email_open_velocity.html. The earliest second is assumed.
 */
export const OPENS_BY: Timeline = [
  [0, 15 * SECOND],
  [0.215, HOUR],
  [0.304, 2 * HOUR],
  [0.362, 3 * HOUR],
  [0.506, 6 * HOUR],
  [0.73, DAY],
  [0.95, 7 * DAY],
  [1, 30 * DAY],
];

/**
 * Times of clicks: 33.6 % in the first hour, 51.4 % by the third, 81 % within 24 hours (GetResponse, as above). The later times are those
 * of opens.
 */
export const CLICKS_BY: Timeline = [
  [0, 30 * SECOND],
  [0.336, HOUR],
  [0.514, 3 * HOUR],
  [0.81, DAY],
  [0.97, 7 * DAY],
  [1, 30 * DAY],
];

/**
 * The time from an open to the first click equals the time for which people look at a letter. Litmus 2022: 30 % under 2 s, 41 % 2 to 8 s,
 * 29 % longer; https://www.digitalinformationworld.com/2023/01/people-spend-33-less-time-reading.html. A clicker looks for at least 2 s.
 * The time that readers stay beyond 8 s is assumed: half a minute on average.
 */
export const SKIM_SHARE = 0.41 / (0.41 + 0.29);
export const SKIM: readonly [min: number, max: number] = [2 * SECOND, 8 * SECOND];
export const READ_LONGER = 30 * SECOND;

/** The minimum time between two clicks of a person, who returns to the letter in between. Assumed, no figure found. */
export const NEXT_CLICK_AT_LEAST = 3 * SECOND;

/**
 * Forwards per open. Source: Litmus, 400,000 letters. The median letter has one forward per 370 opens. The top one per cent of the letters
 * have one forward per 21 opens. https://dev.marketingcharts.com/digital-56110,
 * https://www.cmswire.com/digital-marketing/how-to-succeed-in-email-marketing/
 */
export const FORWARDS_PER_OPEN = { ordinary: 1 / 370, hard: 1 / 21 } as const;

/** The share of forwards whose reader clicks, and the number of links pasted into a messenger per forward. Assumed, no figure found. */
export const FORWARD_CLICKS = 0.5;
export const PASTED_PER_FORWARD = 0.5;

/**
 * How many times the author publishes a shared link (e.g. on a social network), divided by the number of recipients. CLICKS_PER_POST has the
 * number of people who click each published link. Both are assumed, because figures on newsletters do not cover them.
 */
export const POSTS_PER_RECIPIENT = 1 / 1000;
export const CLICKS_PER_POST: readonly [min: number, max: number] = [0, 12];

/** The share of clickers whose browser prefetches a link. Assumed, because no figure was found. */
export const PREFETCHING_CLICKERS = 0.02;

/**
 * The share of connections by IPv6. Assumed to be a little more than a third, because Google's statistics of its users were not available.
 */
export const IPV6_SHARE = 0.35;

/** The share of clicks from another device or network of the person, e.g. from the phone away from home. Assumed. */
export const OTHER_NETWORK = 0.1;

/**
 * Countries of the audience. Assumed, because every letter has a different audience;
 * https://denis-test.com/debunking-email-client-market-share-benchmarks/
 */
export const COUNTRIES = { DE: 0.34, US: 0.22, GB: 0.12, FR: 0.09, NL: 0.07, AT: 0.06, CH: 0.05, CA: 0.05 } as const;
export type Country = keyof typeof COUNTRIES;

/**
 * Browsers on PCs and on phones other than iPhones. StatCounter by
 * https://gagadget.com/en/672454-chrome-is-out-of-competition-googles-browser-retains-70-per-cent-of-pc-and-mobile-users: PC Chrome 70.25,
 * Edge 11.8, Safari 6.34, Firefox 4.94, Opera 2.06; phones Chrome 69.15, Safari 20.32, Samsung 3.33.
 */
export const PC_BROWSERS = { chrome: 0.7025, edge: 0.118, safari: 0.0634, firefox: 0.0494, opera: 0.0206 } as const;
export const PHONE_BROWSERS = { chrome: 0.6915, safari: 0.2032, samsung: 0.0333 } as const;

// ---- Machines --------------------------------------------------------------------------------------------------------------------

/**
 * Apple's proxy loads the pixel when the recipient's device fetches the mail, on wifi and power («when Apple Mail app launches»,
 * https://help.socketlabs.com/docs/identifying-apple-mpp-opens-in-notification-api-events). It loads the pixel of almost every letter
 * (http://rightmarker.com/2021/09/22/how-you-can-establish-non-human-opening-of-apples-electronic-mail-privateness/), and only once,
 * because it caches it (https://support.clickdimensions.com/hc/en-us/articles/15707875851917-Introduction-to-Adjusted-Opens). The time
 * until it loads the pixel is not published, so these times are assumed.
 */
export const MPP_BY: Timeline = [
  [0, 5 * SECOND],
  [0.3, 10 * MINUTE],
  [0.6, 2 * HOUR],
  [0.9, 12 * HOUR],
  [1, 2 * DAY],
];

/**
 * The share of machines in all clicks: «more than half» in letters to consumers, about 75 % in letters to businesses (Omnivery,
 * https://blog.omnivery.com/blog/nhi-is-getting-worse). Others say 10 to 30 %
 * (https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect) and 5 to 60 %
 * (https://help.evalanche.cloud/hc/en-us/articles/20426081188380-Deviating-opening-rate-and-click-rate-due-to-bots). The number of scanned
 * recipients is computed from it.
 */
export const MACHINE_SHARE_OF_CLICKS = 0.55;

/**
 * Start times of scanner bursts. Measured for 836 contacts whose scanner requested every link within a second. After sending, 0.5 % of the
 * bursts started within 10 s, 2.2 % between 10 and 20 s, 66.4 % up to 60 s, 28.3 % up to 5 min, 1.9 % up to 30 min, and 0.7 % in 1 to 24 h.
 * The median is 43 s. https://github.com/putyourlightson/craft-campaign/issues/546
 */
export const BURSTS_BY: Timeline = [
  [0, 2 * SECOND],
  [0.005, 10 * SECOND],
  [0.027, 20 * SECOND],
  // The median of 43 s lies between the points at 20 and 60 s.
  [0.5, 43 * SECOND],
  [0.691, MINUTE],
  [0.974, 5 * MINUTE],
  [0.993, 30 * MINUTE],
  [1, DAY],
];

/**
 * The scanner loads the pixel before the burst: median 9 s after sending, 61 % within 10 s, 84 % within 20 s (same source). The end is
 * assumed.
 */
export const SCANNER_OPENS_BY: Timeline = [
  [0, SECOND],
  [0.5, 9 * SECOND],
  [0.61, 10 * SECOND],
  [0.84, 20 * SECOND],
  [1, MINUTE],
];

/**
 * The duration of a burst: «one sub-second sweep» (same source), «within a few milliseconds of each other»
 * (https://github.com/MillionSend/millionsend/pull/22). One in seven takes up to two seconds, and one in ten sweeps twice («click on every
 * link several times», craft-campaign#546); both shares are assumed.
 */
export const SWEEP: readonly [min: number, max: number] = [5, 950];
export const LONG_SWEEP: readonly [min: number, max: number] = [950, 1950];
export const LONG_SWEEPS = 1 / 7;
export const SECOND_SWEEPS = 0.1;

/**
 * Scanned recipients by the kind of scanner. HEAD requests are «a significant portion of all click-tracking traffic»:
 * https://github.com/civicrm/civicrm-core/pull/35328, https://github.com/jdavidbakr/mail-tracker/pull/200. Some scanners name themselves:
 * https://github.com/JayBizzle/Crawler-Detect/issues/552, «Python Requests» in craft-campaign#546. The shares are assumed.
 */
export const SCANNER_WAYS = { 'scanner-burst': 0.65, 'scanner-bot-ua': 0.15, 'scanner-head': 0.2 } as const;

/**
 * Networks of scanners. Microsoft «for most enterprise domains» (MillionSend #22), often from its cloud
 * (https://helpmynewsletter.beehiiv.com/p/why-targeting-all-clickers-is-a-trap). The other vendors are in the order of their shares of MX
 * records (https://check.live-direct-marketing.online/email-stats/archive/2021-05-01.html: Proofpoint 1.14, Mimecast 0.99, Barracuda 0.47
 * %). The numbers are assumed.
 */
export const SCANNER_NETWORKS = {
  'microsoft-eop': 0.35,
  azure: 0.22,
  proofpoint: 0.14,
  mimecast: 0.12,
  barracuda: 0.07,
  'other-cloud': 0.1,
} as const;

/**
 * Hard set: share of recipients whose scanner follows one link. According to MillionSend #22, «the rest … single-link hits from the same
 * fleet» come in addition to the bursts. Another scanner comes from an ordinary network with another system 12 s after the person:
 * https://github.com/resend/resend-node/issues/901. The share is assumed. These scanners come at the same times as people, which is the
 * hardest case.
 */
export const SINGLE_LINK_SCANNED = 0.01;

/** Hard set: share of bursts with about a second between links: https://github.com/mautic/mautic/issues/9798. The share is assumed. */
export const SLOW_SWEEPS = 0.15;
export const SLOW_SWEEP_STEP: readonly [min: number, max: number] = [700, 1400];

/** Hard set: share of clickers who open two or three links in tabs within two seconds. Assumed, no figure found. */
export const TAB_OPENERS = 0.2;
