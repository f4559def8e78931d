// The script for pages of the authors' own sites. It sends a visit for each page, and goals, to the address in `data-to`:
//
//   <script defer src="https://click.example/t.js" data-to="https://click.example/e/…"></script>
//   <button data-goal="signup" data-goal-value="9.50" data-goal-currency="EUR" data-goal-plan="pro">
//   clickledger('signup', { value: 9.5, currency: 'EUR', plan: 'pro' })
//
// It sets no cookie. What it knows of a tab is in its sessionStorage: a random number, and the click that led here. If the reader asks not to
// be tracked (Global Privacy Control or Do Not Track), it sends nothing. `npm run script` builds nginx/t.js from this file.

type Values = Readonly<Record<string, string | number | undefined>>;

const to = (document.currentScript as HTMLScriptElement).dataset['to'];
const asksNotTo =
  (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl ||
  [navigator.doNotTrack, (globalThis as { doNotTrack?: string }).doNotTrack].includes('1');

/** Reads a value of the tab. If there is none yet, stores `value`. A browser may forbid storage; then each page is a tab of its own. */
function keep(name: string, value: string | undefined, isNew?: boolean): string | undefined {
  try {
    const key = `clickledger.${name}`;
    const known = sessionStorage.getItem(key);
    if (known !== null && !isNew) return known;
    if (value !== undefined) sessionStorage.setItem(key, value);
  } catch {}
  return value;
}

// The click that led here. It is removed from the address, so that a reader does not pass it on.
// A slug has at least 15 characters; a shorter `cl` is a parameter of the page's own.
const CLICK = /([?&])cl=([0-9A-Za-z]{15,40})(?:&|$)/;
const found = CLICK.exec(location.search)?.[2];
const random = Math.random().toString(36).slice(2, 12);
let shown: string | undefined;

function send(name: string, values?: Values | null): void {
  if (asksNotTo || to === undefined) return;
  const { value, currency, ...properties } = values ?? {};
  const { host } = location;
  const { referrer } = document;
  const parameters: Values = {
    n: name,
    s: keep('session', random),
    c: keep('click', found, found !== undefined),
    u: location.origin + location.pathname,
    r: shown === undefined && !referrer.includes(`//${host}/`) ? referrer.split(/[?#]/)[0] : undefined,
    // 0.1 + 0.2 has 17 decimals.
    v: typeof value === 'number' ? +value.toFixed(6) : value,
    k: currency,
  };
  for (const key in properties) (parameters as Record<string, unknown>)[`x.${key}`] = properties[key];
  const query = new URLSearchParams();
  for (const key in parameters) if (parameters[key] !== undefined && parameters[key] !== '') query.set(key, `${parameters[key]}`);
  try {
    // Some browsers and extensions remove this function.
    navigator.sendBeacon(`${to}?${query}`);
  } catch {}
}

/** Sends a visit, unless it is still the same page. */
function visit(): void {
  // A page that the browser prepares before the reader asks for it is no visit yet.
  if ((document as { prerendering?: boolean }).prerendering || shown === location.pathname) return;
  send('visit');
  shown = location.pathname;
}

// Pages of a single-page application change the address without loading a page.
const original = { pushState: history.pushState.bind(history), replaceState: history.replaceState.bind(history) };
for (const name of ['pushState', 'replaceState'] as const)
  history[name] = (...args) => {
    original[name](...args);
    visit();
  };
addEventListener('popstate', visit);
// The browser shows a page again that it kept in memory.
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  shown = '';
  visit();
});

/** Sends the goal of an element with `data-goal`. Its other attributes `data-goal-…` are the values. */
function sendGoal(element: Element | null | undefined): void {
  if (!(element instanceof HTMLElement)) return;
  const values: Record<string, string | undefined> = {};
  for (const { name, value } of element.attributes) if (name.startsWith('data-goal-')) values[name.slice(10)] = value;
  send(element.dataset['goal'] ?? '', values);
}
addEventListener('click', ({ target }) => sendGoal((target as Element | null)?.closest?.('[data-goal]:not(form)')), true);
addEventListener('submit', ({ target }) => sendGoal((target as Element | null)?.closest('form[data-goal]')), true);

document.addEventListener('prerenderingchange', visit);
(globalThis as unknown as { clickledger: typeof send }).clickledger = send;
if (found !== undefined) {
  const search = location.search.replace(CLICK, '$1').replace(/[?&]$/, '');
  // With the origin, because a path may begin with two slashes.
  original.replaceState(history.state, '', location.origin + location.pathname + search + location.hash);
}
visit();
