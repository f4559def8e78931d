import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ClickledgerError, codeOf, messageOf } from '../../core/errors.ts';
import { syncDirectory } from '../../core/files.ts';

// The state file of the command `send`: what is known about the message of each recipient, one JSON line for each change. Lines are only
// appended. The results of one recipient follow this graph:
//
//   (none) → attempt → sent | refused | deferred → attempt → …
//   (none) → refused | deferred → attempt → …
//
// `attempt` is on the disk before the content of the message is given to the server. If the last line of a recipient is `attempt` after a crash,
// nobody knows whether the recipient has the message. A recipient without a line does not have it. The file has the numbers of recipients and
// no mail addresses, except in the answers of mail servers.

/** What is known about the message of a recipient. */
export const RESULTS = [
  /** The server has accepted the message. */
  'sent',
  /** The server has refused it for good. */
  'refused',
  /** The server could not accept it at that time. The message was not sent. */
  'deferred',
  /** The message was given to the server, and its answer is not known. */
  'unknown',
] as const;
export type Result = (typeof RESULTS)[number];

/** The campaign and the letter of a state file. `letter` is a hash of the letter. */
export interface Mailing {
  campaign: number;
  name: string;
  letter: string;
}

export interface SendState {
  readonly path: string;
  /** A random number of this file. It is part of the Message-ID of all messages, so a repeated message has the same Message-ID. */
  readonly run: string;
  /** True if the file did not exist or had no header yet, so that nobody has got a message by it. */
  readonly isNew: boolean;
  /** Returns what is known about a recipient. Undefined if the recipient has no message and no result yet. */
  of(recipient: number): Result | undefined;
  /** Returns the recipients with one of these results. */
  recipients(...results: readonly Result[]): number[];
  /** Records that a message will now be given to the server. Resolves when the line is on the disk. */
  attempt(recipient: number): Promise<void>;
  /**
   * Records the result of a message. `reason` is the answer of the server. The line is on the disk when `flush` resolves; a line that is lost
   * in a crash leaves the recipient with `unknown`.
   */
  record(recipient: number, result: Result, reason?: string): void;
  /** Resolves when all lines are on the disk. Rejects if a line could not be written. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const HEADER_START = '{"clickledger":"send 1"';
const HEADER = z.object({ clickledger: z.literal('send 1'), run: z.string(), campaign: z.int(), name: z.string(), letter: z.string() });
const LINE = z.object({ r: z.int().positive(), is: z.enum(['attempt', ...RESULTS]) });

/**
 * Opens a state file. With `create`, it is created if it does not exist; without, nothing is written to it, and a missing file is an
 * empty state. Throws `conflict` if the file belongs to another campaign or another letter, and `bad-input` if it is damaged or not a state file.
 */
export async function openSendState(path: string, mailing: Mailing, { create = true } = {}): Promise<SendState> {
  const content = await readFile(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  // After a crash of the machine, the last line may be incomplete. Its message was not given to the server, because an attempt is on the disk
  // before that. So an incomplete line is dropped.
  const complete = content === undefined ? 0 : content.lastIndexOf(0x0a) + 1;
  let run: string | undefined;
  let number = 0;
  const known = new Map<number, Result>();
  for (const line of linesOf(content?.subarray(0, complete))) {
    number++;
    if (run === undefined) {
      run = parseHeader(path, line, mailing);
      continue;
    }
    const parsed = LINE.safeParse(parseJson(line)).data;
    if (!parsed) throw new ClickledgerError('bad-input', `${path} is damaged in line ${number}. It is not known who has got this letter.`);
    known.set(parsed.r, parsed.is === 'attempt' ? 'unknown' : parsed.is);
  }
  const isNew = run === undefined;
  // Only a header that a crash has cut off is overwritten.
  if (isNew && content !== undefined && !HEADER_START.startsWith(content.toString('latin1', 0, HEADER_START.length)))
    throw new ClickledgerError('bad-input', `${path} is not a file of \`clickledger send\`. Give another file with --state.`);
  run ??= randomBytes(12).toString('hex');
  const log = create ? await openLog(path, complete) : undefined;
  if (log && isNew) {
    log.append(JSON.stringify({ clickledger: 'send 1', run, ...mailing }));
    await log.flush();
    await syncDirectory(dirname(path));
  }
  return createState(path, run, isNew, known, log);
}

/** Returns an empty state that is only in memory, for a test message. */
export const temporaryState = (): SendState => createState('', randomBytes(12).toString('hex'), true, new Map(), undefined);

function createState(path: string, run: string, isNew: boolean, known: Map<number, Result>, log: Log | undefined): SendState {
  function append(recipient: number, is: Result | 'attempt', reason?: string): void {
    known.set(recipient, is === 'attempt' ? 'unknown' : is);
    log?.append(JSON.stringify({ r: recipient, is, ...(reason === undefined ? {} : { reason }), at: new Date().toISOString() }));
  }

  return {
    path,
    run,
    isNew,
    of: (recipient) => known.get(recipient),
    recipients: (...results) => Array.from(known).flatMap(([recipient, result]) => (results.includes(result) ? [recipient] : [])),
    async attempt(recipient) {
      append(recipient, 'attempt');
      await log?.flush();
    },
    record(recipient, result, reason) {
      append(recipient, result, reason);
      // An error is thrown by the next `attempt` or `flush`, because a log with an error stays one.
      log?.flush().catch(() => {});
    },
    flush: async () => log?.flush(),
    close: async () => log?.close(),
  };
}

/** Checks the first line of a state file, and returns its number. */
function parseHeader(path: string, line: string, { campaign, name, letter }: Mailing): string {
  const parsed = HEADER.safeParse(parseJson(line));
  if (!parsed.success)
    throw new ClickledgerError('bad-input', `${path} is not a file of \`clickledger send\`. Give another file with --state.`);
  const header = parsed.data;
  if (header.campaign !== campaign || header.name !== name)
    throw new ClickledgerError(
      'conflict',
      `${path} says who got the letter of campaign '${header.name}', not of '${name}'. Give another file with --state.`,
    );
  if (header.letter !== letter)
    throw new ClickledgerError(
      'conflict',
      `${path} says who got another version of this letter. Send the unchanged letter to the others, or create another campaign for the new one.`,
    );
  return header.run;
}

/** Yields the lines of a file. The file may be larger than the longest string. */
function* linesOf(content: Buffer = Buffer.alloc(0)): Generator<string> {
  for (let from = 0, end = content.indexOf(0x0a); end >= 0; from = end + 1, end = content.indexOf(0x0a, from))
    yield content.toString('utf8', from, end);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Log {
  append(line: string): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the file for appending after its first `size` bytes. Lines that are appended while others are written go to the disk together. */
async function openLog(path: string, size: number): Promise<Log> {
  const file = await openForAppending(path, size);
  let expected = size;
  let waiting: string[] = [];
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const bytes = Buffer.from(waiting.map((line) => `${line}\n`).join(''));
      waiting = [];
      await file.appendFile(bytes);
      await file.datasync();
      expected += bytes.length;
      // Two processes that append to one file would each send to everybody. If another process has written, no message follows this line.
      if ((await file.stat()).size !== expected)
        throw new ClickledgerError(
          'conflict',
          `another process writes to ${path}. Two runs must not send the same letter at the same time.`,
        );
    }
  }

  /** Waits for lines that are being written, and then writes all that came after them. An error stays, because the file is incomplete then. */
  const flush = (): Promise<void> => {
    writing = (writing ?? Promise.resolve()).then(write);
    writing.catch(() => {});
    return writing;
  };

  return {
    append: (line) => void waiting.push(line),
    flush: () =>
      flush().catch((error: unknown) => {
        if (error instanceof ClickledgerError) throw error;
        throw new ClickledgerError('bad-input', `${path} cannot be written: ${codeOf(error) ?? messageOf(error)}`, { cause: error });
      }),
    async close() {
      await file.close();
    },
  };
}

async function openForAppending(path: string, size: number): Promise<FileHandle> {
  const file = await open(path, 'a+', 0o600);
  try {
    if ((await file.stat()).size > size) await file.truncate(size);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
