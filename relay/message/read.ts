import type { Header } from './header.ts';
import { createLineEnds } from './line-ends.ts';
import { createMessageSplitter, type Piece, type SplitLimits } from './split.ts';

/** A message of which the header has been read. */
export interface IncomingMessage {
  readonly header: Header;
  /** Whether the message is a text without parts. */
  readonly isText: boolean;
  /** Returns the pieces after the header. They are read from the stream as they are needed. It can be called once. */
  pieces(): AsyncGenerator<Piece>;
}

/**
 * Reads the header of a message from its chunks, without the dots of SMTP. Throws `bad-input` if the header is too large. Rejects with the
 * error of the stream if the stream ends early.
 */
export async function readMessage(chunks: AsyncIterator<Buffer>, limits: SplitLimits): Promise<IncomingMessage> {
  const lineEnds = createLineEnds();
  const splitter = createMessageSplitter(limits);

  async function* read(): AsyncGenerator<Piece> {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield* splitter.push(lineEnds(next.value));
    yield* splitter.push(lineEnds());
    yield* splitter.end();
  }

  const pieces = read();
  const first = await pieces.next();
  // The splitter returns the header of the message first, even if the message is empty.
  const message = first.value as Piece & { kind: 'message' };
  return { header: message.header, isText: message.isText, pieces: () => pieces };
}
