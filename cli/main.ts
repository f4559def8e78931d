import { endOnClosedPipe } from './closed-pipe.ts';
import { runProgram } from './program.ts';

endOnClosedPipe();
await runProgram(process.argv.slice(2));
