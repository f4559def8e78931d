import { zstdDecompressSync } from 'node:zlib';
import { type AsyncBuffer, parquetMetadataAsync, parquetRead } from 'hyparquet';

/** Values are read as columns.ts describes them, except decimals, which are numbers. */
const READING = {
  compressors: { ZSTD: (bytes: Uint8Array): Uint8Array => zstdDecompressSync(bytes) },
  parsers: { timestampFromMicroseconds: (micros: bigint): bigint => micros, uuidFromBytes: (bytes: Uint8Array): Uint8Array => bytes },
};

/** Reads a Parquet file, one row group after the other. Each has its rows as arrays, in the order of `columns` or of the file. */
export async function* readRowGroups(file: AsyncBuffer, columns?: readonly string[]): AsyncGenerator<unknown[][]> {
  const metadata = await parquetMetadataAsync(file);
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    let rows: unknown[][] = [];
    await parquetRead({
      ...READING,
      file,
      metadata,
      rowStart,
      rowEnd,
      ...(columns === undefined ? {} : { columns: [...columns] }),
      onComplete: (read) => {
        rows = read;
      },
    });
    yield rows;
    rowStart = rowEnd;
  }
}
