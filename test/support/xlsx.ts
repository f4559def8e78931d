import { readXlsx as readWorkbook } from 'hucre/xlsx';
import { inflateRawSync } from 'node:zlib';

export interface Sheet {
  /** The values of all cells, with the header as the first row. */
  rows: unknown[][];
  /** The XML of the first sheet. */
  xml: string;
}

/** Reads a workbook. A library reads the values. The XML is found by the central directory of the ZIP file. */
export async function readXlsx(bytes: Uint8Array): Promise<Sheet> {
  const { sheets } = await readWorkbook(bytes);
  return { rows: sheets.flatMap((sheet) => sheet.rows), xml: entryOf(Buffer.from(bytes), 'xl/worksheets/sheet1.xml') };
}

/** Returns the text of one file in a ZIP archive. It finds the file by the central directory at the end of the archive. */
function entryOf(zip: Buffer, name: string): string {
  for (let at = zip.indexOf('PK\u0001\u0002', 0, 'latin1'); at !== -1; at = zip.indexOf('PK\u0001\u0002', at + 46, 'latin1')) {
    const [size, nameLength, start] = [zip.readUInt32LE(at + 20), zip.readUInt16LE(at + 28), zip.readUInt32LE(at + 42)];
    if (zip.toString('utf8', at + 46, at + 46 + nameLength) !== name) continue;
    const data = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28);
    const content = zip.subarray(data, data + size);
    return (zip.readUInt16LE(at + 10) === 0 ? content : inflateRawSync(content)).toString('utf8');
  }
  throw new Error(`the archive has no ${name}`);
}
