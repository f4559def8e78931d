import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ClickledgerError } from '../../core/errors.ts';

// Forms with files. Node itself parses multipart/form-data. It needs the whole body in memory, so the body has a limit.

/** The whole form has at most so many bytes. */
export const MAX_UPLOAD_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 2;

/** A file in a form. Browsers send a field without a chosen file as a file with no name and no bytes, which is left out. */
export interface UploadedFile {
  name: string;
  bytes: Uint8Array;
}

/** The text fields of a form, and its files by the names of their fields. */
export class UploadForm extends URLSearchParams {
  readonly files = new Map<string, UploadedFile>();
}

/** Makes an app read forms with files, besides what it reads already. */
export function addUploadParser(app: FastifyInstance): void {
  const options = { parseAs: 'buffer', bodyLimit: MAX_UPLOAD_BYTES } as const;
  app.addContentTypeParser('multipart/form-data', options, (request: FastifyRequest, body: Buffer<ArrayBuffer>) =>
    parseUpload(request.headers['content-type'] ?? '', body),
  );
}

/** Parses a body of the type multipart/form-data. Throws `bad-input` if it is malformed or has too many files. */
async function parseUpload(contentType: string, body: Uint8Array<ArrayBuffer>): Promise<UploadForm> {
  const data = await new Response(body, { headers: { 'content-type': contentType } }).formData().catch((cause: unknown) => {
    throw new ClickledgerError('bad-input', 'the form is malformed: open the page again', { cause });
  });
  const form = new UploadForm();
  for (const [name, value] of data) {
    if (typeof value === 'string') {
      form.append(name, value);
    } else if (value.name !== '' || value.size > 0) {
      if (form.files.size === MAX_FILES || form.files.has(name))
        throw new ClickledgerError('bad-input', `the form has more than ${MAX_FILES} files, or two in one field`);
      form.files.set(name, { name: value.name, bytes: new Uint8Array(await value.arrayBuffer()) });
    }
  }
  return form;
}
