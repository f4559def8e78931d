// The syntax of merge tags in the usual mail services ("senders"), and how each service changes the values of the tags.

export const SENDERS = ['mailchimp', 'sendgrid', 'ses', 'mailjet', 'generic'] as const;
export type Sender = (typeof SENDERS)[number];

interface Dialect {
  /** Returns the merge tag of a column for the HTML part. */
  readonly html: (column: string) => string;
  /** Returns the merge tag of a column for the text part. */
  readonly text: (column: string) => string;
  /** True if the sender escapes values for HTML. Then the list must have URLs in plain form and not in their HTML spelling. */
  escapes: boolean;
  /** The sender cuts off values with more bytes than this. */
  maxBytes?: number;
  /** The maximum number of columns that a list may have. It is given for most plans and for the largest plan. */
  maxColumns?: { usual: number; largest: number; largestPlan: string };
  /** The maximum number of characters in a tag. */
  maxTagLength?: number;
}

/** Handlebars escapes a value in two braces, even in plain text. Plain text therefore needs three braces. */
const handlebars: Dialect = { html: (column) => `{{${column}}}`, text: (column) => `{{{${column}}}}`, escapes: true };

/** A dialect with the same tag in both parts, without escaping. */
const sameInBothParts = (tag: (column: string) => string, options: Partial<Dialect> = {}): Dialect => ({
  html: tag,
  text: tag,
  escapes: false,
  ...options,
});

export const DIALECTS: Readonly<Record<Sender, Dialect>> = {
  // https://mailchimp.com/developer/marketing/docs/merge-fields/: tags are upper case with at most ten characters; text fields have 255
  // bytes. An audience has at most 30 fields, 80 with the plan Premium: https://github.com/mailchimp/mc-magento/issues/957,
  // https://chimpmatic.com/mailchimp-audience-fields-and-merge-tags
  mailchimp: sameInBothParts((column) => `*|${column}|*`, {
    maxBytes: 255,
    maxColumns: { usual: 30, largest: 80, largestPlan: 'Premium' },
    maxTagLength: 10,
  }),
  // https://www.twilio.com/docs/sendgrid/for-developers/sending-email/using-handlebars
  sendgrid: handlebars,
  // https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-advanced.html
  ses: handlebars,
  // https://dev.mailjet.com/template-language/reference/: contact properties
  mailjet: sameInBothParts((column) => `{{data:${column}}}`),
  generic: sameInBothParts((column) => `{{${column}}}`),
};

/**
 * A transparent image as a data URL, which causes no request. A merged letter has one <img> with a merge tag for the pixel of all
 * recipients. For recipients who opted out, the value of this tag is this image.
 */
export const NO_PIXEL = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

/** The value of the tag of the hidden link for recipients who opted out. It leads nowhere. */
export const NO_HIDDEN_LINK = '#';
