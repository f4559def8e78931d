import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ClickledgerError } from '../core/errors.ts';
import { throwExplained } from './context.ts';

/**
 * Reads a new password: from a file, from stdin if `file` is `-`, or else from the terminal, which asks twice and shows nothing of it. One
 * line break at the end of a file or of stdin does not belong to the password.
 */
export async function readPassword(file: string | undefined): Promise<string> {
  if (file === '-') return withoutLineBreak(await text(process.stdin));
  if (file !== undefined) return withoutLineBreak(await readFile(file, 'utf8').catch(throwExplained));
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new ClickledgerError('bad-input', 'there is no terminal to ask for a password: give --password-file, or - to read it from stdin');
  return askTwice();
}

const withoutLineBreak = (content: string): string => content.replace(/\r?\n$/, '');

/** Asks for a password twice on the terminal. There is no echo from before the first prompt to the end. */
async function askTwice(): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true, historySize: 0 });
  lines.once('SIGINT', () => lines.close());
  const answers = lines[Symbol.asyncIterator]();
  const ask = async (prompt: string): Promise<string> => {
    process.stderr.write(prompt);
    const answer = await answers.next();
    process.stderr.write('\n');
    // Ctrl-C and Ctrl-D end the input.
    if (answer.done === true) throw new ClickledgerError('bad-input', 'no password was given');
    return answer.value;
  };
  try {
    const password = await ask('Password: ');
    if ((await ask('The same password again: ')) !== password) throw new ClickledgerError('bad-input', 'the two passwords are different');
    return password;
  } finally {
    lines.close();
  }
}
