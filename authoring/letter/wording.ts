// Recognises unsubscribe, preference and view-in-browser links by their words and by their URLs. `WORDS` has the words by language. To add
// a language, add a line.
//
// The words are regular expressions, separated by semicolons. They are in lower case and without accents, because `normalise` converts the
// text of a letter in the same way. In Latin, Cyrillic and Greek script a pattern matches only at the beginning of a word. In other scripts
// it matches anywhere, because several of them have no spaces between words. `^` and `$` are the beginning and the end of the link's whole
// text. If a pattern matches too much, the author loses clicks, because the link is not tracked. If it matches too little, a person who
// wants to unsubscribe is sent through a redirect.

export type Purpose = 'unsubscribe' | 'preferences' | 'view-in-browser';

const WORDS: Readonly<Record<Purpose, Readonly<Record<string, string>>>> = {
  unsubscribe: {
    en: `unsubscrib; un-subscrib; ^opt[ -]?out$; opt(ing)?[ -]out (here|of|from) (this|these|our|all|future|any|e-?mail|marketing|news|mailing|receiving);
      stop receiving; stop these e-?mails; remove (me|yourself) from; leave this (mailing )?list; no longer (wish|want|like) to (receive|hear|get); (do not|don't) (wish|want) to receive`,
    de: `abmelde; abmeldung; abbestell; (newsletter|verteiler|liste) austragen; ^(hier )?austragen$; (mich|sich|dich) (hier |jetzt )?austragen; nicht (mehr|langer) erhalten; keine (weiteren )?(e-?mails|newsletter|nachrichten)( mehr)?( erhalten| bekommen)?$;
      newsletter kundigen; (abonnement|abo) (beenden|kundigen); keine weiteren (e-?mails|newsletter|nachrichten)`,
    fr: `(se |me |vous )?desabonn; (se |me |vous )?desinscri; ne plus recevoir; ne souhaitez plus recevoir`,
    es: `(dar|darse|darme|darte|date|dese) de baja; de de baja; desuscri; (cancelar|cancela|anular|anula) (la |tu |su |mi )?suscripcion;
      dejar de recibir (este|esta|estos|estas|nuestro|nuestra|nuestros|nuestras|correo|correos|email|e-mail|emails|newsletter|boletin)`,
    pt: `(cancelar|cancele|cancela|anular|remover) (a |sua |a sua )?(subscricao|inscricao|assinatura); descadastr; desinscrev; deixar de receber;
      (cancelar|anular) a (minha|tua) (subscricao|inscricao|assinatura); nao (quero|queres|quer|deseja|desejo) mais receber`,
    it: `disiscri; (cancella|annulla)(re)? (la tua |la |l'|l’)?iscrizione; cancellar(ti|mi|si) dalla; cancellati (dalla|qui); non (vuoi |desideri )?(piu )?ricevere( piu)?;
      non desidero piu ricevere`,
    nl: `uitschrijv; uit te schrijven; schrijf (je|u) uit; afmeld; af te melden; meld (je|u) af; niet (langer|meer) ontvangen;
      meld (je|u) hier af`,
    'sv, da, nb': `avregistrera; avprenumerera; avsluta (din )?prenumeration; avanmal; frameld; afmeld; meld (deg|dig) (av|fra); avmeld; avslutt abonnement; stopp abonnement;
      sag upp prenumeration; meld meg av`,
    fi: `peru(uta)? (tilaus|uutiskirje); poistu postituslistalta; lopeta tilaus`,
    pl: `wypisz; wypisac; zrezygnuj z (newslettera|subskrypcji|otrzymywania); zrezygnowac z (newslettera|subskrypcji|otrzymywania);
      rezygn(uje|acja) z (newslettera|subskrypcji|otrzymywania); anul(uj|owac) subskrypcj; odsubskrybuj`,
    'cs, sk': `odhlasi; zrusi(t|t') (odber|odebirani|odoberanie);
      odhlas(i|en)`,
    'hu, ro, hr': `leiratkoz; dezabon; odjavi(te)? (se|me); otkazi pretplatu;
      odjava; otkazite pretplatu`,
    'ru, uk, bg': `отписат; отписк; отпиш; отменить подписку; відпис; скасувати підписку;
      отказаться от рассылки; відмовитися від розсилки`,
    'tr, vi, id, el': `abonelikten (cik|ayril); abonelig(i|imi|inizi) iptal; (listeden|uyelikten) cik; huy dang ky; berhenti berlangganan; διαγραφη; καταργηση εγγραφης; απεγγραφη;
      ngung nhan (email|thu)`,
    'ja, zh, ko': `配信停止; 購読(を)?解除; 配信(を)?解除; 登録(を)?解除; メルマガ解除; 退订; 退訂; 取消订阅; 取消訂閱; 수신 ?거부; 구독 ?(취소|해지);
      配信の?停止; 配信を停止; (メールマガジン|配信)の解除; 取消.{0,4}訂閱; 取消.{0,4}订阅`,
    'ar, he, th, hi': `(الغاء|إلغاء) الاشتراك; להסרה; הסרה מרשימת; ביטול (הרשמה|מנוי); ยกเลิกการสมัคร; सदस्यता समाप्त;
      (الغاء|إلغاء) اشتراك; הסר אותי; ยกเลิกการ(สมัคร|รับ); अनसब्सक्राइब`,
  },
  preferences: {
    en: `(manage|update|change|edit|set) (your |my |e-?mail |your e-?mail |subscription |communication |contact |newsletter |notification )*(preferences|subscriptions?|settings|profile)$;
      update your (e-?mail|profile|details|contact details)$; ^(your |my )?(e-?mail|subscription|communication|contact|newsletter|notification) (preferences|settings)$; preference cent(er|re); ^(your |my )?preferences$`,
    de: `(newsletter-?|e-?mail-?|abo-?|meine |ihre |deine )?(einstellungen|praferenzen) (verwalten|andern|anpassen|bearbeiten); ^(newsletter-?|e-?mail-?|abo-?)einstellungen$;
      profil (andern|aktualisieren|bearbeiten|verwalten); (abonnement|abo) verwalten; (meine|ihre|deine|personlichen) daten (andern|aktualisieren);
      newsletter-?einstellungen; einstellungen aktualisieren; newsletter verwalten; ^e-?mail-praferenzen$`,
    fr: `(gerer|modifier|mettre a jour|changer) (mes |vos |mon |votre |les )?(preferences|abonnements?|profil); ^(mes|vos) preferences; centre de preferences;
      gerez (vos|mes|votre) (preferences|abonnements?); ^preferences e-?mail$`,
    'es, pt': `(gestion|administr|actualiz|modific|cambi|atualiz|ger(ir|encia)|alter)[a-z]* (tus |sus |mis |las |as |suas |as suas |as tuas )?preferencias; ^(tus|sus|suas|mis) preferencias$; preferencias de (correo|e-?mail);
      (administrar|gestionar) (la |tu |su |mi )?suscripcion; centro de preferencias`,
    it: `(gestisc|gestir|aggiorn|modific|cambi)[a-z]* (le |le tue |le mie )?preferenze; ^preferenze e-?mail$; ^le tue preferenze$;
      modifica (il tuo |il )?profilo$`,
    nl: `(je |uw |mijn |e-?mail)?voorkeuren (aanpassen|wijzigen|beheren|bijwerken); (wijzig|beheer|update) (je |uw )?(voorkeuren|gegevens);
      ^(je |uw |mijn )?e-?mailvoorkeuren$; (gegevens|profiel) wijzigen$`,
    'sv, da, nb, fi': `(hantera|andra|uppdatera) (dina )?(installningar|preferenser|uppgifter); (administrer|opdater|oppdater|endre) (dine )?(praeferencer|preferanser|indstillinger|innstillinger|oplysninger); (muokkaa|hallitse) (asetuksia|tilausta|tilauksia);
      ret dine oplysninger; (opdater|oppdater) din profil$; administrer dine abonnementer; oppdater profilen din$; paivita tietosi; muuta asetuksia`,
    'pl, cs, hu, ro, tr': `(zarzadzaj|zmien) (swoimi |swoje )?(preferencjami|preferencje|subskrypcja); ustawienia subskrypcji; nastaveni odberu; upravit (nastaveni|predvolby); beallitasok modositasa; preferintele; tercihler(ini|inizi|i) (guncelle|yonet|degistir);
      zaktualizuj preferencje; zmenit nastaveni; spravovat odber; nastaveni newsletter; feliratkozas kezelese; adatok modositasa; ^preferinte e-?mail$; ^(e-posta|bildirim) tercihleri$`,
    'ru, uk': `настройки (подписки|рассылки); управл(ение|ять) подпиской; изменить настройки; налаштування підписки;
      управл(ение|ять) подписк; настроить рассылку; кер(увати|ування) підпискою`,
    'ja, zh, ko, he': `配信設定; 配信内容の変更; 登録(情報|内容)の変更; 管理订阅; 管理訂閱; 偏好设置; 偏好設定; 수신 ?설정; 구독 ?관리; העדפות;
      ^設定を変更; ^メール設定; (会員|登録)情報の?変更; 管理(您的|你的)?(订阅|訂閱); (订阅|訂閱)(设置|設定); 구독 ?설정`,
  },
  'view-in-browser': {
    en: `(view|see|open|read)( this| the| it| our)?( e-?mail| message| newsletter| letter| mail)? (in|on) (your |a |the )?(web ?)?browser; ^(view|read|see|open)( this| the| it)?( e-?mail| message| newsletter)? (online|on the web)( version)?$;
      (view|see|open|read)( the| a| this)? (web|online) ?(version|page)$; ^(web|online|browser) ?version$; (can't|cannot|can not) (see|view|read) this (e-?mail|message|newsletter); trouble (viewing|seeing); trouble reading (this|our) (e-?mail|message|newsletter); not displaying (correctly|properly); ^view this (e-?mail|message|newsletter)$;
      view (this e-?mail |it )?as a? ?web ?page`,
    de: `im browser (ansehen|anzeigen|offnen|lesen|betrachten|anschauen); in (ihrem|deinem|einem) browser; ^(zur )?(online|web)-?(version|ansicht)( ansehen| anzeigen| offnen)?$; ^online (ansehen|lesen|anzeigen)$; nicht (richtig|korrekt) (angezeigt|dargestellt);
      probleme (bei|mit) der darstellung`,
    fr: `dans (votre|le|un|ton) navigateur; ^(voir |lire |consulter )?(la |en )?version (en ligne|web)$; ^(voir|lire|consulter)( cet e-?mail| cette newsletter)? en ligne$; ne s'affiche pas (correctement|bien);
      dans mon navigateur; ^visualiser en ligne$`,
    'es, pt': `en (tu|su|el|un) navegador; ^(ver (la )?)?version (online|en linea|web)$; ^ver (online|en linea)$; no (seu |teu )?navegador; ^(ver (a )?)?versao (online|web)$; nao visualiza (corretamente|esta mensagem);
      no ves bien este (correo|e-?mail|mensaje); ^(ver|abrir)( este correo)? en navegador$; (abrir|ver|ver e-?mail|visualizar) no (seu )?browser$`,
    it: `(nel|nel tuo|dal|dal tuo|tramite) browser; ^(visualizza |vedi |leggi )?(la )?versione (online|web)$; visualizza online;
      ^leggi online$; ^(guarda|vedi|leggi) la versione online$`,
    nl: `in (je|uw|de) browser; ^(bekijk |lees )?(de )?(online|web) ?versie$; ^(bekijk|lees)( deze e-?mail| deze nieuwsbrief)? online$; webversie;
      ^online bekijken$`,
    'sv, da, nb, fi': `i (din )?webblasare; ^webbversion$; (vis|se|abn|laes|les) (nyhedsbrevet |e-?mailen |e-?posten |mailen )?(i|i din) (browser|nettleser); nettleseren; ^webversion$; nettversjon; selaimessa; verkkoversio;
      ^las online$; ^(visa|las) webbversion(en)?$; ^(vis|se) online$; apne i nettleser$; ^lue verkossa$`,
    'pl, cs, hu, ro, tr': `w (swojej )?przegladarce; wersj[ae] (online|internetow); v prohlizeci; (online|webov[ae]) verz[ei]; bongeszoben; (in|in) navigator; in browser$; versiunea online; tarayici(da|nizda|nda); web surumu;
      wersja webowa; ^zobrazit online$; webov(a|ou) verz[ei]; online (valtozat|verzio); ^versiune online$; ^cevrimici goruntule$`,
    'ru, uk, el': `в (вашем )?браузере; (веб|онлаин|онлайн)-версия; у браузері; веб-версія; στον browser; στο προγραμμα περιηγησης;
      веб-верс[иі]; онлаин-верс[иі]; (в|у) браузер[еі]; προβολη σε προγραμμα περιηγησης`,
    'ja, zh, ko, he, ar': `ブラウザ(ー)?で; ウェブ版; web版; オンラインで(見|読|表示); 在浏览器中; 在瀏覽器中; 网页版; 網頁版; 在线查看; 線上閱讀; 브라우저에서; 웹에서 (보기|읽기); בדפדפן; في المتصفح;
      ^webで見る; (線上|在线)(觀看|观看|閱讀); 用(浏览器|瀏覽器); 브라우저로; 웹으로 보기`,
  },
};

/** Characters that Unicode normalisation (NFKD) does not decompose, and their replacements. */
const REPLACEMENTS: Readonly<Record<string, string>> = { ı: 'i', ß: 'ss', ł: 'l', ø: 'o', đ: 'd', æ: 'ae', œ: 'oe', '’': "'" };

/** A link whose text has only these words has no meaning of its own. Its purpose is found in the sentence around it. */
const POINTING_WORDS = new Set(
  [
    'please click tap press just simply on to this the following link here page button',
    'bitte hier klicken klicke klicken sie klick auf diesen den dieser link',
    'cliquez clique clic sur ici ce cette le lien suivant veuillez vous pouvez',
    'haga haz hacer clic pulse pulsa en aqui este el enlace por favor',
    'clique aqui neste no link clicca clicchi qui su questo il per favore puoi',
    'klik hier op deze de link klicka klikk har her pa denne lanken lenken linket tassa tasta klikkaa linkkia',
    'kliknij tutaj tu w ten link kliknete zde na tento odkaz kattints ide itt aici apasa buraya buradan tikla tiklayin tiklayiniz',
    'здесь тут сюда нажмите по этои этой ссылке ссылке ссылка тут натисніть εδω κλικ καντε',
    'こちら こちらから こちらをクリック ここ ここをクリック 点击这里 点击此处 此处 請按此 按此 按這裡 點擊這裡 點此 這裡 这里 여기 여기를 클릭 여기를클릭 לחצו כאן اضغط هنا هنا',
  ]
    .join(' ')
    .split(' ')
    .map(normalise),
);

/**
 * Parts of a URL that name a purpose. All other words in the same part must be `NEUTRAL`: `/newsletter-unsubscribe.php` is an unsubscribe
 * link, `/how-to-opt-out-of-cookies` is not.
 */
const ADDRESS_PARTS: Readonly<Record<Purpose, RegExp>> = {
  unsubscribe:
    /^(?:unsubscrib(?:e|ed|er|euser|eme|elink|ing)|unsub|optout|listremove|abmelden?|abmeldung|abbestellen|abbestellung|austragen|desabonnement|desabonner|desabo|desinscription|desinscrire|dardebaja|darsedebaja|desuscribirse|desuscribir|descadastrar|descadastro|disiscrizione|disiscriviti|uitschrijven|uitschrijving|afmelden|afmelding|avregistrera|avprenumerera|avmelding|wypisz|odhlasit|odhlaseni|leiratkozas|dezabonare)$/,
  preferences:
    /^(?:emailpreferences|emailsettings|subscriptionpreferences|subscriptionsettings|managesubscriptions?|managepreferences|updateprofile|updatepreferences|preferencecenter|preferencecentre|subscriberpreferences|communicationpreferences|newsletterpreferences|newslettersettings|notificationsettings|contactpreferences|mailpreferences)$/,
  'view-in-browser': /^(?:viewinbrowser|viewasbrowser|viewaswebpage|browserview|viewonline|webversion|onlineversion)$/,
};
const NEUTRAL =
  /^(?:|me|link|here|all|now|e|email|emails|mail|mails|newsletter|newsletters|list|lists|mailinglist|mailing|page|form|confirm|confirmation|from|user|subscriber|subscription|request|index|one|oneclick|click|do|php\d?|html?|aspx?|jsp|cgi)$/;

const PURPOSES = Object.keys(WORDS) as Purpose[];
const HAS_SPACES = /^[\^(]*[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]/u;
const PATTERNS = Object.fromEntries(
  PURPOSES.map((purpose) => {
    const patterns = Object.values(WORDS[purpose])
      .flatMap((words) => words.split(';'))
      .map((words) => normalise(words.trim()));
    return [purpose, new RegExp(patterns.map((words) => (HAS_SPACES.test(words) ? `(?<!\\p{L})(?:${words})` : words)).join('|'), 'u')];
  }),
) as Record<Purpose, RegExp>;

/** Converts a text to lower case without accents, with one space between words. */
function normalise(text: string): string {
  return text
    .toLowerCase()
    .replace(/[ıßłøđæœ’]/g, (letter) => REPLACEMENTS[letter] as string)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/\s+/g, ' ');
}

/**
 * The maximum lengths, in characters, of the text of a link and of its context. A longer text is normal prose of the letter, which may
 * mention unsubscribing near a link that has another purpose.
 */
const MAX_WORDS_LENGTH = 100;
const MAX_CONTEXT_LENGTH = 300;

/**
 * Returns the purpose of a link by its text, or by the sentence around it if its text only points ("click here"). Returns undefined for any
 * other link.
 */
export function purposeOfWords(words: string, context: string): Purpose | undefined {
  const own = withoutPunctuation(normalise(words));
  const purposeIn = (text: string) => PURPOSES.find((purpose) => PATTERNS[purpose].test(text));
  if (own !== '' && own.length <= MAX_WORDS_LENGTH) {
    const purpose = purposeIn(own);
    if (purpose) return purpose;
  }
  const around = normalise(context);
  return own.split(NON_WORD).every(isPointing) && around.length <= MAX_CONTEXT_LENGTH ? purposeIn(withoutPointing(around)) : undefined;
}

const NON_WORD = /[^\p{L}\p{N}]+/u;
const isPointing = (word: string): boolean => word === '' || POINTING_WORDS.has(word);

function withoutPunctuation(text: string): string {
  return text.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
}

/** Removes pointing words at both ends: "to change your preferences, click here." becomes "change your preferences". */
function withoutPointing(text: string): string {
  let remaining = withoutPunctuation(text);
  for (;;) {
    const first = remaining.split(NON_WORD, 1)[0] as string;
    const last = remaining.split(NON_WORD).at(-1) as string;
    if (remaining !== '' && isPointing(last)) remaining = withoutPunctuation(remaining.slice(0, remaining.length - last.length));
    else if (remaining !== '' && isPointing(first)) remaining = withoutPunctuation(remaining.slice(first.length));
    else return remaining;
  }
}

/** Returns the purpose of a link by the first label of its host name, its path and its query; undefined for any other link. */
export function purposeOfAddress(url: URL): Purpose | undefined {
  const parts = `${url.hostname.split('.', 1)[0]}/${url.pathname}/${url.search}`
    .split(/[/?&=;]|%2f/i)
    .map((part) => normalise(safeDecode(part)));
  return PURPOSES.find((purpose) => parts.some((part) => namesPurpose(part, ADDRESS_PARTS[purpose])));
}

/**
 * Splits a part of a URL into words at its dots, dashes, underscores and the like. Returns true if one to four words in a row, joined,
 * match `purposePattern` and all other words are neutral.
 */
function namesPurpose(part: string, purposePattern: RegExp): boolean {
  const tokens = part.split(/[-_.:,! +]/);
  for (let from = 0; from < tokens.length; from++)
    for (let to = from + 1; to <= Math.min(tokens.length, from + 4); to++)
      if (
        purposePattern.test(tokens.slice(from, to).join('')) &&
        [...tokens.slice(0, from), ...tokens.slice(to)].every((token) => NEUTRAL.test(token))
      )
        return true;
  return false;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
