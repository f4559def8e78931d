import { codeOf } from '../core/errors.ts';

/**
 * Ends the command quietly when the reader of stdout closes the pipe, as `head` does. A command that handles signals stops in order. When
 * the reader of stderr is gone, the command goes on without notes, because its work is not for that reader.
 */
export function endOnClosedPipe({ stdout, stderr } = process): void {
  stdout.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') throw error;
    if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
    else process.exit(0);
  });
  stderr.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') throw error;
  });
}
