import { randomBytes } from 'node:crypto';
import type { LineFields } from '../../log-agent/parse.ts';

const escapes: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

/** Escapes a text like `escape=json` in nginx: quotes, backslashes and control characters below the space. */
function escaped(text: string): string {
  return text.replace(
    /["\\\u0000-\u001f]/g,
    (char) => escapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`,
  );
}

/** Returns one line in a version of the log format `tracking`, by default the newest one, including the newline. All fields have defaults. */
export function logLine(fields: Partial<LineFields> = {}): string {
  const { rid = randomBytes(16).toString('hex'), t = 1_790_000_000.123, m = 'GET', u = '/u/00abcdefghijklmnopq', s = 302 } = fields;
  const {
    ip = '192.0.2.7',
    ua = 'Mozilla/5.0',
    ref = '',
    purpose = '   ',
    link = '7.1',
    v = 2,
    q = '',
    h = 'click.example',
    x = '',
  } = fields;
  const more = v === 1 ? '' : `,"q":"${escaped(q)}","h":"${escaped(h)}","x":"${escaped(x)}"`;
  return (
    `{"v":${v},"rid":"${rid}","t":${t.toFixed(3)},"m":"${m}","u":"${escaped(u)}","s":${s},"ip":"${ip}",` +
    `"ua":"${escaped(ua)}","ref":"${escaped(ref)}","purpose":"${escaped(purpose)}","link":"${link}"${more}}\n`
  );
}
