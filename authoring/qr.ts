import { encode } from 'fast-png';
import { encodeQR } from 'qr';

// Error correction "medium" (15 %) and the quiet zone of four modules that the standard (ISO/IEC 18004) asks for.
const OPTIONS = { ecc: 'medium', border: 4 } as const;

export function qrSvg(text: string): string {
  return `${encodeQR(text, 'svg', OPTIONS)}\n`;
}

/** Black on white, `scale` pixels a module. */
export function qrPng(text: string, scale: number): Uint8Array {
  const modules = encodeQR(text, 'raw', OPTIONS);
  const width = modules.length * scale;
  const data = new Uint8Array(width * width);
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) data[y * width + x] = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] ? 0 : 255;
  return encode({ width, height: width, data, channels: 1, depth: 8 });
}
