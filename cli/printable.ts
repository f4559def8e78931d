/**
 * Replaces characters that could change what a terminal shows: control characters, escape sequences, line breaks, and characters that
 * reverse the direction of text. They become escapes such as \x1b. Call this function for
 * every text that a user or a client has chosen, e.g. the name of a campaign.
 */
export function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}
