import { normalise, onlyPoints, type Reading, readings } from './wording-lexicon.ts';

// Recognises unsubscribe, preference and view-in-browser links by their texts, by the sentences around them and by their URLs. The words
// are in wording-data.ts.
//
// A link is recognised if its text has the words of its purpose ("cancel" and "subscription") and almost no other words. Other words are a
// sign of an article: "How to unsubscribe from Netflix in 5 steps". A link whose text only points ("click here") is recognised by the
// sentence around it, and this sentence may have a few more other words. In doubt, a link is not tracked. If an unsubscribe link is
// tracked, a person who wants to unsubscribe is sent through a redirect. If an article is not tracked, only its clicks are not counted.

export const PURPOSES = ['unsubscribe', 'preferences', 'view-in-browser', 'report-abuse'] as const;
export type Purpose = (typeof PURPOSES)[number];

/**
 * The maximum lengths, in characters, of the text of a link and of its sentence. A longer text is normal prose of the letter, which may
 * mention unsubscribing near a link that has another purpose.
 */
const MAX_WORDS_LENGTH = 120;
const MAX_CONTEXT_LENGTH = 300;

/** Separates texts that stand side by side, such as the same words in two languages. */
const HARD_SEPARATOR = /\s[/·–—>-]\s|[|•»›‹«→]/u;
/** A character that ends a part of a sentence. */
const CLAUSE_END = /[,;:()[\]?!¿¡–—|•、。，：；？！（）「」؟،؛»«→]|\.\s|\s[-·]\s/u;
/** Matches the end of a question. `;` is the Greek question mark. */
const QUESTION = /[?？؟;]\s*/u;

/**
 * Matches a text that is an address. Such a text only points. A domain without a path does not match, because it is the name of a home
 * page.
 */
const IS_ADDRESS = /^(?:https?:\/\/|www\.)\S+$|^[\w-]+(?:\.[\w-]+)+\/\S*$/i;
/** Merge tags and mail addresses, which stand for the reader. */
const READER = /\{\{[^{}]*\}\}|\{[^{}]*\}|\*\|[^|]*\|\*|\[\[[^[\]]*\]\]|%%?\w+%%?|[^\s@<>()]+@[^\s@<>()]+/gu;

/**
 * Returns the purpose of a link. The text of the link decides, or the sentence around the link if the text only points ("click here").
 * Returns undefined if the link has none of these purposes. `host` is the host name of the link. Words of the host name are the sender's
 * name and do not count as other words, as in "Unsubscribe from Harbour".
 */
export function purposeOfWords(words: string, context: string, host = ''): Purpose | undefined {
  const own = words.trim();
  const isSender = senderIn(host);
  if (own !== '' && !IS_ADDRESS.test(own)) {
    if (own.length > MAX_WORDS_LENGTH) return undefined;
    const purpose = purposeOfPhrase(own, isSender);
    if (purpose) return purpose;
    if (!onlyPoints(normalise(own))) return undefined;
  }
  if (context.length > MAX_CONTEXT_LENGTH) return undefined;
  // The words of the link only point, so they are removed from the sentence. They may be in another language than the sentence.
  const around = own === '' ? context : ` ${context} `.replace(` ${own} `, '  ');
  return purposeOfSentence(around, isSender, own !== '' && !IS_ADDRESS.test(own));
}

/** Returns the purpose of a text that is read without the sentence around it. */
function purposeOfPhrase(text: string, isSender: (word: string) => boolean): Purpose | undefined {
  const plain = text.replace(READER, ' ');
  const all = read(plain, isSender);
  const whole =
    first(all, STRICT) ??
    first(
      all.filter(({ roles }) => roles.has('point')),
      POINTING,
    );
  if (whole) return whole;
  const parts = plain.split(HARD_SEPARATOR);
  if (parts.length > 1) {
    const purpose = first(
      parts.flatMap((part) => read(part, isSender)),
      STRICT,
    );
    if (purpose) return purpose;
  }
  // In a text such as "Had enough? Unsubscribe", the question and the answer are read separately.
  const [question = '', answer = ''] = plain.split(QUESTION, 2);
  const limit = all.some(({ unknown, roles }) => unknown <= 1 && !roles.has('article'));
  return limit && answer !== '' ? first([...read(answer, isSender), ...read(question, isSender)], STRICT) : undefined;
}

/**
 * Returns the purpose of a sentence whose link only points. `points` is false if the link has no text except its address, as in plain text.
 */
function purposeOfSentence(text: string, isSender: (word: string) => boolean, points: boolean): Purpose | undefined {
  const plain = text.replace(READER, ' ');
  const all = read(plain, isSender);
  const isArticle = all.length > 0 && all.every(({ roles }) => roles.has('article'));
  // The words of a language are used only in two cases: if the link text points, or if the sentence has a pointing word of this language,
  // as in "To unsubscribe, click here". Without a pointing word, the sentence may be a title.
  const pointing = new Set(all.filter(({ roles }) => points || roles.has('point')).map(({ language }) => language));
  const found = [...all, ...plain.split(CLAUSE_END).flatMap((clause) => read(clause, isSender))];
  return (
    first(
      found.filter(({ language, unknown }) => pointing.has(language) && (!isArticle || unknown === 0)),
      LENIENT,
    ) ?? (points ? undefined : purposeOfPhrase(lastSentence(text), isSender))
  );
}

/** Returns the last sentence of a text, such as "Unsubscribe:" in "Harbour Ltd, 1 Main Street. Unsubscribe:". */
const lastSentence = (text: string): string =>
  text
    .trim()
    .split(/[.!。！]\s+/u)
    .at(-1) ?? '';

const read = (text: string, isSender: (word: string) => boolean): Reading[] => readings(normalise(text), isSender);

/** The number of other words that a text may have. */
interface Tolerance {
  /** The limit for words that alone name the purpose. */
  readonly alone: number;
  /** The limit if the text also has a word for the letter. */
  readonly letter: number;
  /** The limit for words that name the purpose only together. */
  readonly together: number;
}
const STRICT: Tolerance = { alone: 0, letter: 2, together: 0 };
/** The limits for a link such as "If our letters are not for you, click here". */
const POINTING: Tolerance = { alone: 1, letter: 3, together: 1 };
/** The limits for the sentence around a link that only points. */
const LENIENT: Tolerance = { alone: 2, letter: 4, together: 2 };

/** Returns the first purpose, in the order of `PURPOSES`, that one of the readings has. */
function first(found: readonly Reading[], tolerance: Tolerance): Purpose | undefined {
  const readable = found.filter((reading) => !isTitle(reading));
  return PURPOSES.find((purpose) => readable.some((reading) => HAS[purpose](reading, tolerance)));
}

/**
 * Returns true for the title of an article. "How to unsubscribe" may be an unsubscribe link, but "How to unsubscribe from a gym" is a
 * title.
 */
const isTitle = ({ roles, unknown }: Reading): boolean => roles.has('article') && unknown > 0;

const HAS: Readonly<Record<Purpose, (reading: Reading, tolerance: Tolerance) => boolean>> = {
  unsubscribe: ({ roles, unknown }, tolerance) => {
    const letter = roles.has('letter') || roles.has('offer');
    if (roles.has('leave') && unknown <= (letter ? tolerance.letter : tolerance.alone)) return true;
    if (roles.has('quit') && unknown <= (roles.has('letter') ? 2 : 0)) return true;
    if (roles.has('end') && unknown <= tolerance.together && letter) return true;
    return roles.has('no') && !roles.has('article') && (letter || roles.has('get')) && unknown <= (letter ? tolerance.together : 0);
  },
  preferences: ({ roles, unknown }, tolerance) => {
    if (roles.has('offer')) return false;
    const [letter, manage] = [roles.has('letter'), roles.has('manage')];
    if (roles.has('preference') && unknown <= (letter || manage ? tolerance.together : 0)) return true;
    return (manage && (letter || roles.has('setting')) && unknown === 0) || (letter && roles.has('setting') && unknown === 0);
  },
  'view-in-browser': ({ roles, unknown, known }, tolerance) => {
    if (roles.has('offer')) return false;
    const letter = roles.has('letter');
    const others = letter ? 1 : 0;
    if (roles.has('webpage') && unknown <= others) return true;
    if (roles.has('browser') && !roles.has('article') && (roles.has('view') || letter || known > 1) && unknown <= others) return true;
    const seeing = roles.has('view') || roles.has('browser');
    return roles.has('trouble') && unknown <= (letter ? tolerance.letter : seeing ? tolerance.together : 0);
  },
  'report-abuse': ({ roles, unknown }) => roles.has('abuse') && !roles.has('article') && unknown === 0,
};

/** Returns a function that says whether a word is part of a host name. A word with fewer than four characters does not count. */
function senderIn(host: string): (word: string) => boolean {
  const labels = host.toLowerCase().split('.').slice(0, -1);
  return (word) => word.length >= 4 && labels.some((label) => label.includes(word));
}

/**
 * Words of a URL part that name a purpose, joined without separators. All other words in the same part must match `NEUTRAL`. So
 * `/newsletter-unsubscribe.php` is an unsubscribe link, but `/how-to-opt-out-of-cookies` is not.
 */
const ADDRESS_PARTS: Readonly<Record<Purpose, RegExp>> = {
  unsubscribe:
    /^(?:unsubscrib(?:e|ed|er|euser|eme|elink|ing)|unsubscription|unsub|unsubs|optout|optedout|listunsubscribe|listremove|removeme|remove|removal|leavelist|signoff|cancelsubscription|stopmail|stopemails?|donotmail|donotemail|deregister|abmelden?|abmeldung|abbestellen|abbestellung|austragen|austragung|desabonnement|desabonner|desabo|desinscription|desinscrire|dardebaja|darsedebaja|baja(?:php|html?|aspx?|do)|desuscribirse|desuscribir|desuscripcion|cancelarsuscripcion|descadastrar|descadastro|cancelarinscricao|cancelarsubscricao|disiscrizione|disiscriviti|disiscrivi|uitschrijven|uitschrijving|afmelden|afmelding|avregistrera|avregistrering|avprenumerera|avanmalan|avmelding|avmeld|afmeld|frameld|peruutatilaus|wypisz|wypiszsie|rezygnacja|odhlasit|odhlaseni|odhlasenie|odjava|leiratkozas|dezabonare|atrakstities|atsisakyti|otpiska|otpisatsya|vidpyska|abonelikiptal|berhentiberlangganan|haishin(?:teishi)?|taikai|quxiaodingyue|tuiding|退订|退訂|配信停止|отписка|отписаться)$/,
  preferences:
    /^(?:preferences?|prefs|preferencecent(?:er|re)|preferencespage|preferencesmanager|(?:email|mail|mailing|subscription|subscriber|communication|newsletter|notification|contact|user|my|update|manage|edit|change)(?:preferences?|prefs)|(?:email|mail|subscription|newsletter|notification|communication)settings|(?:manage|update|edit|change|modify)(?:my)?(?:subscriptions?|subscriber|emails?|newsletters?|profile)|subscriptions?(?:manager|management|cent(?:er|re)|manage|edit|update)|profilecent(?:er|re)|manageemails?|newslettereinstellungen)$/,
  'view-in-browser':
    /^(?:viewinbrowser|viewasbrowser|viewinyourbrowser|openinbrowser|viewaswebpage|viewwebpage|browserview|viewbrowser|viewonline|readonline|viewemail|viewinweb|webversion|(?:newsletter|email|mail|message)webview|webview(?:newsletter|email|mail|message)|onlineversion|browserversion|webansicht|onlineansicht|versionenligne|versionweb|webversie)$/,
  'report-abuse': /^(?:reportabuse|reportspam|spamreport|abusereport|reportasspam)$/,
};
const NEUTRAL =
  /^(?:|me|us|link|here|all|now|my|the|to|e|email|emails|mail|mails|emailing|newsletter|newsletters|news|list|lists|mailinglist|mailing|mailings|maillist|marketing|campaign|message|page|pages|form|cent(?:er|re)|manager|management|confirm|confirmation|success|thanks|from|of|this|user|member|contact|recipient|subscriber|subscribers|subscription|subscriptions|request|action|handler|process|index|default|main|one|oneclick|click|do|go|view|public|web|service|api|v\d+|php\d?|html?|s?html|xhtml|aspx?|ashx|jsp|jspx|cfm|cfml|cgi|pl|action|srf|\d+|(?=\w*\d)[\da-f]{4,})$/;
/**
 * Words that name a purpose only if the URL part has no other words except a file ending. With other words, the meaning may be different,
 * as in "preferences of cats".
 */
const ALONE = /^(?:remove|removal|preferences?)$/;
const MANAGE_PATH =
  /\/(?:manage|update|edit|change)\/(?:subscriptions?|preferences|emails?)(?:\/|$)|\/(?:subscriptions?|preferences|newsletters?)\/(?:manage|update|edit|change)(?:\/|$)/;

/** Returns the purpose of a link by the first label of its host name, its path and its query; undefined for any other link. */
export function purposeOfAddress(url: URL): Purpose | undefined {
  const parts = `${url.hostname.split('.', 1)[0]}/${url.pathname}/${url.search}`
    .split(/[/?&=;]|%2f/i)
    .map((part) => wordsOfPart(safeDecode(part)))
    .filter((part) => part.length > 0 && part.length <= MAX_PART_WORDS);
  const purpose = PURPOSES.find((it) => parts.some((part) => namesPurpose(part, ADDRESS_PARTS[it])));
  return purpose ?? (MANAGE_PATH.test(url.pathname.toLowerCase()) ? 'preferences' : undefined);
}

/** A URL part with more words is the title of an article or an identifier. */
const MAX_PART_WORDS = 8;

/** Splits a part of a URL into words, at its dots, dashes and underscores, and between lower and upper case. */
const wordsOfPart = (part: string): string[] => (part.length > 200 ? [] : normalise(part).split(' '));

/** Returns true if one to four words in a row, joined, match `pattern` and all other words are neutral. */
function namesPurpose(part: readonly string[], pattern: RegExp): boolean {
  for (let from = 0; from < part.length; from++)
    for (let to = from + 1; to <= Math.min(part.length, from + 4); to++) {
      const joined = part.slice(from, to).join('');
      const others = [...part.slice(0, from), ...part.slice(to)];
      if (!pattern.test(joined)) continue;
      if (others.every((word) => (ALONE.test(joined) ? FILE_ENDING.test(word) : NEUTRAL.test(word)))) return true;
    }
  return false;
}

const FILE_ENDING = /^(?:|php\d?|html?|aspx?|ashx|jsp|cfm|cgi|do|me|\d+)$/;

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
