import { endOnClosedPipe } from '../../cli/closed-pipe.ts';
import { runProgram } from '../../cli/program.ts';
import type { CommandRequest } from './commands.ts';

// A process that runs commands one after the other. Each command has the environment, the directory, the output and the exit code that it would
// have in a process of cli/main.ts. commands.ts sends the commands.

endOnClosedPipe();
const { stdout, stderr } = process;

/** Returns the number of resources that keep this process from exiting. Node also lists what it uses to read a file, which does not. */
const openResources = (): number => process.getActiveResourcesInfo().filter((kind) => kind !== 'FileHandleReadWrap').length;

/** The number of open resources between commands: the streams and the channel to the test. */
let always: number | undefined;

process.on('disconnect', () => process.exit());
process.on('message', async ({ args, env, cwd, mark }: CommandRequest) => {
  always ??= openResources();
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  process.exitCode = undefined;
  await runProgram(args);
  // cli/main.ts exits when no other resource, such as a connection, is open. So this waits until then.
  while (openResources() > always) await new Promise((resolve) => setTimeout(resolve, 5).unref());
  for (const stream of [stdout, stderr]) await new Promise((resolve) => stream.write(mark, resolve));
  process.send?.(process.exitCode ?? 0);
});
