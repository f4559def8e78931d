// Recognises the names of usual fields of senders, such as `email`, `first_name`, `unsubscribe_url`. To add a name, add its words to the
// list.

/**
 * The words of field names, in lower case and without accents. A name is a field if it consists only of these words, with or without
 * separators: `first_name`, `UNSUBSCRIBEURL`, `emailAddress`.
 */
const FIELD_WORDS =
  // A person
  'email mail emails address addr name first last middle full display nick given family sur fname lname mname user users username userid member members customer client ' +
  'contact contacts subscriber subscribers recipient recipients person people lead profile account salutation greeting gender sex birthday birth dob age title prefix ' +
  'phone mobile cell cellphone tel telephone fax company organization organisation employer department position job street city town state zip zipcode postal postcode ' +
  'country region language locale website ' +
  // Identifiers
  'id ids cid mid rid sid msg cons uid uuid guid uniqid unique key hash token code coupon voucher discount promo number no nr md5 sha1 sha256 external internal auth authcode signature secret ' +
  // Actions and links
  'unsubscribe unsubscribed unsubscription unsub unsubs opt optout out optin resign remove subscribe subscription subscriptions confirm confirmation preference preferences ' +
  'update manage settings forward friend resubscribe web version view browser online archive mirror permalink read check open track tracking pixel options center centre ' +
  'link links url urls uri href one click login activation reset password survey share landing ' +
  // The letter
  'campaign mailing message newsletter list lists subject sender from to reply date today current year month day time timestamp order invoice amount balance points plan ' +
  // Owners of a field
  'custom field fields attribute attributes attr value var vars param params data merge personalization personalisation personalized tag default fallback filter fix system sys ' +
  'site my mycompany third party thirdparty owner agent object event ' +
  // Other languages
  'vorname nachname anrede firma strasse ort plz land abmelden abmeldelink abmeldung empfaenger kunde kundennummer ' +
  'prenom nom civilite societe adresse ville pays courriel desabonnement desinscription desabo ' +
  'nombre apellido apellidos correo empresa ciudad pais baja nome cognome sobrenome cidade empresa indirizzo citta azienda disiscrizione descadastro ' +
  'voornaam achternaam aanhef bedrijf naam afmelden fornavn efternavn navn fornamn efternamn namn etunimi sukunimi nimi imie nazwisko jmeno prijmeni keresztnev vezeteknev nev ' +
  'имя фамилия почта отписка';

const WORD = new RegExp(
  `^(?:${FIELD_WORDS.split(' ')
    .sort((a, b) => b.length - a.length)
    .join('|')})+$`,
);
/** A word before a dot or a colon that names the owner of a field. Any name may follow the dot or the colon, as in `contact.shoe_size`. */
const OWNER =
  /^(?:contact|recipient|subscriber|customer|member|user|lead|person|profile|object|params?|data|var|contact_attribute|field|link)\s?[.:]/i;

/** Returns true if a name consists of the words of usual fields. */
export function isField(name: string): boolean {
  if (OWNER.test(name)) return true;
  const words = name
    .replace(/\be-?mail/gi, 'email')
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/(\p{Ll})(?=\p{Lu})/gu, '$1 ')
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .map((word) => word.replace(/\d+$/, ''))
    .filter((word) => word !== '');
  return words.length > 0 && words.length <= 8 && words.every((word) => WORD.test(word));
}

/** Returns true if a text looks like a name in a program. A number, an id such as `6F9619FF-8B86-D011` and a single letter do not. */
export function isIdentifier(name: string): boolean {
  return /^[\p{L}_][\p{L}_. ]{1,39}\d{0,2}$/u.test(nameIn(name));
}

/** Returns the name of a tag without its default value and its filters. */
export function nameIn(inside: string): string {
  return inside.replace(/\s*(?:[|,]|:filter:|:\s?default|:(?:url|html|md5|sha|lower|upper)\w{0,12}$)[^]*$/u, '');
}

/** Returns true if the text inside a tag says that the tag is for unsubscribing. */
export function namesUnsubscribing(inside: string): boolean {
  return /unsub|opt[_ -]?out|list[_-]?remove|^remove(?:_?(?:me|web|link|url))?$|resign|signoff|abmeld|austrag|d[ée]sabo|d[ée]sinscri|disiscri|descadastr|desuscri|^baja$|uitschrijv|afmeld|wypis|odhlas|отпис/iu.test(
    inside,
  );
}
