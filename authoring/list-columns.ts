import { normaliseEmail } from './recipients.ts';

// Finds the column with the mail addresses and the column with ids by their names. The names are those that programs and mail services use
// when they export a list.

/**
 * Returns a name in lower case and without accents, spaces and punctuation. So `E-Mail_Address` and `e-mail address` give the same result.
 */
export function foldName(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '');
}

/** The names of the address column in exports, by service. Names that `isEnglishAddressName` accepts need not be in this list. */
export const EXPORT_ADDRESS_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  ActiveCampaign: ['Email'],
  Airtable: ['Email'],
  'Amazon SES': ['EmailAddress'],
  AWeber: ['Email', 'Subscriber Email'],
  beehiiv: ['email', 'Email'],
  Brevo: ['EMAIL'],
  Buttondown: ['email', 'email_address'],
  'Campaign Monitor': ['Email', 'Email Address', 'EmailAddress'],
  CiviCRM: ['Email', 'Primary Email', 'Email (primary)', 'Home-Email'],
  CleverReach: ['E-Mail', 'email'],
  'Constant Contact': ['Email address', 'Email Address'],
  'Customer.io': ['email'],
  Django: ['email', 'user__email'],
  Drip: ['email'],
  Eventbrite: ['Email', 'Buyer Email', 'Attendee Email', 'Email Address'],
  Ghost: ['email', 'subscriber_email'],
  GetResponse: ['email', 'Email'],
  'Gmail and Google Contacts': ['E-mail 1 - Value', 'E-mail 2 - Value', 'E-mail Address', 'E-mail'],
  'Google Forms': ['Email Address', 'Username'],
  'Google Workspace': ['Email Address [Required]', 'Primary Email', 'Recovery Email'],
  HubSpot: ['Email', 'Work email'],
  iContact: ['email'],
  Jotform: ['E-mail', 'Email'],
  Kit: ['email_address', 'Email'],
  Klaviyo: ['Email', '$email'],
  LinkedIn: ['Email Address', 'E-mail Address'],
  listmonk: ['email'],
  Magento: ['email', 'Customer Email', 'subscriber_email'],
  Mailchimp: ['Email Address', 'EMAIL', 'Email'],
  MailerLite: ['Subscriber', 'Email'],
  Mailgun: ['address', 'recipient'],
  Mailjet: ['email', 'Email', 'contact_email'],
  Mailman: ['Address', 'Email', 'Mail address'],
  MailPoet: ['Email', 'Subscriber', 'subscriber_email'],
  Mautic: ['email', 'Email'],
  'Microsoft 365': [
    'User principal name',
    'UserPrincipalName',
    'Primary SMTP address',
    'PrimarySmtpAddress',
    'WindowsEmailAddress',
    'Mail',
  ],
  Moosend: ['Email'],
  Odoo: ['Email', 'email_normalized'],
  Outlook: ['E-mail Address', 'E-mail 2 Address', 'E-Mail-Adresse', 'Adresse de messagerie', 'Dirección de correo electrónico'],
  Patreon: ['Email'],
  PayPal: ['From Email Address'],
  phpList: ['email', 'Email'],
  Pipedrive: ['Person - Email', 'Email - Work', 'Email - Home', 'Person - Email - Work'],
  Postmark: ['EmailAddress', 'Recipient'],
  PrestaShop: ['Email address', 'Adresse e-mail'],
  Salesforce: ['Email', 'PersonEmail', 'Subscriber Key', 'EmailAddress'],
  SendGrid: ['email', 'EMAIL'],
  Sendy: ['Email'],
  Shopify: ['Email'],
  Shopware: ['email', 'E-Mail-Adresse'],
  Squarespace: ['Email', 'Email Address'],
  Stripe: ['Customer Email', 'Email'],
  Substack: ['Email', 'email'],
  Thunderbird: ['Primary Email', 'Secondary Email'],
  Typeform: ['Email', 'Your email address'],
  'vTiger and SuiteCRM': ['Primary Email', 'Email Address', 'email1'],
  Wix: ['Email 1', 'Email'],
  WooCommerce: ['Billing Email', 'billing_email', 'Customer Email', 'Email (Billing)'],
  WordPress: ['user_email', 'User Email'],
  Zendesk: ['Email', 'Requester email'],
  Zoho: ['Email', 'Contact Email', 'Email ID', 'Primary Email', 'Secondary Email'],
};

/** The names of the address column in other languages than English. */
export const LOCAL_ADDRESS_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  Arabic: ['البريد الإلكتروني', 'البريد الالكتروني', 'عنوان البريد الإلكتروني', 'الإيميل', 'بريد إلكتروني'],
  Basque: ['Helbide elektronikoa', 'Posta elektronikoa', 'ePosta'],
  Bengali: ['ইমেইল', 'ইমেল'],
  Bulgarian: ['Имейл', 'Имейл адрес', 'Електронна поща', 'Е-поща'],
  Catalan: ['Correu electrònic', 'Adreça electrònica', 'Adreça de correu electrònic', 'Correu'],
  Chinese: [
    '邮箱',
    '电子邮件',
    '邮箱地址',
    '电子邮箱',
    '电子邮件地址',
    '邮件地址',
    '邮件',
    '電子郵件',
    '電子信箱',
    '電郵',
    '電郵地址',
    '電子郵件地址',
    '信箱',
  ],
  Croatian: ['E-pošta', 'Adresa e-pošte', 'E-mail adresa', 'Email adresa'],
  Czech: ['E-mailová adresa', 'Emailová adresa', 'Elektronická pošta', 'E-mail adresa'],
  Danish: ['E-mailadresse', 'Mailadresse', 'E-post', 'Mail adresse'],
  Dutch: ['E-mailadres', 'Mailadres', 'E-mail adres', 'Email adres'],
  Esperanto: ['Retadreso', 'Retpoŝto', 'Retpoŝtadreso'],
  Estonian: ['E-post', 'E-posti aadress', 'Meiliaadress', 'E-kiri'],
  Finnish: ['Sähköposti', 'Sähköpostiosoite', 'Meili'],
  French: [
    'Adresse e-mail',
    'Adresse mail',
    'Adresse électronique',
    'Adresse email',
    'Courriel',
    'Adresse courriel',
    'Adresse de courriel',
    'Adresse de messagerie',
    'Mél',
    'Messagerie',
  ],
  Galician: ['Correo electrónico', 'Enderezo electrónico', 'Enderezo de correo'],
  German: [
    'E-Mail-Adresse',
    'Mailadresse',
    'Mail-Adresse',
    'E-Mail Adresse',
    'Emailadresse',
    'E-Mail-Anschrift',
    'Elektronische Post',
    'E-Post',
  ],
  Greek: ['Ηλεκτρονικό ταχυδρομείο', 'Διεύθυνση email', 'Διεύθυνση ηλεκτρονικού ταχυδρομείου', 'Ηλ. ταχυδρομείο'],
  Hebrew: ['דוא"ל', 'דואר אלקטרוני', 'אימייל', 'כתובת אימייל', 'כתובת דוא"ל', 'מייל'],
  Hindi: ['ईमेल', 'ईमेल पता', 'ई-मेल'],
  Hungarian: ['E-mail cím', 'Emailcím', 'Drótposta', 'E-mail-cím', 'Elektronikus levélcím'],
  Icelandic: ['Netfang', 'Tölvupóstur', 'Tölvupóstfang'],
  Indonesian: ['Alamat email', 'Surel', 'Alamat surel'],
  Irish: ['Ríomhphost', 'Seoladh ríomhphoist'],
  Italian: [
    'Indirizzo e-mail',
    'Indirizzo email',
    'Indirizzo mail',
    'Posta elettronica',
    'Indirizzo di posta elettronica',
    'Indirizzo di posta',
  ],
  Japanese: [
    'メールアドレス',
    'メール',
    'Eメール',
    'Eメールアドレス',
    '電子メール',
    '電子メールアドレス',
    'メアド',
    'E-mailアドレス',
    'メールアドレス1',
  ],
  Korean: ['이메일', '이메일 주소', '전자우편', '메일', '메일 주소', '전자 메일', '전자 메일 주소'],
  Latvian: ['E-pasts', 'E-pasta adrese', 'Epasts'],
  Lithuanian: ['El. paštas', 'El. pašto adresas', 'Elektroninis paštas', 'Elektroninio pašto adresas'],
  Macedonian: ['Е-пошта', 'Електронска пошта'],
  Malay: ['E-mel', 'Alamat e-mel'],
  Norwegian: ['E-post', 'E-postadresse', 'Epostadresse'],
  Persian: ['ایمیل', 'آدرس ایمیل', 'پست الکترونیک', 'رایانامه', 'پست الکترونیکی'],
  Polish: ['Adres e-mail', 'Adres email', 'Poczta elektroniczna', 'Adres poczty elektronicznej', 'Adres mailowy'],
  Portuguese: [
    'Endereço de e-mail',
    'Endereço de email',
    'Correio eletrônico',
    'Correio eletrónico',
    'Endereço eletrônico',
    'Endereço eletrónico',
  ],
  Romanian: ['Adresă de e-mail', 'Adresa de email', 'Adresă e-mail', 'Poștă electronică', 'Adresa email'],
  Russian: [
    'Электронная почта',
    'Эл. почта',
    'Почта',
    'Адрес электронной почты',
    'Имейл',
    'Емейл',
    'Эл. адрес',
    'Электронный адрес',
    'Е-майл',
    'Адрес эл. почты',
    'Мейл',
  ],
  Serbian: ['Е-пошта', 'Имејл', 'Имејл адреса', 'Имејл-адреса', 'Adresa e-pošte', 'Imejl', 'Imejl adresa'],
  Slovak: ['E-mailová adresa', 'Emailová adresa', 'E-mail adresa'],
  Slovenian: ['E-pošta', 'E-poštni naslov', 'Elektronska pošta', 'Elektronski naslov', 'E-naslov'],
  Spanish: [
    'Correo electrónico',
    'Correo',
    'Dirección de correo electrónico',
    'Dirección de correo',
    'Dirección de email',
    'Dirección de e-mail',
    'Dirección electrónica',
  ],
  Swahili: ['Barua pepe'],
  Swedish: ['E-post', 'E-postadress', 'Epostadress', 'Mejl', 'Mejladress', 'Mailadress'],
  Thai: ['อีเมล', 'อีเมล์', 'ที่อยู่อีเมล'],
  Turkish: ['E-posta', 'E-posta adresi', 'Eposta', 'Eposta adresi', 'E-mail adresi'],
  Ukrainian: ['Електронна пошта', 'Ел. пошта', 'Пошта', 'Адреса електронної пошти', 'Електронна адреса', 'Імейл', 'Ел. адреса'],
  Vietnamese: ['Địa chỉ email', 'Thư điện tử', 'Địa chỉ e-mail', 'Hòm thư'],
  Welsh: ['E-bost', 'Cyfeiriad e-bost'],
};

/** Names that are also used for other data. A column with such a name counts only if at least half of its values are addresses. */
const DOUBTFUL_NAMES: ReadonlySet<string> = new Set(
  [
    'Subscriber',
    'Subscriber Key',
    'Username',
    'Address',
    'Recipient',
    'Messagerie',
    'Почта',
    'Пошта',
    'Correo',
    'Correu',
    'メール',
    '메일',
    '邮件',
    '信箱',
  ]
    .concat(['Mail address', 'User principal name', 'UserPrincipalName', 'Mél', 'E-kiri', 'מייל'])
    .map(foldName),
);

const KNOWN_NAMES: ReadonlySet<string> = new Set(
  [...Object.values(EXPORT_ADDRESS_COLUMNS), ...Object.values(LOCAL_ADDRESS_COLUMNS)].flat().map(foldName),
);

/** Words that may stand beside "email" in the English name of an address column. Other words change the meaning, e.g. "email opt-in". */
const HARMLESS_WORDS = new RegExp(
  `^(?:${[
    'address addr adr adresse value id the your my our of user users contact contacts subscriber subscribers customer customers client clients',
    'member members person people personal private primary main default preferred work home business office company billing account login lead',
    'buyer attendee guest participant donor student parent patient employee supporter volunteer recipient requester respondent registrant reader',
    'applicant owner holder admin host vendor partner patron shipping invoice delivery from to required other secondary alternate alternative recovery',
    'normalized current new first second login field column fields latest best known good crm mailing direct internal external smtp \\d{1,2}',
  ]
    .join(' ')
    .split(' ')
    .join('|')})$`,
);
/** If several columns have the same number of addresses, a column without these words is preferred. */
const SECOND_CHOICE = /second|other|altern|recovery|[2-9]|invoice|billing|parent|from|internal|owner|vendor|admin|host/;

function isEnglishAddressName(name: string): boolean {
  const words = name
    .normalize('NFKD')
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .join(' ')
    .replace(/\be ?mail(?:s$)?(?=\d|\b)|\bmail(?:address|adresse)\b/g, ' @ ')
    .replace(/\bemail(address|id)\b/g, ' @ ')
    .trim()
    .split(/ +/);
  const isMail = (word: string) => word === '@' || (word === 'mail' && words.length === 1);
  return words.some(isMail) && words.every((word) => isMail(word) || HARMLESS_WORDS.test(word));
}

/** Returns true if a column of this name usually has the mail addresses. */
export function isAddressName(name: string): boolean {
  return KNOWN_NAMES.has(foldName(name)) || isEnglishAddressName(name);
}

const ID_COLUMN_NAMES: ReadonlySet<string> = new Set(
  ['id', 'external id', 'user id', 'customer id', 'subscriber id', 'contact id', 'person id', 'member id', 'client id', 'uuid'].map(
    foldName,
  ),
);

/** Returns the index of the first column that usually has ids, or undefined. */
export function findIdColumn(header: readonly string[]): number | undefined {
  const index = header.findIndex((name) => ID_COLUMN_NAMES.has(foldName(name)));
  return index < 0 ? undefined : index;
}

export interface AddressColumn {
  index: number;
  /** The indexes of the other columns that also have mail addresses. */
  others: number[];
}

/**
 * Finds the column with the mail addresses. Of the columns with a usual name, this is the column with the most addresses in `sample`, which
 * has the first records of the list. If several columns have the same number of addresses, a column without words such as "secondary" is
 * preferred. If there are still several, the first is taken.
 */
export function findAddressColumn(header: readonly string[], sample: readonly (readonly string[])[]): AddressColumn | undefined {
  const candidates = header.flatMap((name, index) => {
    if (!isAddressName(name)) return [];
    const filled = sample.filter((values) => (values[index] ?? '').trim() !== '').length;
    const addresses = countAddresses(sample, index);
    if (DOUBTFUL_NAMES.has(foldName(name)) && (addresses === 0 || addresses < filled / 2)) return [];
    return [{ index, addresses, isSecondChoice: SECOND_CHOICE.test(name.toLowerCase()) }];
  });
  const [best, ...others] = candidates.toSorted(
    (a, b) => b.addresses - a.addresses || Number(a.isSecondChoice) - Number(b.isSecondChoice) || a.index - b.index,
  );
  return best && { index: best.index, others: others.filter(({ addresses }) => addresses > 0).map(({ index }) => index) };
}

/** Returns the number of records in which this column has a mail address. */
export function countAddresses(sample: readonly (readonly string[])[], index: number): number {
  return sample.filter((values) => normaliseEmail(values[index] ?? '') !== undefined).length;
}
