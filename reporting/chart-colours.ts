import type { Series } from './chart-data.ts';

// The colours of charts. echarts draws with placeholder colours that occur nowhere else. CSS variables then replace them in the SVG. Blue
// and orange can be distinguished with every kind of colour blindness. Every colour has a contrast of at least 3 to both backgrounds.

interface Colour {
  variable: string;
  light: string;
  dark: string;
}

const COLOURS = {
  human: { variable: '--human', light: '#0b62a8', dark: '#6cb4f5' },
  machine: { variable: '--machine', light: '#b85c00', dark: '#f2a33c' },
  human2: { variable: '--human-2', light: '#3f8fd0', dark: '#3f86c9' },
  machine2: { variable: '--machine-2', light: '#d07a1a', dark: '#c27a20' },
  other1: { variable: '--series-1', light: '#00796b', dark: '#3fbfae' },
  other2: { variable: '--series-2', light: '#7b3fa0', dark: '#c79bea' },
  other3: { variable: '--series-3', light: '#5f6b76', dark: '#9aa7b4' },
  other4: { variable: '--series-4', light: '#a0305c', dark: '#ef86ad' },
  text: { variable: '--text', light: '#1d2329', dark: '#e4e8ec' },
  line: { variable: '--line', light: '#d5dae0', dark: '#333b44' },
  background: { variable: '--background', light: '#ffffff', dark: '#14181d' },
} as const satisfies Record<string, Colour>;

type Name = keyof typeof COLOURS;
const NAMES = Object.keys(COLOURS) as Name[];
const byte = (n: number): string => n.toString(16).padStart(2, '0');
/** Returns the placeholder colour with which echarts draws. withCssVariables replaces it with the CSS variable. */
const placeholder = (name: Name): string => `#0a00${byte(NAMES.indexOf(name) + 1)}`;

/** The colours of all parts of a chart except the data. */
export const BASE_COLOURS = { text: placeholder('text'), line: placeholder('line'), background: placeholder('background') } as const;

const ROLES = { human: ['human', 'human2'], machine: ['machine', 'machine2'], other: ['other1', 'other2', 'other3', 'other4'] } as const;
type Role = keyof typeof ROLES;

function roleOf(name: string): Role {
  if (/machine|\bbot\b|prefetch|scanner|proxy|burst|\bhead\b/.test(name)) return 'machine';
  return /human|people/.test(name) ? 'human' : 'other';
}

/**
 * Returns the colour of a series. The colour depends on the name of the series, so human and machine hits have the same colours in all
 * charts.
 */
export function colourOf(series: Series, index: number, all: readonly Series[]): string {
  return placeholder(colourNameOf(series, index, all));
}

/** Returns the same colour in the light scheme, as a hexadecimal number, for documents without CSS variables. */
export function lightColourOf(series: Series, index: number, all: readonly Series[]): string {
  return COLOURS[colourNameOf(series, index, all)].light;
}

function colourNameOf({ name }: Series, index: number, all: readonly Series[]): Name {
  const role = roleOf(name);
  const before = all.slice(0, index).filter((other) => roleOf(other.name) === role).length;
  const choices: readonly Name[] = ROLES[role];
  return choices[before % choices.length] as Name;
}

/**
 * Replaces the placeholder colours of an SVG with CSS variables. Removes style sheets and replaces `style` attributes with other
 * attributes, because a strict Content-Security-Policy refuses both. Removes the attributes that only echarts uses. echarts numbers the ids
 * over all charts of a process. They get the prefix `id` instead, so that the same chart always has the same text, and two charts on a page
 * do not share ids. Quotes in the texts of an SVG are escaped, so these texts cannot be mistaken for attributes.
 */
export function withCssVariables(svg: string, id: string): string {
  return svg
    .replace(/<style\b[\s\S]*?<\/style>/g, '')
    .replace(/ (?:ecmeta_\w+|class|pointer-events|xmlns:xlink|version|baseProfile)="[^"]*"/g, '')
    .replace(/ style="([^"]*)"/g, (_, style: string) => {
      const attributes = Array.from(style.matchAll(/([\w-]+):([^;]+)/g)).filter(([, name]) => name !== 'font-family');
      return attributes.map(([, name, value]) => ` ${name}="${value?.trim()}"`).join('');
    })
    .replace(/ (id|clip-path|fill)="(url\(#|)zr\d+-/g, ` $1="$2${id}-`)
    .replace(PLACEHOLDERS, (whole, attribute: string, hex: string | undefined, decimal: string | undefined, alpha: string | undefined) => {
      const name = NAMES[(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)) - 1];
      if (name === undefined) return whole;
      const opacity = alpha === undefined ? '' : ` ${attribute === 'stop-color' ? 'stop' : attribute}-opacity="${alpha}"`;
      return ` ${attribute}="var(${COLOURS[name].variable})"${opacity}`;
    });
}

const PLACEHOLDERS = / (fill|stroke|stop-color)="(?:#0a00([0-9a-f]{2})|rgba?\(10,\s*0,\s*(\d+)(?:,\s*([\d.]+))?\))"/g;

/** Returns the variables of one colour scheme as CSS declarations. */
export function colourVariables(scheme: 'light' | 'dark'): string {
  return Object.values<Colour>(COLOURS)
    .map((colour) => `${colour.variable}:${colour[scheme]}`)
    .join(';');
}
