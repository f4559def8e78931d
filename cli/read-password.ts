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
  const password = await ask('Password: ');
  if ((await ask('The same password again: ')) !== password) throw new ClickledgerError('bad-input', 'the two passwords are different');
  return password;
}

const withoutLineBreak = (content: string): string => content.replace(/\r?\n$/, '');

/** Asks for one line on the terminal without echo. Ctrl-C and Ctrl-D end the command. */
function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true, historySize: 0 });
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      lines.removeAllListeners('close');
      lines.close();
      process.stderr.write('\n');
      settle();
    };
    const cancel = (): void => end(() => reject(new ClickledgerError('bad-input', 'no password was given')));
    lines.once('line', (line) => end(() => resolve(line)));
    lines.once('SIGINT', cancel);
    lines.once('close', cancel);
  });
}
