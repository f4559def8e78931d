// Protects the tags of a letter, such as {{name}}, while another program converts the letter. Markdown takes `*` in a tag for emphasis, and it
// percent-encodes the braces of a tag in an address.

/** The tags that are protected. `[[…]]` and `##…##` are not, because they mean something in Markdown. */
const TAG = /\{\{\{[^{}\n]+\}\}\}|\{\{[^{}\n]+\}\}|\{%[^%\n]+%\}|<%[^%\n]+%>|\*\|[^|\n]+\|\*|%%[\w.-]+%%/g;

export interface ProtectedText {
  /** The text with a word in place of each tag. */
  text: string;
  /** Puts the tags back, into any text that has their words. `change` may change the spelling of a tag. */
  restore: (converted: string, change?: (tag: string) => string) => string;
}

/**
 * Replaces each tag with a word that no conversion changes: it has only letters and digits, so it is no markup and needs no encoding in an
 * address. It begins with a digit, so `<` before it begins no element.
 */
export function protectTags(text: string): ProtectedText {
  // A tag that occurs again has the same word, because it may be the label of a link.
  const numbers = new Map<string, number>();
  const numberOf = (tag: string): number => numbers.get(tag) ?? numbers.set(tag, numbers.size).size - 1;
  const prefix = unusedPrefix(text, '0cltag');
  return {
    text: text.replace(TAG, (tag) => `${prefix}${numberOf(tag)}e`),
    restore: (converted, change = (tag) => tag) => {
      const tags = [...numbers.keys()];
      return converted.replace(new RegExp(`${prefix}(\\d+)e`, 'g'), (_, index: string) => change(tags[Number(index)] as string));
    },
  };
}

/** Returns a beginning for words that do not occur in a text. */
export function unusedPrefix(text: string, wanted: string): string {
  let prefix = wanted;
  while (text.includes(prefix)) prefix += 'x';
  return prefix;
}

/** In HTML, a tag may stand in an attribute, where its double quotes would end the value. Single quotes have the same meaning in tags. */
export function tagForHtml(tag: string): string {
  return tag.includes("'") ? tag : tag.replaceAll('"', "'");
}
