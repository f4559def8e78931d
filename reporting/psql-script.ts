import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import pg from 'pg';
import { ClickledgerError } from '../core/errors.ts';
import { explainFileError } from '../core/files.ts';
import { frameOf, type SourceFile } from './source.ts';

// Reads a report file as psql does. Splits the file into statements, replaces variables and runs the backslash commands \set, \unset, \if,
// \elif, \else, \endif, \ir, \echo and \warn. All other commands are errors. docs/analysts.md describes this language for users.
//
// The reader reads the text once, character by character. The states of the lexer (`mode`) are the same as in psqlscan.l of psql. Variables
// and commands are not recognised within quotes, dollar quotes and comments. The lexer reads the value of a variable in place of its name,
// so a value can contain quotes, semicolons and other variables. An included file has its own buffer, as in psql, so a statement ends at
// the end of the file.

/** A statement, with the place of each of its characters. */
export interface Statement {
  text: string;
  /** The first word in lower case, e.g. `select`. For a query in parentheses it is `(`. */
  keyword: string;
  /** The place at which the statement begins. */
  start: Place;
  /**
   * Returns the place of the character at this index of `text`. If the character comes from the value of a variable, returns the place of
   * the variable.
   */
  placeOf(index: number): Place;
}

export interface Place {
  file: SourceFile;
  /** The index in the text of the file. */
  offset: number;
  /** The variable from which the character came. */
  variable?: string;
}

export interface Script {
  statements: Statement[];
  /** The lines of \echo and \warn. */
  messages: string[];
  /** The variables after the last line. */
  variables: Map<string, string>;
  /** The names of all variables that the file uses, even in branches that are not taken. */
  used: Set<string>;
  /** The names of the variables that the file sets or unsets. */
  assigned: Set<string>;
  /** The texts of all files, in the order in which they were read. */
  files: SourceFile[];
}

const MAX_INCLUDES = 8;
const NAME = '[A-Za-z0-9_\\u0080-\\uffff]+';
const VARIABLE = new RegExp(`:(?:'(${NAME})'|"(${NAME})"|\\{\\?(${NAME})\\}|(${NAME}))`, 'y');
const IDENTIFIER = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const SPACE = /[ \t\r\n\f]/;

/** Advice for some commands of psql that reports cannot use. There is no advice for the other commands. */
const ADVICE: Readonly<Record<string, string>> = {
  i: 'use \\ir with a path relative to this file',
  include: 'use \\ir with a path relative to this file',
  copy: 'use --out to write a file',
  o: 'use --out to write a file',
  g: 'end the statement with a semicolon; use --out to write a file',
  gset: 'use a subquery or WITH',
  pset: 'use --format to choose a format',
  a: 'use --format to choose a format',
  x: 'use --format to choose a format',
  t: 'use --format to choose a format',
  timing: 'leave it out',
  watch: 'use the dashboard, which updates itself',
  c: 'a report runs in one database',
  connect: 'a report runs in one database',
};
/** Commands whose argument is the rest of the line. */
const WHOLE_LINE = new Set(['!', 'copy', 'ef', 'ev', 'help', 'h', 'sf', 'sv']);

/**
 * The branch of an \if that is being read. The state `active` means that this branch is taken. `skip` means that no branch was taken yet.
 * `done` means that an earlier branch was taken. `outer` means that the whole \if is in a branch that is not taken.
 */
interface Branch {
  state: 'active' | 'skip' | 'done' | 'outer';
  hasElse: boolean;
  parentheses: number;
  offset: number;
}

type Mode =
  | { in: 'sql' }
  | { in: 'quote'; hasEscapes: boolean }
  | { in: 'identifier' }
  | { in: 'dollar'; tag: string }
  | { in: 'line-comment' }
  | { in: 'comment'; depth: number };

interface Piece {
  /** The index in the statement at which the piece begins. */
  at: number;
  place: Place;
}

/** The state of a file that is being read: the state of its lexer, its current statement and its open branches. */
interface Reader {
  file: SourceFile;
  depth: number;
  mode: Mode;
  parentheses: number;
  branches: Branch[];
  text: string;
  pieces: Piece[];
  keyword: string;
}

/** A text that the lexer reads: the file itself, or the value of a variable in the file. */
interface Input {
  text: string;
  /** The place of the variable if the text is its value. Undefined if the text is the file. */
  place: Place | undefined;
  /** The names of the variables whose values are being read. With this list, a variable whose value contains itself is recognised. */
  names: readonly string[];
}

/**
 * Reads a report file with these values of its variables. Throws `bad-input` for a mistake or for an unknown command. The message shows the
 * file and the line, with a caret below the place.
 */
export function readScript(file: SourceFile, variables: Readonly<Record<string, string>>): Script {
  const script: Script = {
    statements: [],
    messages: [],
    variables: new Map(Object.entries(variables)),
    used: new Set(),
    assigned: new Set(),
    files: [],
  };
  readFileOf(script, file, 0);
  return script;
}

function readFileOf(script: Script, file: SourceFile, depth: number): void {
  script.files.push(file);
  const reader: Reader = { file, depth, mode: { in: 'sql' }, parentheses: 0, branches: [], text: '', pieces: [], keyword: '' };
  lex(script, reader, { text: file.text, place: undefined, names: [] });
  const open = reader.branches.at(-1);
  if (open) throw mistake(file, open.offset, '\\if without \\endif');
  endStatement(script, reader);
}

const isActive = ({ branches }: Reader): boolean => branches.every(({ state }) => state === 'active');

function lex(script: Script, reader: Reader, input: Input): void {
  const { text } = input;
  let at = 0;
  /** Appends the next `length` characters to the statement. */
  const take = (length: number): void => {
    emit(reader, text.slice(at, at + length), input.place ?? { file: reader.file, offset: at });
    at += length;
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const { mode } = reader;
    const c = text[at] as string;
    if (mode.in !== 'sql') {
      take(lengthInside(reader, mode, text, at));
      continue;
    }
    const two = text.slice(at, at + 2);
    if (two === '--') {
      reader.mode = { in: 'line-comment' };
      take(2);
    } else if (two === '/*') {
      reader.mode = { in: 'comment', depth: 1 };
      take(2);
    } else if (two === '::' || two === ':=') {
      take(2);
    } else if (c === ':') {
      const found = match(VARIABLE);
      if (found) at += readVariable(script, reader, input, found, at);
      else take(1);
    } else if (c === "'" || c === '"') {
      noteWord(reader, c);
      reader.mode = c === '"' ? { in: 'identifier' } : { in: 'quote', hasEscapes: false };
      take(1);
    } else if (c === '$' && match(DOLLAR_QUOTE)) {
      const tag = (match(DOLLAR_QUOTE) as RegExpExecArray)[0];
      reader.mode = { in: 'dollar', tag };
      take(tag.length);
    } else if (c === '\\' && (text[at + 1] === ';' || text[at + 1] === ':')) {
      at++;
      if (text[at] === ':') take(1);
      else {
        at++;
        if (isActive(reader)) endStatement(script, reader);
      }
    } else if (c === '\\') {
      if (input.place !== undefined)
        throw mistake(reader.file, input.place.offset, `the value of '${input.names.at(-1)}' contains a backslash command`);
      at = readCommand(script, reader, at);
    } else if (c === ';' && reader.parentheses === 0) {
      at++;
      if (isActive(reader)) endStatement(script, reader);
    } else {
      const identifier = match(IDENTIFIER)?.[0];
      noteWord(reader, identifier?.toLowerCase() ?? (SPACE.test(c) ? '' : c));
      if (identifier !== undefined && /^e$/i.test(identifier) && text[at + 1] === "'") {
        reader.mode = { in: 'quote', hasEscapes: true };
        take(2);
        continue;
      }
      if (c === '(') reader.parentheses++;
      else if (c === ')') reader.parentheses = Math.max(0, reader.parentheses - 1);
      take(identifier?.length ?? 1);
    }
  }
  // As in psql, a comment that begins in a value ends with the value.
  if (reader.mode.in === 'line-comment' && input.place !== undefined) reader.mode = { in: 'sql' };
}

/** Stores the word if it is the first word of the statement. */
function noteWord(reader: Reader, word: string): void {
  if (reader.keyword === '' && isActive(reader)) reader.keyword = word;
}

/**
 * Reads the next characters of a quote or a comment, from the index `at`. Returns their number. At the end of the quote or comment, sets
 * the mode to `sql`.
 */
function lengthInside(reader: Reader, mode: Exclude<Mode, { in: 'sql' }>, text: string, at: number): number {
  const c = text[at];
  const two = text.slice(at, at + 2);
  const end = (length: number): number => {
    reader.mode = { in: 'sql' };
    return length;
  };
  switch (mode.in) {
    case 'line-comment':
      return c === '\n' || c === '\r' ? end(1) : 1;
    case 'comment':
      if (two === '/*') mode.depth++;
      else if (two === '*/' && --mode.depth === 0) return end(2);
      return two === '/*' || two === '*/' ? 2 : 1;
    case 'identifier':
      return c === '"' ? end(1) : 1;
    case 'dollar':
      return text.startsWith(mode.tag, at) ? end(mode.tag.length) : 1;
    case 'quote':
      if (mode.hasEscapes && (c === '\\' || two === "''")) return 2;
      return c === "'" ? end(1) : 1;
  }
}

function emit(reader: Reader, text: string, place: Place): void {
  if (!isActive(reader)) return;
  // White space before a statement does not belong to the statement.
  if (reader.text === '' && text.trim() === '') return;
  reader.pieces.push({ at: reader.text.length, place });
  reader.text += text;
}

function endStatement(script: Script, reader: Reader): void {
  const { text, pieces, keyword } = reader;
  Object.assign(reader, { text: '', pieces: [], keyword: '', parentheses: 0 });
  // Without a keyword, the text has only comments.
  if (keyword === '') return;
  const placeOf = (index: number): Place => {
    let low = 0;
    for (let high = pieces.length; low + 1 < high; ) {
      const middle = (low + high) >> 1;
      if ((pieces[middle] as Piece).at <= index) low = middle;
      else high = middle;
    }
    const { at, place } = pieces[low] as Piece;
    return place.variable === undefined ? { ...place, offset: place.offset + index - at } : place;
  };
  const first = text.length - text.replace(/^(?:\s+|--[^\n]*\n|\/\*[^]*?\*\/)+/, '').length;
  script.statements.push({ text, keyword, start: placeOf(first), placeOf });
}

/** Inserts the value of a variable in place of its name. Returns the length of the reference to the variable. */
function readVariable(script: Script, reader: Reader, input: Input, found: RegExpExecArray, at: number): number {
  const [whole, literal, identifier, tested, plain] = found;
  const name = (literal ?? identifier ?? tested ?? plain) as string;
  script.used.add(name);
  if (!isActive(reader)) return whole.length;
  const place: Place = { ...(input.place ?? { file: reader.file, offset: at }), variable: input.place?.variable ?? name };
  const value = tested === undefined ? script.variables.get(name) : script.variables.has(name) ? 'TRUE' : 'FALSE';
  // If a variable has no value or its value contains itself, its name is sent unchanged, and Postgres refuses it.
  const isCircle = input.names.includes(name);
  if (value === undefined || isCircle) {
    noteWord(reader, whole);
    const { variable: _, ...own } = place;
    emit(reader, whole, input.place ?? own);
  } else if (plain !== undefined) {
    lex(script, reader, { text: value, place, names: [...input.names, name] });
  } else {
    noteWord(reader, whole);
    emit(reader, quoted(value, { literal, identifier }), place);
  }
  return whole.length;
}

function quoted(value: string, { literal, identifier }: { literal: string | undefined; identifier: string | undefined }): string {
  if (literal !== undefined) return pg.escapeLiteral(value);
  return identifier === undefined ? value : pg.escapeIdentifier(value);
}

/** Runs the command whose backslash is at `start`. Returns the index after it. */
function readCommand(script: Script, reader: Reader, start: number): number {
  const { file } = reader;
  const { text } = file;
  let at = start + 1;
  while (at < text.length && !SPACE.test(text[at] as string) && text[at] !== '\\') at++;
  const name = text.slice(start + 1, at);
  const wasActive = isActive(reader);
  // Variables are not replaced in a branch that is not taken. They are replaced in the condition of an \elif if no earlier branch was
  // taken.
  let hasValues = wasActive;

  /** Reads the next argument. Returns undefined at the end of the command. */
  const argument = (): string | undefined => {
    while (/[ \t\r\f]/.test(text[at] ?? '')) at++;
    if (at >= text.length || text[at] === '\n' || text[at] === '\\') return undefined;
    let value = '';
    while (at < text.length && !SPACE.test(text[at] as string) && text[at] !== '\\') {
      const c = text[at] as string;
      if (c === "'" || c === '`' || c === '"') {
        if (c === '`' && hasValues) throw mistake(file, at, 'a command in backticks is not understood');
        const [piece, next] = readQuoted(file, at);
        value += piece;
        at = next;
        continue;
      }
      VARIABLE.lastIndex = at;
      const found = c === ':' ? VARIABLE.exec(text) : null;
      value += found ? argumentVariable(script, found, hasValues) : c;
      at += found ? found[0].length : 1;
    }
    return value;
  };
  const rest = (): string[] => {
    const values: string[] = [];
    for (let value = argument(); value !== undefined; value = argument()) values.push(value);
    return values;
  };
  const branch = reader.branches.at(-1);
  const condition = (): boolean => {
    hasValues = true;
    const words = rest().join(' ');
    const is = parseBoolean(words);
    if (is === undefined) throw mistake(file, start, `\\${name} needs true or false, not '${words}'`);
    return is;
  };
  const needsBranch = (): Branch => {
    if (!branch) throw mistake(file, start, `\\${name} without \\if`);
    if (name !== 'endif' && branch.hasElse) throw mistake(file, start, `\\${name} after \\else`);
    return branch;
  };
  /**
   * Begins the next branch of an \if. `isTaken` says whether this branch is taken. Parentheses in a branch that is not taken do not count.
   */
  const enter = (to: Branch, isTaken: boolean): void => {
    if (to.state === 'outer') return;
    if (to.state === 'active') to.state = 'done';
    else reader.parentheses = to.parentheses;
    if (isTaken) to.state = 'active';
    to.parentheses = reader.parentheses;
  };

  switch (name) {
    case 'if':
      reader.branches.push({
        state: wasActive ? (condition() ? 'active' : 'skip') : 'outer',
        hasElse: false,
        parentheses: reader.parentheses,
        offset: start,
      });
      break;
    case 'elif': {
      const to = needsBranch();
      enter(to, to.state === 'skip' && condition());
      break;
    }
    case 'else': {
      const to = needsBranch();
      enter(to, to.state === 'skip');
      to.hasElse = true;
      break;
    }
    case 'endif': {
      const to = needsBranch();
      if (to.state !== 'active') reader.parentheses = to.parentheses;
      reader.branches.pop();
      break;
    }
    case 'set':
    case 'unset':
    case 'echo':
    case 'warn':
    case 'ir':
    case 'include_relative': {
      const values = rest();
      if (wasActive) runCommand(script, reader, { name, values, start });
      break;
    }
    default:
      if (wasActive || name === '')
        throw mistake(file, start, `\\${name} is not understood in a report${ADVICE[name] === undefined ? '' : `: ${ADVICE[name]}`}`);
      if (WHOLE_LINE.has(name)) while (at < text.length && text[at] !== '\n') at++;
  }
  // psql ignores additional arguments. Two backslashes end a command, so that SQL can follow on the same line.
  rest();
  return text.startsWith('\\\\', at) ? at + 2 : at;
}

interface Command {
  name: string;
  values: string[];
  start: number;
}

function runCommand(script: Script, { file, depth }: Reader, { name, values, start }: Command): void {
  const [first, ...others] = values;
  switch (name) {
    case 'echo':
    case 'warn':
      script.messages.push((first === '-n' ? others : values).join(' '));
      return;
    case 'set':
    case 'unset':
      if (first === undefined) throw mistake(file, start, `\\${name} needs the name of a variable`);
      if (!new RegExp(`^${NAME}$`).test(first)) throw mistake(file, start, `'${first}' is not the name of a variable`);
      script.assigned.add(first);
      if (name === 'set') script.variables.set(first, others.join(''));
      else script.variables.delete(first);
      return;
    default:
      if (first === undefined) throw mistake(file, start, `\\${name} needs the path of a file`);
      if (depth >= MAX_INCLUDES)
        throw mistake(
          file,
          start,
          `cannot include ${first}: includes are nested more than ${MAX_INCLUDES} levels deep; a file must not include itself`,
        );
      readFileOf(script, includedFile(file, first, start), depth + 1);
  }
}

function includedFile(file: SourceFile, name: string, start: number): SourceFile {
  const path = isAbsolute(name) ? name : join(dirname(file.path), name);
  try {
    return sourceFile(path, isAbsolute(name) ? name : join(dirname(file.label), name), readFileSync(path, 'utf8'));
  } catch (error) {
    const explained = explainFileError(error);
    throw explained === undefined ? error : mistake(file, start, explained.message);
  }
}

/** Creates a source file from a text. Removes a byte order mark, as psql does. */
export function sourceFile(path: string, label: string, text: string): SourceFile {
  return { path, label: label === '' ? relative('.', path) : label, text: text.replace(/^\ufeff/, '') };
}

/** Returns the value of a variable in an argument. */
function argumentVariable(script: Script, found: RegExpExecArray, isTaken: boolean): string {
  const [whole, literal, identifier, tested, plain] = found;
  const name = (literal ?? identifier ?? tested ?? plain) as string;
  script.used.add(name);
  if (!isTaken) return '';
  if (tested !== undefined) return script.variables.has(name) ? 'TRUE' : 'FALSE';
  const value = script.variables.get(name);
  return value === undefined ? whole : quoted(value, { literal, identifier });
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', b: '\b', r: '\r', f: '\f' };

/**
 * Reads a quoted part of an argument. A part in '…' can have the escapes of C, and '' in it means one quote. A part in "…" keeps its
 * quotes.
 */
function readQuoted(file: SourceFile, start: number): [value: string, next: number] {
  const { text } = file;
  const quote = text[start] as string;
  let value = quote === '"' ? quote : '';
  for (let at = start + 1; at < text.length && text[at] !== '\n'; at++) {
    const c = text[at] as string;
    if (c === quote && quote === "'" && text[at + 1] === "'") {
      value += c;
      at++;
    } else if (c === quote) return [quote === '"' ? value + c : value, at + 1];
    else if (c === '\\' && quote === "'") {
      const [whole = '', octal, hex, other = ''] = /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))/sy.exec(text.slice(at)) ?? [];
      const number = octal !== undefined ? Number.parseInt(octal, 8) : hex !== undefined ? Number.parseInt(hex, 16) : undefined;
      value += number === undefined ? (ESCAPES[other] ?? other) : String.fromCharCode(number);
      at += Math.max(1, whole.length) - 1;
    } else value += c;
  }
  throw mistake(file, start, 'a quoted text has no end on this line');
}

/** Reads a boolean as psql does. The words can be shortened, e.g. `t` or `tr` for `true`. */
function parseBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (word === '1' || word === 'on') return true;
  if (word === '0' || word === 'of' || word === 'off') return false;
  if (word === '') return undefined;
  if ('true'.startsWith(word) || 'yes'.startsWith(word)) return true;
  return 'false'.startsWith(word) || 'no'.startsWith(word) ? false : undefined;
}

function mistake(file: SourceFile, offset: number, message: string): ClickledgerError {
  return new ClickledgerError('bad-input', frameOf({ file, offset }, message));
}
