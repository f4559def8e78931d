// Finds out the kind of a file from its first bytes. The agent reads plain logs, gzip and zstd. It does not read or delete other files, but
// reports them.

/** The number of first bytes that `kindOf` needs. */
export const KIND_BYTES = 512;

export type Compression = 'gzip' | 'zstd';

/** `other` describes the file for people, e.g. `compressed with xz`. */
export type FileKind = 'plain' | Compression | { other: string };

interface Magic {
  kind: FileKind;
  bytes: Buffer;
  at?: number;
}

const magic = (kind: FileKind, bytes: string | number[], at?: number): Magic => ({
  kind,
  bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes),
  ...(at === undefined ? {} : { at }),
});

const COMPRESSED: readonly Magic[] = [
  magic('gzip', [0x1f, 0x8b]),
  magic('zstd', [0x28, 0xb5, 0x2f, 0xfd]),
  // Skippable frames. A zstd file may begin with such a frame, which has no content.
  ...Array.from({ length: 16 }, (_, i) => magic('zstd', [0x50 + i, 0x2a, 0x4d, 0x18])),
];

const OTHERS: readonly Magic[] = [
  magic({ other: 'compressed with xz' }, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
  magic({ other: 'compressed with bzip2' }, 'BZh'),
  magic({ other: 'compressed with lz4' }, [0x04, 0x22, 0x4d, 0x18]),
  magic({ other: 'compressed with lz4' }, [0x02, 0x21, 0x4c, 0x18]),
  magic({ other: 'compressed with lzip' }, 'LZIP'),
  magic({ other: 'compressed with lzma' }, [0x5d, 0x00, 0x00]),
  magic({ other: 'compressed with lzop' }, [0x89, 0x4c, 0x5a, 0x4f, 0x00]),
  magic({ other: 'compressed with compress' }, [0x1f, 0x9d]),
  magic({ other: 'compressed with snappy' }, [0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59]),
  magic({ other: 'a zip archive' }, [0x50, 0x4b, 0x03, 0x04]),
  magic({ other: 'a 7z archive' }, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
  magic({ other: 'a rar archive' }, 'Rar!\x1a\x07'),
  magic({ other: 'a tar archive' }, 'ustar', 257),
  magic({ other: 'a cpio archive' }, '07070'),
  magic({ other: 'an encrypted file' }, '-----BEGIN PGP'),
  magic({ other: 'an encrypted file' }, 'age-encryption.org'),
  magic({ other: 'a swap file of an editor' }, 'b0VIM'),
];

/** Returns the kind of a file that begins with the bytes `head`. The caller passes KIND_BYTES bytes, or all bytes of a shorter file. */
export function kindOf(head: Buffer): FileKind {
  // A file that is still being written may contain only a part of the first bytes.
  const begins = ({ bytes }: Magic): boolean => head.length > 0 && head.subarray(0, bytes.length).equals(bytes.subarray(0, head.length));
  const compressed = COMPRESSED.find(begins);
  if (compressed) return compressed.kind;
  return OTHERS.find(({ bytes, at = 0 }) => head.subarray(at, at + bytes.length).equals(bytes))?.kind ?? 'plain';
}

/**
 * Returns whether a file without a request id contains binary data and is not a log. A log has almost no control characters, because nginx
 * escapes them. It may have zeros (after a power failure) and bytes from 0x80 on (which nginx logs unchanged), so these do not count. In
 * random bytes, more than a tenth are control characters.
 */
export function looksBinary(head: Buffer): boolean {
  let control = 0;
  let zeros = 0;
  for (const byte of head) {
    if (byte === 0) zeros++;
    else if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) control++;
  }
  return control * 50 > head.length - zeros;
}
