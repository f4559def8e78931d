import { encode } from 'fast-png';
import { encodeQR } from 'qr';

// Draws QR codes as SVG and as PNG. The error correction is "medium" (15 %). The quiet zone has four modules, as ISO/IEC 18004 requires.
const OPTIONS = { ecc: 'medium', border: 4 } as const;

/** Returns the QR code of a text as an SVG document. */
export function qrSvg(text: string): string {
  return `${encodeQR(text, 'svg', OPTIONS)}\n`;
}

/** Returns the QR code of a text as a PNG, black on white. Each module is `scale` pixels wide. */
export function qrPng(text: string, scale: number): Uint8Array {
  const modules = encodeQR(text, 'raw', OPTIONS);
  const width = modules.length * scale;
  const data = new Uint8Array(width * width);
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) data[y * width + x] = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] ? 0 : 255;
  return encode({ width, height: width, data, channels: 1, depth: 8 });
}
