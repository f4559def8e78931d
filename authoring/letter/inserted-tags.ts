// The HTML elements that are inserted into a letter.

/** Returns the HTML element of the pixel. Its style does not have display:none, because some clients do not load hidden images. */
export function pixelTag(address: string, amp: boolean): string {
  return amp
    ? `<amp-img src="${address}" width="1" height="1" layout="fixed" alt=""></amp-img>`
    : `<img src="${address}" width="1" height="1" alt="" style="border:0;width:1px;height:1px" />`;
}

/** Returns the HTML element of the hidden link. It has no text and no size, and neither the keyboard nor a screen reader reaches it. */
export function honeypotTag(address: string, amp: boolean): string {
  const hidden = amp ? 'hidden' : 'style="display:none"';
  return `<a href="${address}" ${hidden} aria-hidden="true" tabindex="-1"></a>`;
}

/** Whether an earlier run inserted a hidden link into the letter. */
export const hasHoneypotTag = (html: string): boolean =>
  /<a href="[^"<>]*" (?:hidden|style="display:none") aria-hidden="true" tabindex="-1"><\/a>/.test(html);
