import { CommanderError } from 'commander';
import { ClickledgerError } from '../core/errors.ts';
import { endOnClosedPipe } from './closed-pipe.ts';
import { note } from './output.ts';
import { commandOf, createProgram } from './program.ts';

endOnClosedPipe();

const program = await createProgram(commandOf(process.argv.slice(2)));
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof ClickledgerError) {
    note(`clickledger: ${error.message}`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
