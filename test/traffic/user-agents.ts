import type { Random } from '../chaos/random.ts';
import { weighted } from './chance.ts';
import { type ClientName, type Device, PC_BROWSERS, PHONE_BROWSERS } from './figures.ts';

// Creates user agents in the form in which the real products send them.

const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const WINDOWS = 'Windows NT 10.0; Win64; x64';
const MAC = 'Macintosh; Intel Mac OS X 10_15_7';
const ANDROID = 'Linux; Android 10; K';

const CHROME_MAJORS = [136, 138, 139, 140, 141, 142, 143, 144, 145, 146];
const IOS = ['17_6_1', '18_3_2', '18_5', '18_6_2', '18_7'];

function iphoneSafari(random: Random, kind: 'iPhone' | 'iPad'): string {
  const version = random.pick(IOS);
  const system = kind === 'iPhone' ? `iPhone; CPU iPhone OS ${version} like Mac OS X` : `iPad; CPU OS ${version} like Mac OS X`;
  const [major, minor] = version.split('_');
  return `Mozilla/5.0 (${system}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${major}.${minor} Mobile/15E148 Safari/604.1`;
}

function pcBrowser(random: Random, apple: boolean): string {
  const major = random.pick(CHROME_MAJORS);
  const system = apple ? MAC : WINDOWS;
  switch (apple ? random.pick(['safari', 'safari', 'safari', 'chrome'] as const) : weighted(random, PC_BROWSERS)) {
    case 'safari':
      return `Mozilla/5.0 (${MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${random.pick(['17.6', '18.3', '18.5', '18.6'])} Safari/605.1.15`;
    case 'firefox':
      return `Mozilla/5.0 (${WINDOWS}; rv:${major}.0) Gecko/20100101 Firefox/${major}.0`;
    case 'edge':
      return `Mozilla/5.0 (${system}) ${WEBKIT} Chrome/${major}.0.0.0 Safari/537.36 Edg/${major}.0.0.0`;
    case 'opera':
      return `Mozilla/5.0 (${system}) ${WEBKIT} Chrome/${major}.0.0.0 Safari/537.36 OPR/${major - 16}.0.0.0`;
    case 'chrome':
      return `Mozilla/5.0 (${system}) ${WEBKIT} Chrome/${major}.0.0.0 Safari/537.36`;
  }
}

function phoneBrowser(random: Random): string {
  switch (weighted(random, PHONE_BROWSERS)) {
    case 'safari':
      return iphoneSafari(random, 'iPhone');
    case 'samsung':
      return `Mozilla/5.0 (${ANDROID}) ${WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36`;
    case 'chrome':
      return `Mozilla/5.0 (${ANDROID}) ${WEBKIT} Chrome/${random.pick(CHROME_MAJORS)}.0.0.0 Mobile Safari/537.36`;
  }
}

/** Returns the user agent of the browser in which the links of a person open. */
export function browser(random: Random, device: Device, apple: boolean): string {
  if (device === 'pc') return pcBrowser(random, apple);
  if (device === 'tablet') return iphoneSafari(random, 'iPad');
  return apple ? iphoneSafari(random, 'iPhone') : phoneBrowser(random);
}

/** Returns the user agent of a mail program that loads pictures itself. */
export function mailProgram(random: Random, client: ClientName): string {
  switch (client) {
    case 'iphone':
      return `Mozilla/5.0 (iPhone; CPU iPhone OS ${random.pick(IOS)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148`;
    case 'ipad':
      return `Mozilla/5.0 (iPad; CPU OS ${random.pick(IOS)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148`;
    case 'apple-mail':
      return `Mozilla/5.0 (${MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko)`;
    case 'outlook':
      return `Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.${random.whole(17328, 18730)}; ms-office; MSOffice 16)`;
    case 'android':
      return `Mozilla/5.0 (Linux; Android 14; Pixel 7 Build/AP2A.240805.005; wv) ${WEBKIT} Version/4.0 Chrome/${random.pick(CHROME_MAJORS)}.0.0.0 Mobile Safari/537.36`;
    case 'samsung':
      return `Mozilla/5.0 (Linux; Android 14; SM-S921B Build/UP1A.231005.007; wv) ${WEBKIT} Version/4.0 Chrome/${random.pick(CHROME_MAJORS)}.0.0.0 Mobile Safari/537.36`;
    // The other programs load pictures through a proxy, so their user agents are never visible.
    case 'other':
    case 'gmail':
    case 'yahoo':
    case 'outlook.com':
    case 'apple-mpp':
      return `Mozilla/5.0 (${WINDOWS}; rv:${random.pick(['128', '140', '141'])}.0) Gecko/20100101 Thunderbird/${random.pick(['128', '140', '141'])}.0`;
  }
}

/**
 * Image proxies. Google: https://www.scientiamobile.com/what-is-google-image-proxy/. Yahoo: https://crawlerdex.tn3w.dev/YahooMailProxy.
 * Microsoft does not document the user agent of its proxy. The user agent of a browser is assumed, because the webmail runs in a browser.
 */
export const PROXY_USER_AGENTS = {
  google: 'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)',
  yahoo: 'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html',
  microsoft: `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0`,
} as const;

/**
 * The whole user agent of Apple's proxy:
 * https://support.clickdimensions.com/hc/en-us/articles/15707875851917-Introduction-to-Adjusted-Opens
 */
export const APPLE_PROXY_USER_AGENT = 'Mozilla/5.0';

/**
 * Scanners that pretend to be browsers. Old Chrome and Edge: https://github.com/mssola/user_agent/issues/71; new Chrome on Windows:
 * https://github.com/resend/resend-node/issues/901; «Chrome 120 on Windows 11», «itel A27 Android»:
 * https://hummingdeck.com/en/blog/why-your-deck-analytics-are-wrong; no user agent:
 * https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect
 */
export const SCANNER_USER_AGENTS = [
  `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/79.0.3945.136 Safari/537.36`,
  `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/79.0.3945.74 Safari/537.36 Edg/79.0.309.43`,
  `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/120.0.0.0 Safari/537.36`,
  `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/146.0.0.0 Safari/537.36`,
  `Mozilla/5.0 (Linux; Android 12; itel A27) ${WEBKIT} Chrome/120.0.0.0 Mobile Safari/537.36`,
  '',
] as const;

/**
 * Scanners whose user agent names them or their library. https://github.com/JayBizzle/Crawler-Detect/issues/552 (Barracuda),
 * https://github.com/putyourlightson/craft-campaign/issues/546 («Python Requests»), https://github.com/mssola/user_agent/issues/71 (Gmail),
 * headless Chrome on a vendor's machine: https://github.com/fnando/browser/pull/347. The version numbers are assumed.
 */
export const NAMED_SCANNER_USER_AGENTS = [
  'Barracuda Sentinel (EE)',
  'python-requests/2.32.3',
  `Mozilla/5.0 (${WINDOWS}) ${WEBKIT} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Gmail-content-sampling`,
  `Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} HeadlessChrome/126.0.0.0 Safari/537.36`,
] as const;
