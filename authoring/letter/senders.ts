// How the usual senders write "put this person's value here", and what they do to the value.

export const SENDERS = ['mailchimp', 'sendgrid', 'ses', 'mailjet', 'generic'] as const;
export type Sender = (typeof SENDERS)[number];

interface Dialect {
  /** The tag in the HTML part, and in the text part. */
  readonly html: (column: string) => string;
  readonly text: (column: string) => string;
  /** Escapes values for HTML by itself: ours go into the CSV as they are. */
  escapes: boolean;
  /** Longer values are cut off. */
  maxBytes?: number;
}

/** Handlebars escapes what is in two braces, also in plain text, where three are needed. */
const handlebars: Dialect = { html: (column) => `{{${column}}}`, text: (column) => `{{{${column}}}}`, escapes: true };

const same = (tag: (column: string) => string, more: Partial<Dialect> = {}): Dialect => ({ html: tag, text: tag, escapes: false, ...more });

export const DIALECTS: Readonly<Record<Sender, Dialect>> = {
  // https://mailchimp.com/developer/marketing/docs/merge-fields/: upper case, at most ten characters; text fields have 255 bytes.
  mailchimp: same((column) => `*|${column}|*`, { maxBytes: 255 }),
  // https://www.twilio.com/docs/sendgrid/for-developers/sending-email/using-handlebars
  sendgrid: handlebars,
  // https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-advanced.html
  ses: handlebars,
  // https://dev.mailjet.com/template-language/reference/: contact properties
  mailjet: same((column) => `{{data:${column}}}`),
  generic: same((column) => `{{${column}}}`),
};

/** An image that is nothing, and is asked of nobody: for people who are not tracked, where a letter for all has a place for a pixel. */
export const NO_PIXEL = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';
