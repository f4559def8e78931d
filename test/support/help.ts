import type { Command } from 'commander';
import { createProgram } from '../../cli/program.ts';

// The help of the command line, without a process for each command.

const program = createProgram();

/** Returns what `clickledger PATH… --help` prints, or undefined if there is no such command. */
export async function helpOf(path: readonly string[]): Promise<string | undefined> {
  let found: Command | undefined = await program;
  for (const name of path) found = found?.commands.find((command) => command.name() === name);
  let help = '';
  found?.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  return found && help;
}

/** The names of the commands in a help. */
export const commandsIn = (help: string): string[] =>
  Array.from((/^Commands:\n([\s\S]*)/m.exec(help)?.[1] ?? '').matchAll(/^ {2}([a-z][a-z-]*)\b/gm), ([, name]) => name as string).filter(
    (name) => name !== 'help',
  );
