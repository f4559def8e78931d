import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { type Column, schemaOf, type Value } from './columns.ts';

// Writes rows into a local Parquet file. Rows are collected until there are enough for a row group, so the memory does not grow with the file.

/** A finished file. */
export interface Finished {
  readonly rows: number;
  readonly bytes: number;
  /** SHA-256 of the file, in hex digits. */
  readonly sha256: string;
}

export interface ParquetFile {
  readonly path: string;
  /** The number of rows that wait for the next row group. */
  waiting(): number;
  add(row: readonly Value[]): void;
  /** Writes the rows that wait as a row group. */
  flush(): Promise<void>;
  /** Writes what is left, and waits until the disk has the file. */
  finish(): Promise<Finished>;
}

const compressors = {
  ZSTD: (bytes: Uint8Array): Uint8Array => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }),
};

/** The file is created with the first row group, and is open only while it is written. So many files may be written at a time. */
export function createParquetFile(path: string, columns: readonly Column[]): ParquetFile {
  const hash = createHash('sha256');
  const writer = new ByteWriter();
  const parquet = new ParquetWriter({
    writer,
    schema: schemaOf(columns),
    codec: 'ZSTD',
    compressors,
    createdBy: 'clickledger',
  });
  let waiting = columns.map((): Value[] => []);
  let rows = 0;
  let isCreated = false;

  /** Appends what the writer has encoded to the file. */
  async function writeOut(sync: boolean): Promise<void> {
    const bytes = writer.getBytes();
    hash.update(bytes);
    const file = await open(path, isCreated ? 'a' : 'wx', 0o644);
    isCreated = true;
    try {
      await file.writeFile(bytes);
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    // The writer begins again with a small buffer, because the next row group of this file may be much later.
    writer.buffer = new ArrayBuffer(1024);
    writer.view = new DataView(writer.buffer);
    writer.index = 0;
  }

  function encode(): void {
    const data = waiting;
    const count = data[0]?.length ?? 0;
    if (count === 0) return;
    waiting = columns.map(() => []);
    rows += count;
    void parquet.write({
      columnData: columns.map(({ name, isUnique, hasBounds = false }, i) => ({
        name,
        data: data[i] as Value[],
        statistics: hasBounds,
        ...(isUnique ? { encoding: 'PLAIN' as const } : {}),
      })),
      rowGroupSize: count,
    });
  }

  return {
    path,
    waiting: () => waiting[0]?.length ?? 0,
    add(row) {
      for (let i = 0; i < waiting.length; i++) (waiting[i] as Value[]).push(row[i] as Value);
    },
    async flush() {
      encode();
      await writeOut(false);
    },
    async finish() {
      encode();
      void parquet.finish();
      const bytes = writer.offset;
      await writeOut(true);
      return { rows, bytes, sha256: hash.digest('hex') };
    },
  };
}
