import { colourVariables } from '../chart-colours.ts';
import { html, type Markup, markupText, trusted } from './markup.ts';

// The HTML document and the style sheet of report files and of the dashboard. The document needs no script and loads nothing from other
// hosts. It has a light and a dark scheme. The smallest width for which it is made is 320 px.

export interface Page {
  title: string;
  main: Markup;
  /** Markup above `main`, below `main`, and at the end of `<head>`. */
  header?: Markup;
  footer?: Markup;
  head?: Markup;
  /** The nonce of the style sheet, if the Content-Security-Policy requires one. */
  nonce?: string;
}

/** Renders a whole HTML document. */
export function page({ title, main, header, footer, head, nonce }: Page): string {
  return markupText(html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<meta name="description" content="${title}">
<link rel="icon" href="${ICON}">
<style${nonce === undefined ? '' : html` nonce="${nonce}"`}>${trusted(STYLE)}</style>
${head}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
${header && html`<header>${header}</header>`}
<main id="main" tabindex="-1">
${main}
</main>
${footer && html`<footer>${footer}</footer>`}
</body>
</html>
`);
}

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M2 9h3v5H2z" fill="#b85c00"/><path d="M7 2h3v12H7z" fill="#3f8fd0"/><path d="M12 6h3v8h-3z" fill="#3f8fd0"/></svg>',
)}`;

const STYLE = `
:root { color-scheme: light dark; ${colourVariables('light')}; --quiet: #55606b; --raised: #f5f7f9; --sunken: #eef1f4; --link: #0b5394; --bad: #a4262c;
  --good: #1b6e3c; --radius: 8px; --gap: 1rem; }
@media (prefers-color-scheme: dark) {
  :root { ${colourVariables('dark')}; --quiet: #a3aeb9; --raised: #1c2229; --sunken: #232a32; --link: #84c0f8; --bad: #ff9c9c; --good: #7fd6a2; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 0 1rem 3rem; background: var(--background); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
main:focus { outline: none; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .5rem 1rem; background: var(--background); z-index: 1; }
header, footer { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between;
  padding: .75rem 0; color: var(--quiet); font-size: .875rem; }
header { border-bottom: 1px solid var(--line); }
header nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.trail a + a::before { content: '/'; display: inline-block; margin-right: 1rem; color: var(--quiet); }
.trail [aria-current] { color: var(--text); text-decoration: none; }
footer { border-top: 1px solid var(--line); margin-top: 2.5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1.5rem 0 .25rem; }
h1.address { font-size: 1.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 50rem; }
.question, .note, caption { color: var(--quiet); }
.note, .card small { font-size: .875rem; }
.error, .warning { color: var(--bad); border-left: 3px solid var(--bad); padding-left: .75rem; }
.actions { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .875rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.25rem; }
dl.values { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: 0 0 1rem; }
dl.values div { display: flex; gap: .5rem; }
dt { color: var(--quiet); }
dd { margin: 0; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
.wide svg { max-width: 100%; }
.narrow { display: none; }
@media (max-width: 40rem) { .wide { display: none; } .narrow { display: block; } }
.table { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--line); border-radius: var(--radius); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .4rem .75rem; text-align: left; vertical-align: top; max-width: 26rem; }
td { overflow-wrap: break-word; min-width: 5.5rem; }
td.n { min-width: 0; }
thead th { background: var(--raised); font-weight: 600; vertical-align: bottom; }
tbody tr { border-top: 1px solid var(--line); }
.n { text-align: right; white-space: nowrap; }
th.n { white-space: normal; }
td time, th time { white-space: nowrap; }
tbody th { font-weight: 600; min-width: 9rem; }
th small { font-weight: 400; }
@media (max-width: 40rem) {
  .stack, .stack tbody, .stack tr, .stack th, .stack td { display: block; }
  .stack thead { position: absolute; left: -100rem; }
  .stack tr { padding: .5rem 0; }
  .stack th, .stack td { max-width: none; padding: .15rem .75rem; text-align: left; }
  .stack td[data-label]::before { content: attr(data-label) ': '; color: var(--quiet); }
}
form { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: flex-start; margin: 1rem 0; }
form div { display: flex; flex-direction: column; gap: .15rem; max-width: min(100%, 18rem); }
form label { font-weight: 600; font-size: .875rem; }
form .long { max-width: min(100%, 30rem); flex: 1 1 16rem; }
form .wide-field { max-width: 100%; min-width: 0; flex: 1 1 100%; }
.wide-field textarea { width: 100%; font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .875rem; }
.qr { width: 12rem; max-width: 100%; background: #fff; }
.qr svg { display: block; }
form small { color: var(--quiet); max-width: 16rem; }
form button { margin-top: 1.45rem; }
header form, td form { margin: 0; }
header form button, td form button { margin: 0; min-height: 0; padding: .1rem .6rem; }
input, select, button, textarea { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--quiet); border-radius: 4px;
  padding: .35rem .6rem; max-width: 100%; min-height: 2.4rem; }
button { cursor: pointer; font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(11rem, 45%), 1fr)); gap: var(--gap); margin: 1rem 0; padding: 0; list-style: none; }
.card { display: flex; flex-direction: column; padding: .75rem 1rem; background: var(--raised); border: 1px solid var(--line); border-radius: var(--radius); }
.card b { font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card small { color: var(--quiet); }
.up { color: var(--good); }
.down { color: var(--bad); }
.toolbar { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; margin: .75rem 0; font-size: .875rem; }
form.toolbar, .toolbar form { margin: 0; align-items: center; gap: .5rem; }
.toolbar button, .toolbar p { margin: 0; }
.switch { display: inline-flex; flex-wrap: wrap; padding: 2px; background: var(--sunken); border-radius: var(--radius); }
.switch a { padding: .25rem .8rem; border-radius: 6px; text-decoration: none; color: var(--text); }
.switch a[aria-current] { background: var(--background); font-weight: 600; box-shadow: 0 0 0 1px var(--quiet); }
.bar { display: block; width: 100%; min-width: 4rem; height: .5rem; margin-top: .35rem; }
.bar rect { fill: var(--human); }
.bar .of { fill: var(--sunken); }
.machines .bar rect:not(.of) { fill: var(--machine); }
.spark { display: block; width: 7rem; height: 1.75rem; }
.spark rect { fill: var(--human); }
.tag { display: inline-block; padding: 0 .5rem; border: 1px solid var(--quiet); border-radius: 1rem; font-size: .8rem; color: var(--quiet); white-space: nowrap; }
.letter { width: 100%; height: 36rem; border: 1px solid var(--line); border-radius: var(--radius); background: #fff; color-scheme: light; }
details { margin: .5rem 0; }
.definitions dd { margin: 0 0 .5rem; max-width: 50rem; }
.definitions dt { font-weight: 600; color: var(--text); }
summary { cursor: pointer; color: var(--link); font-size: .875rem; }
code, pre { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .875em; }
.steps { padding-left: 1.2rem; }
pre { padding: .6rem .8rem; background: var(--sunken); border-radius: var(--radius); white-space: pre-wrap; }
.empty { padding: 1.5rem; text-align: center; background: var(--raised); border-radius: var(--radius); color: var(--quiet); }
.empty p { margin: .25rem auto; }
@media (prefers-reduced-motion: no-preference) { .switch a, .card { transition: background-color .15s; } }
@media print { .skip, header, form, .actions, .switch, .letter { display: none; } }
`;
