declare module 'html-encoding-sniffer' {
  /**
   * Returns the WHATWG name of the encoding that a byte order mark, the label or a <meta> within the first 1,024 bytes gives (WHATWG HTML,
   * 13.2.3.2). If none of them gives an encoding, returns `defaultEncoding`.
   */
  export default function sniffHtmlEncoding(
    bytes: Uint8Array,
    options: { transportLayerEncodingLabel?: string; defaultEncoding: string },
  ): string;
}
