/**
 * Returns the headers by which mail programs show a button for unsubscribing (RFC 8058). `existing` are the names of the headers that the message
 * has. If one of these headers is among them, the result is empty.
 */
export function unsubscribeHeaders(url: string, existing: readonly string[]): { key: string; value: string }[] {
  if (existing.some((name) => /^list-unsubscribe(?:-post)?$/i.test(name.trim()))) return [];
  return [
    { key: 'List-Unsubscribe', value: `<${url}>` },
    { key: 'List-Unsubscribe-Post', value: 'List-Unsubscribe=One-Click' },
  ];
}
