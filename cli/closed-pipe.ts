import { codeOf } from '../core/errors.ts';

/**
 * Ends the command without an error when the reader of stdout closes the pipe, as `head` does. A command that handles SIGTERM gets this
 * signal, so that it can stop its work in the right order. When the reader of stderr closes the pipe, the command continues without its
 * notes, because its result does not go to stderr.
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
