import { foldName } from './list-columns.ts';

// Finds people who must not be written to. Mail services export this in columns with a status, a flag, or the time at which a person
// unsubscribed. Only values that are listed here exclude a person, so a column `status` with other values excludes nobody.

type Kind = 'word' | 'subscription' | 'flag' | 'consent' | 'time' | 'any';

interface StatusColumns {
  readonly kind: Kind;
  readonly names: readonly string[];
  /** The services that export these columns, and the place where this is documented. */
  readonly source: string;
}

/**
 * The columns of each kind:
 *
 * - `word`: a column that may be about something else. Only words with a clear meaning exclude a person.
 * - `subscription`: a column that is about the subscription. Words such as "inactive" exclude a person, too.
 * - `flag`: a column that is true for people who must not be written to.
 * - `consent`: a column that is false for people who must not be written to.
 * - `time`: a column that has a time for people who must not be written to.
 * - `any`: a column in which every value excludes the person.
 */
export const STATUS_COLUMNS: readonly StatusColumns[] = [
  {
    kind: 'word',
    names: ['status', 'state', 'type'],
    source: 'listmonk (cmd/subscribers.go), MailerLite, Campaign Monitor (State), Buttondown (type), Sendy, Kit, beehiiv',
  },
  {
    kind: 'word',
    names: ['Statut', 'Stato', 'Estado', 'Stav', 'Статус', '状态', '狀態', 'ステータス', '状態', '상태', 'Durum'],
    source: 'the same in other languages',
  },
  {
    kind: 'subscription',
    names: ['subscription_status', 'subscription state', 'sub_status', 'subscriptionStatus'],
    source: 'listmonk API, Omnisend',
  },
  { kind: 'subscription', names: ['subscriber_status', 'subscriber state', 'Email subscriber status'], source: 'Wix, Flodesk' },
  { kind: 'subscription', names: ['email_status', 'Email Status', 'E-Mail-Status', 'Email state'], source: 'Constant Contact, CiviCRM' },
  {
    kind: 'subscription',
    names: ['member_status', 'Membership Status (email)', 'list_status', 'List status', 'Global status'],
    source: 'Mailchimp API (members), MailPoet',
  },
  {
    kind: 'subscription',
    names: ['Email Marketing Status', 'marketing_status', 'Marketing status', 'email_subscription_status'],
    source: 'Pipedrive, Omnisend',
  },
  {
    kind: 'subscription',
    names: ['Email permission status', 'permission_status', 'optin_status', 'Opt-in status', 'Opt-In-Status'],
    source: 'Constant Contact, Sendinblue',
  },
  {
    kind: 'subscription',
    names: ['newsletter_status', 'Newsletter Status', 'subscriber_type', 'Abonnement-Status', 'Anmeldestatus'],
    source: 'Magento, CleverReach',
  },
  {
    kind: 'flag',
    names: [
      'unsubscribed',
      'is_unsubscribed',
      'IsUnsubscribed',
      'unsubscribe',
      'Unsubscribed from all email',
      'Unsubscribed from all emails',
      'global_unsubscribe',
      'Globally unsubscribed',
      'abgemeldet',
      'désabonné',
      'désinscrit',
    ],
    source: 'HubSpot (hs_email_optout), Mailjet, Intercom, lemlist',
  },
  {
    kind: 'flag',
    names: [
      'opt_out',
      'opted_out',
      'Opted out',
      'email_opt_out',
      'Email Opt Out',
      'emailoptedout',
      'HasOptedOutOfEmail',
      'hs_email_optout',
      'Opted out of email',
      'is_opt_out',
      'optout_email',
    ],
    source: 'Salesforce, Zoho CRM, HubSpot, CiviCRM, SuiteCRM',
  },
  {
    kind: 'flag',
    names: [
      'blacklisted',
      'blacklist',
      'is_blacklisted',
      'email_blacklisted',
      'emailBlacklisted',
      'EMAIL_BLACKLIST',
      'Email blacklisted',
      'blocklisted',
      'blocklist',
      'is_blocklisted',
      'email_blocklisted',
      'Email blocklisted',
    ],
    source: 'phpList, Brevo (emailBlacklisted)',
  },
  {
    kind: 'flag',
    names: [
      'dnc',
      'do_not_contact',
      'Do not contact',
      'doNotContact',
      'do_not_email',
      'Do not email',
      'donotbulkemail',
      'DoNotEMail',
      'Do Not Mail',
      'no_email',
    ],
    source: 'Mautic, CiviCRM, Microsoft Dynamics',
  },
  {
    kind: 'flag',
    names: [
      'suppressed',
      'is_suppressed',
      'IsExcludedFromCampaigns',
      'excluded_from_campaigns',
      'Email suppressed',
      'email_disabled',
      'banned',
    ],
    source: 'Klaviyo, Mailjet, Substack',
  },
  {
    kind: 'flag',
    names: [
      'bounced',
      'is_bounced',
      'hard_bounced',
      'Hard bounced',
      'hardbounce',
      'Hard Bounce',
      'cleaned',
      'complained',
      'is_complained',
      'IsSpamComplaining',
      'marked_as_spam',
      'Marked as spam',
    ],
    source: 'Mailjet, GetResponse, HubSpot',
  },
  {
    kind: 'consent',
    names: [
      'subscribed',
      'is_subscribed',
      'issubscribed',
      'Subscribed to emails',
      'subscribed_to_emails',
      'email_subscribed',
      'Email subscribed',
      'abonniert',
      'abonné',
      'suscrito',
      'iscritto',
    ],
    source: 'Ghost (members import and export), Omnisend',
  },
  {
    kind: 'consent',
    names: ['confirmed', 'is_confirmed', 'isconfirmed', 'email_confirmed', 'opt_in_confirmed', 'optInConfirmed'],
    source: 'phpList, AcyMailing, SendGrid',
  },
  {
    kind: 'consent',
    names: [
      'Accepts Email Marketing',
      'Accepts Marketing',
      'accepts_marketing',
      'Email Marketing Consent',
      'email_marketing_consent',
      'Marketing consent',
      'marketing_consent',
      'email_consent',
      'Email consent',
      'consent',
      'email_marketing_consent_state',
    ],
    source: 'Shopify, Squarespace, Klaviyo',
  },
  {
    kind: 'consent',
    names: [
      'email_opt_in',
      'Email Opt-In',
      'Email opted in',
      'email_opted_in',
      'newsletter_optin',
      'newsletter_opt_in',
      'newsletter',
      'newsletter_subscribed',
      'Newsletter subscription',
    ],
    source: 'PrestaShop, Shopware, Magento',
  },
  {
    kind: 'time',
    names: [
      'UNSUB_TIME',
      'CLEAN_TIME',
      'unsubscribed_at',
      'unsubscribe_time',
      'unsubscribed_on',
      'Unsubscribed on',
      'Unsubscribe date',
      'unsubscribe_date',
      'Unsubscribed date',
      'Date unsubscribed',
      'date_unsubscribed',
      'optout_time',
      'optout_date',
      'opted_out_at',
      'OptOut_Date',
      'unsubscribedAt',
      'Email unsubscribed at',
      'Abmeldedatum',
      'Abgemeldet am',
      'Date de désinscription',
      'Date de désabonnement',
    ],
    source: 'Mailchimp (audience export), MailerLite (API), Kit, MailUp',
  },
  {
    kind: 'time',
    names: [
      'bounced_at',
      'bounce_time',
      'bounce_date',
      'complained_at',
      'blacklisted_at',
      'blocklisted_at',
      'suppressed_at',
      'suppression_date',
      'banned_at',
    ],
    source: 'Mailgun, Klaviyo, CleverReach',
  },
  {
    kind: 'any',
    names: [
      'SuppressionReason',
      'suppression_reason',
      'UNSUB_CAMPAIGN_TITLE',
      'UNSUB_REASON',
      'CLEAN_CAMPAIGN_TITLE',
      'unsubscribe_reason',
    ],
    source: 'Postmark (suppressions), Mailchimp (audience export)',
  },
];

const fold = (words: string): readonly string[] => words.split(',').map(foldName);

/** Words that exclude a person in a column of any kind. */
const EXCLUDING_WORDS: ReadonlySet<string> = new Set([
  ...fold('unsubscribed,unsubscribe,unsub,opted out,opted-out,optout,opt-out,globally unsubscribed,has unsubscribed,user unsubscribed'),
  ...fold('cleaned,bounced,bounce,hard bounced,hard bounce,hardbounce,bounced hard,hard_bounce,soft bounced,undeliverable,non-deliverable'),
  ...fold('complained,complaint,complainer,spam,spam complaint,spammy,junk,abuse,abuse report,marked as spam,reported spam'),
  ...fold(
    'blocklisted,blacklisted,blocked,block listed,banned,suppressed,disabled,deleted,removed,do not contact,do not mail,do not email,dnc',
  ),
  ...fold('unconfirmed,not confirmed,unactivated,unsubscribed by admin,awaiting confirmation,confirmation pending,not opted in'),
  ...fold(
    'never subscribed,nonsubscribed,non-subscribed,not subscribed,unsubscribed from all,no consent,manual suppression,email disabled',
  ),
  ...fold('abgemeldet,ausgetragen,unbestätigt,gesperrt,gelöscht,désabonné,désabonnée,désinscrit,désinscrite,non confirmé,rebond,plainte'),
  ...fold('dado de baja,no confirmado,rebotado,disiscritto,disiscritta,non confermato,descadastrado,não confirmado'),
  ...fold('afgemeld,uitgeschreven,niet bevestigd,wypisany,wypisana,niepotwierdzony,отписан,отписался,отписалась,отписались,не подтверждён'),
  ...fold('заблокирован,відписався,відписалася,odhlášen,odhlášený,leiratkozott,avregistrerad,avmeldt,afmeldt,peruutettu,abonelikten çıktı'),
  ...fold('已退订,退订,已取消订阅,未订阅,已取消訂閱,退訂,配信停止,購読解除,解除済み,수신거부,구독취소'),
]);

/**
 * Words that exclude a person only in a column that is about the subscription. A customer or an order may be `inactive` or `pending`, too.
 */
const SUBSCRIPTION_WORDS: ReadonlySet<string> = new Set(
  fold(
    'inactive,pending,archived,cancelled,canceled,invalid,held,on hold,paused,expired,no,none,false,0,no permission set,no permission,ended,transactional,baja,cancelado,cancelada,cancellato,gekündigt,inaktiv,inactif,inactivo,inattivo,unknown address',
  ),
);

const YES: ReadonlySet<string> = new Set(
  fold(
    'true,yes,y,t,x,on,1,ja,j,oui,o,sí,si,s,sim,vero,да,так,tak,ano,igen,kyllä,evet,ναι,是,はい,예,有,wahr,vrai,verdadero,verdadeiro,истина,manual,checked',
  ).concat(['✓', '✔', '☑']),
);
const NO: ReadonlySet<string> = new Set(
  fold(
    'false,no,n,f,off,0,nein,non,não,nao,falso,нет,ні,nie,ne,nem,ei,nej,nei,nee,hayır,όχι,否,いいえ,아니요,falsch,faux,ложь,unchecked,denied,declined,refused,withdrawn,revoked',
  ),
);
const EMPTY: ReadonlySet<string> = new Set(['', ...fold('null,nil,none,undefined,nan,n/a,na,never,not set,unknown')]);
/** Matches a time that is not zero: a date in any order, or seconds since 1970. */
const TIME = /(?=.*[1-9])(?:^\d{9,13}$|\d[-/. ]\d|\d{4}|\d{1,2}[ -]?\p{L}{3,}|\p{L}{3,} \d{1,2}|[年月])/u;
const NUMBER_ABOVE_ZERO = /^0*[1-9]\d*$/;

/** Matches a web or mail address. A column such as `unsubscribe` may have the person's address for unsubscribing, which is no status. */
export const ADDRESS = /^(?:https?:|mailto:)/i;

function excludes(kind: Kind, value: string): boolean {
  const word = foldName(value);
  const text = value.trim();
  if (kind !== 'any' && ADDRESS.test(text)) return false;
  switch (kind) {
    case 'word':
      return EXCLUDING_WORDS.has(word);
    case 'subscription':
      return EXCLUDING_WORDS.has(word) || SUBSCRIPTION_WORDS.has(word);
    case 'flag':
      return EXCLUDING_WORDS.has(word) || YES.has(word) || YES.has(text) || NUMBER_ABOVE_ZERO.test(text) || TIME.test(text);
    case 'consent':
      return EXCLUDING_WORDS.has(word) || NO.has(word);
    case 'time':
      return EXCLUDING_WORDS.has(word) || YES.has(word) || TIME.test(text);
    case 'any':
      return /[\p{L}\p{N}]/u.test(text) && !EMPTY.has(word) && !NO.has(word);
  }
}

const KINDS: ReadonlyMap<string, Kind> = new Map(
  STATUS_COLUMNS.flatMap(({ kind, names }) => names.map((name) => [foldName(name), kind] as const)),
);

export interface StatusCheck {
  /** The names of the columns that are checked. */
  readonly columns: readonly string[];
  /**
   * Returns the reason if the person of a record must not be written to, e.g. "status: unsubscribed" or "UNSUB_TIME". Otherwise returns
   * undefined. A list has only a few different reasons, so they can be counted.
   */
  check(values: readonly string[]): string | undefined;
}

/** Finds the status columns of a list. */
export function createStatusCheck(header: readonly string[]): StatusCheck {
  const columns = header.flatMap((name, index) => {
    // A second column with the same name has a number at the end of its name, which is removed here.
    const kind = KINDS.get(foldName(name)) ?? KINDS.get(foldName(name.replace(/_\d+$/, '')));
    return kind === undefined ? [] : [{ name, index, kind }];
  });
  return {
    columns: columns.map(({ name }) => name),
    check(values) {
      for (const { name, index, kind } of columns) {
        const value = values[index] ?? '';
        if (value === '' || !excludes(kind, value)) continue;
        // Times and numbers differ from person to person, so they are not part of the reason.
        return kind === 'time' || kind === 'any' || /[2-9]|\d\d/.test(value) ? name : `${name}: ${value.trim()}`;
      }
      return undefined;
    },
  };
}
