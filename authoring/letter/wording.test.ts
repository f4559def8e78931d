import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { type Purpose, purposeOfAddress, purposeOfWords } from './wording.ts';
import { LANGUAGES } from './wording-data.ts';
import { normalise } from './wording-lexicon.ts';

// These tests check single rules. test/wording measures all rules together, with a corpus in more languages.

// The words that senders use, by language.
const UNSUBSCRIBE: Readonly<Record<string, string>> = {
  en: 'Unsubscribe|UNSUBSCRIBE|Unsubscribe from this list|Click here to unsubscribe|Un-subscribe|Opt out|Opt-out|Stop receiving these emails|Remove me from this list|One-click unsubscribe|I don’t want to receive these emails|Unsubscribing',
  de: 'Abmelden|Newsletter abmelden|Vom Newsletter abmelden|Hier abmelden|Abmeldung|Newsletter abbestellen|Newsletter-Abmeldung|Austragen|Aus dem Verteiler austragen|Newsletter kündigen|Abonnement beenden|Ich möchte keine E-Mails mehr erhalten',
  fr: 'Se désabonner|Me désabonner|Désabonnement|Se désinscrire|DÉSINSCRIPTION|Désinscrivez-vous|Je souhaite me désinscrire|Ne plus recevoir nos e-mails|Se désabonner de cette newsletter',
  es: 'Darse de baja|Darme de baja|Dar de baja|Date de baja|Cancelar suscripción|CANCELAR LA SUSCRIPCIÓN|Cancelar mi suscripción|Desuscribirse|Desuscribirme|Anular suscripción|Dejar de recibir estos correos|Cancela tu suscripción',
  pt: 'Cancelar subscrição|Cancelar inscrição|Cancelar assinatura|Cancelar a minha subscrição|Descadastrar-se|Descadastre-se|Desinscrever-se|Anular a subscrição|Remover subscrição|Não quero mais receber|Não deseja mais receber nossos e-mails',
  it: 'Disiscriviti|Cancella iscrizione|Annulla iscrizione|Cancella la tua iscrizione|Annulla l’iscrizione|Disiscrizione|Cancellati dalla newsletter|Non desidero più ricevere questa newsletter|Disiscrivermi',
  nl: 'Uitschrijven|Afmelden|Afmelden voor deze nieuwsbrief|Schrijf je uit|Uitschrijven van de nieuwsbrief|Meld je hier af',
  sv: 'Avregistrera|Avregistrera dig|Avsluta prenumerationen|Avsluta prenumeration|Avprenumerera|Avanmäl dig|Avanmälan|Säg upp prenumerationen',
  da: 'Afmeld|Afmeld nyhedsbrev|Afmelding|Frameld|Afmeld dig her|Framelding',
  nb: 'Meld deg av|Avmeld|Avmelding|Avslutt abonnement|Avslutt abonnementet|Meld meg av nyhetsbrevet',
  fi: 'Peruuta tilaus|Peru tilaus|Peruuta uutiskirjeen tilaus|Peru uutiskirje|Poistu postituslistalta|Lopeta tilaus',
  pl: 'Wypisz się|WYPISZ SIĘ|Wypisz mnie|Zrezygnuj z subskrypcji|Rezygnacja z subskrypcji|Anuluj subskrypcję|Wypisz się z newslettera|Rezygnuję z otrzymywania newslettera',
  cs: 'Odhlásit se|Odhlášení odběru|Odhlásit odběr|Zrušit odběr|Odhlášení z odběru|Chci se odhlásit',
  sk: 'Odhlásiť sa|Odhlásiť odber|Odhlásenie z odberu|Zrušiť odber',
  hu: 'Leiratkozás|Leiratkozom|Leiratkozás a hírlevélről',
  ro: 'Dezabonare|Dezabonează-te|Dezabonați-vă',
  hr: 'Odjava|Odjavi se|Odjavite se|Odjava s newslettera|Otkaži pretplatu|Otkažite pretplatu',
  ru: 'Отписаться|ОТПИСАТЬСЯ|Отписаться от рассылки|Отменить подписку|Отказаться от рассылки|Отписка от рассылки',
  uk: 'Відписатися|Відписатись від розсилки|Скасувати підписку|Відмовитися від розсилки',
  tr: 'Abonelikten çık|ABONELİKTEN ÇIK|Abonelikten ayrıl|Aboneliği iptal et|Aboneliğimi iptal et|Listeden çık|Üyelikten çık|Abonelikten çıkmak için tıklayın',
  vi: 'Hủy đăng ký|HỦY ĐĂNG KÝ|Huỷ đăng ký nhận tin|Ngừng nhận email',
  id: 'Berhenti berlangganan|BERHENTI BERLANGGANAN',
  el: 'Διαγραφή|Διαγραφή από τη λίστα|Κατάργηση εγγραφής|ΚΑΤΑΡΓΗΣΗ ΕΓΓΡΑΦΗΣ|Απεγγραφή',
  ja: '配信停止|配信停止はこちら|メール配信の停止|購読解除|購読を解除する|購読解除はこちら|登録解除|メルマガ解除|メールマガジンの解除|配信の解除|メールの配信を停止する',
  zh: '退订|取消订阅|退訂|取消訂閱|退订邮件|取消電子報訂閱',
  ko: '수신거부|수신 거부|구독취소|구독 취소|구독 해지|수신거부하기',
  ar: 'إلغاء الاشتراك|الغاء الاشتراك|إلغاء اشتراكك',
  he: 'להסרה מרשימת התפוצה|הסרה מרשימת התפוצה|הסר אותי|ביטול הרשמה|ביטול מנוי|להסרה',
  th: 'ยกเลิกการสมัคร|ยกเลิกการรับข่าวสาร|ยกเลิกการสมัครรับข้อมูล',
  hi: 'सदस्यता समाप्त करें|अनसब्सक्राइब करें',
};
const PREFERENCES: Readonly<Record<string, string>> = {
  en: 'Manage preferences|Manage your preferences|Manage your email preferences|Update your preferences|Update your email preferences|Email Preferences|Preferences|PREFERENCE CENTER|Preference centre|Subscription settings|Manage subscriptions|Manage my subscriptions|Update profile|Update your profile|Edit your subscription|Change email preferences|Communication preferences|Change your email settings|Update subscription preferences',
  de: 'Einstellungen ändern|Einstellungen verwalten|Newsletter-Einstellungen|E-Mail-Einstellungen|Profil ändern|Profil bearbeiten|Präferenzen verwalten|Abonnement verwalten|Meine Daten ändern|Einstellungen aktualisieren|Newsletter verwalten|E-Mail-Präferenzen',
  fr: 'Gérer mes préférences|Gérer vos préférences|Gérez vos préférences|Modifier mes préférences|Mettre à jour vos préférences|Préférences e-mail|Gérer mes abonnements|Centre de préférences|Gérer mon abonnement',
  es: 'Gestionar preferencias|Gestionar mis preferencias|Actualizar preferencias|Actualiza tus preferencias|Preferencias de correo electrónico|Administrar preferencias|Administrar suscripción|Modificar mis preferencias|Centro de preferencias',
  pt: 'Gerir preferências|Gerenciar preferências|Gerir as suas preferências|Atualizar preferências|Preferências de e-mail|Atualize suas preferências|Alterar preferências',
  it: 'Gestisci preferenze|Gestisci le tue preferenze|Aggiorna le tue preferenze|Modifica le preferenze|Preferenze e-mail|Gestisci le preferenze|Aggiorna preferenze|Modifica il tuo profilo',
  nl: 'Voorkeuren wijzigen|Voorkeuren aanpassen|Wijzig je voorkeuren|Beheer je voorkeuren|E-mailvoorkeuren|Gegevens wijzigen|Profiel wijzigen|Wijzig je gegevens',
  sv: 'Hantera preferenser|Hantera dina inställningar|Uppdatera dina uppgifter|Ändra inställningar|Uppdatera dina inställningar',
  da: 'Opdater dine oplysninger|Opdater dine præferencer|Administrer dine præferencer|Ret dine oplysninger|Opdater din profil',
  nb: 'Oppdater dine innstillinger|Oppdater dine preferanser|Administrer dine abonnementer|Endre innstillinger|Oppdater profilen din',
  fi: 'Muokkaa asetuksia|Muokkaa asetuksiasi|Hallitse tilauksia|Päivitä tietosi|Muuta asetuksia',
  pl: 'Zarządzaj preferencjami|ZARZĄDZAJ PREFERENCJAMI|Zmień preferencje|Ustawienia subskrypcji|Zarządzaj subskrypcją|Zaktualizuj preferencje',
  cs: 'Nastavení odběru|Upravit nastavení|Upravit předvolby|Změnit nastavení|Spravovat odběr|Nastavení newsletteru',
  hu: 'Beállítások módosítása|Feliratkozás kezelése|Adatok módosítása',
  ro: 'Actualizează preferințele|Gestionează preferințele|Preferințele mele|Preferințe e-mail',
  ru: 'Настройки подписки|НАСТРОЙКИ ПОДПИСКИ|Управление подпиской|Управлять подпиской|Изменить настройки|Управление подписками|Настроить рассылку',
  uk: 'Налаштування підписки|Керувати підпискою|Керування підпискою',
  tr: 'Tercihlerinizi güncelleyin|Tercihlerini güncelle|E-posta tercihleri|Tercihleri güncelle|Tercihlerinizi yönetin|Bildirim tercihleri',
  ja: '配信設定|配信設定の変更|配信設定を変更|登録情報の変更|登録内容の変更|設定を変更する|メール設定|会員情報の変更はこちら|登録情報変更',
  zh: '管理订阅|管理訂閱|偏好设置|偏好設定|管理您的订阅|更新偏好设置|订阅设置',
  ko: '수신 설정|수신설정 변경|구독 관리|이메일 수신 설정 변경|구독 설정',
  he: 'עדכון העדפות|העדפות|ניהול העדפות',
};
const BROWSER: Readonly<Record<string, string>> = {
  en: 'View in browser|View this email in your browser|VIEW IN BROWSER|View online|View online version|Read online|Open in browser|View web version|View as a web page|View as webpage|Web version|Trouble viewing this email?|Having trouble viewing this email?|Can’t see this email?|Email not displaying correctly?|View it in your browser|See this email in your browser|Online version|Browser version',
  de: 'Im Browser ansehen|Im Browser öffnen|Newsletter im Browser ansehen|In Ihrem Browser anzeigen|Online-Version|Onlineversion|Zur Online-Version|Webversion|Web-Version|Webansicht|Online ansehen|Online lesen|Im Browser anzeigen|Wird diese E-Mail nicht richtig angezeigt?|Webversion anzeigen|Probleme bei der Darstellung?',
  fr: 'Voir en ligne|Version en ligne|Voir la version en ligne|Voir dans le navigateur|Afficher dans votre navigateur|Lire dans le navigateur|Version web|Consulter la version en ligne|Ouvrir dans le navigateur|Si ce message ne s’affiche pas correctement|Voir dans mon navigateur|Visualiser en ligne',
  es: 'Ver en el navegador|Ver en tu navegador|Ver en su navegador|Ver este correo en el navegador|Versión online|Versión en línea|Ver online|Ver en línea|Versión web|Abrir en el navegador|¿No ves bien este correo?|Ver en navegador',
  pt: 'Ver no navegador|Ver no seu navegador|Visualizar no navegador|Ver online|Versão online|Versão web|Abrir no browser|Ver no browser|Ver e-mail no browser',
  it: 'Visualizza nel browser|Apri nel browser|Vedi nel tuo browser|Versione online|Visualizza online|Versione web|Leggi online|Guarda la versione online',
  nl: 'Bekijk in browser|Bekijk in je browser|Bekijk in de browser|Bekijk de webversie|Bekijk online|Online versie|Lees online|Webversie|Bekijk de online versie|Open in browser|Online bekijken',
  sv: 'Visa i webbläsare|Visa i webbläsaren|Öppna i webbläsaren|Läs i webbläsaren|Webbversion|Läs online|Visa webbversion|Onlineversion',
  da: 'Vis i browser|Åbn i browser|Se i din browser|Se nyhedsbrevet i browseren|Læs i browser|Vis online|Se online|Webversion|Onlineversion',
  nb: 'Vis i nettleser|Vis i nettleseren|Åpne i nettleser|Les i nettleseren|Se e-posten i nettleseren|Nettversjon|Vis i din nettleser',
  fi: 'Avaa selaimessa|Katso selaimessa|Lue selaimessa|Näytä selaimessa|Verkkoversio|Lue verkossa|Avaa verkkoversio',
  pl: 'Zobacz w przeglądarce|Otwórz w przeglądarce|Wyświetl w przeglądarce|Wersja online|Zobacz wersję online|Wersja internetowa|Wersja webowa',
  cs: 'Zobrazit v prohlížeči|Otevřít v prohlížeči|Online verze|Webová verze|Zobrazit online|Zobrazit webovou verzi|Zobrazit e-mail v prohlížeči',
  hu: 'Megtekintés böngészőben|Megnyitás böngészőben|Online változat|Megtekintés a böngészőben|Online verzió|Böngészőben megnyitom',
  ro: 'Vizualizează în browser|Vezi în browser|Deschide în browser|Vezi versiunea online|Versiunea online|Versiune online',
  tr: 'Tarayıcıda görüntüle|Tarayıcıda aç|TARAYICIDA GÖRÜNTÜLE|Tarayıcınızda görüntüleyin|Web sürümü|Web sürümünü görüntüle|Çevrimiçi görüntüle',
  ru: 'Открыть в браузере|Посмотреть в браузере|Веб-версия|Онлайн-версия|Читать в браузере|Открыть веб-версию|Веб-версия письма',
  uk: 'Відкрити у браузері|Переглянути у браузері|Веб-версія|Переглянути в браузері|Онлайн-версія',
  el: 'Δείτε το στον browser|Δείτε το στο πρόγραμμα περιήγησης|Προβολή στον browser σας|Προβολή σε πρόγραμμα περιήγησης',
  ja: 'ブラウザで見る|ブラウザで表示|ブラウザーで表示|ウェブ版|Web版はこちら|WEB版を見る|オンラインで見る|ウェブブラウザで開く|Webで見る',
  zh: '在浏览器中查看|在瀏覽器中檢視|在浏览器中打开|网页版|網頁版|在线查看|線上閱讀|查看网页版|線上觀看|用浏览器打开',
  ko: '브라우저에서 보기|웹에서 보기|웹 브라우저에서 보기|웹에서 읽기|브라우저로 보기|웹으로 보기',
  he: 'צפייה בדפדפן|הצגה בדפדפן|לצפייה בדפדפן',
  ar: 'عرض في المتصفح|افتح في المتصفح|عرض الرسالة في المتصفح',
};

const rows = (data: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(data).flatMap(([language, phrases]) => phrases.split('|').map((words): [string, string] => [language, words]));

describe.each<[Purpose, Readonly<Record<string, string>>]>([
  ['unsubscribe', UNSUBSCRIBE],
  ['preferences', PREFERENCES],
  ['view-in-browser', BROWSER],
])('what is called %s', (purpose, data) => {
  test.each(rows(data))('in %s: %s', (_, words) => {
    expect(purposeOfWords(words, words)).toBe(purpose);
    expect(purposeOfWords(`» ${words} »`, '')).toBe(purpose);
    // In NFD, accents are separate characters.
    expect(purposeOfWords(words.normalize('NFD'), '')).toBe(purpose);
  });
});

describe('what a link that only points is for, the sentence says', () => {
  test.each<[Purpose, string]>([
    ['unsubscribe', 'If you no longer wish to receive these emails, please [click here]'],
    ['unsubscribe', 'To unsubscribe from this list, [click here]'],
    ['unsubscribe', 'Unsubscribe [here]'],
    ['unsubscribe', 'You can [unsubscribe] at any time'],
    ['unsubscribe', 'To unsubscribe follow [this link]'],
    ['unsubscribe', 'Don’t want to receive our emails? [Click here.]'],
    ['unsubscribe', 'Wenn Sie keine weiteren E-Mails erhalten möchten, [klicken Sie hier]'],
    ['unsubscribe', 'Wenn Sie diesen Newsletter nicht mehr erhalten möchten, klicken Sie bitte [hier]'],
    ['unsubscribe', 'Zum Abbestellen [hier klicken]'],
    ['unsubscribe', 'Zum Abmelden klicken Sie auf [diesen Link]'],
    ['unsubscribe', 'Pour vous désabonner, [cliquez ici]'],
    ['unsubscribe', 'Pour ne plus recevoir nos e-mails, suivez [ce lien]'],
    ['unsubscribe', 'Si deseas darte de baja, [haz clic aquí]'],
    ['unsubscribe', 'Para dejar de recibir estos correos, [pulse aquí]'],
    ['unsubscribe', 'Para cancelar a subscrição, [clique aqui]'],
    ['unsubscribe', 'Se non vuoi più ricevere questa newsletter, [clicca qui]'],
    ['unsubscribe', 'Wilt u deze nieuwsbrief niet meer ontvangen? [Klik hier]'],
    ['unsubscribe', 'Vill du avsluta din prenumeration? [Klicka här]'],
    ['unsubscribe', 'Ønsker du at afmelde nyhedsbrevet? [Klik her]'],
    ['unsubscribe', 'Ønsker du å melde deg av nyhetsbrevet? Meld deg av [her]'],
    ['unsubscribe', 'Voit peruuttaa tilauksen: peruuta tilaus [tästä]'],
    ['unsubscribe', 'Aby wypisać się z listy, [kliknij tutaj]'],
    ['unsubscribe', 'Pro odhlášení klikněte [zde]'],
    ['unsubscribe', 'Ha le szeretne iratkozni, leiratkozás [itt]'],
    ['unsubscribe', 'Pentru dezabonare, [click aici]'],
    ['unsubscribe', 'Чтобы отписаться от рассылки, [нажмите здесь]'],
    ['unsubscribe', 'Щоб відписатися, натисніть [тут]'],
    ['unsubscribe', 'Abonelikten çıkmak için [tıklayın]'],
    ['unsubscribe', 'Abonelikten çıkmak için [buraya tıklayın]'],
    ['unsubscribe', 'メールの配信停止をご希望の方は[こちら]'],
    ['unsubscribe', '配信停止は[こちらから]'],
    ['unsubscribe', '如需退订，请[点击这里]'],
    ['unsubscribe', '若要取消訂閱，請[按這裡]'],
    ['unsubscribe', '수신거부를 원하시면 [여기]를 클릭하세요'],
    ['unsubscribe', 'לביטול הרשמה לחצו [כאן]'],
    ['unsubscribe', 'لإلغاء الاشتراك اضغط [هنا]'],
    ['preferences', 'To update your preferences, [click here]'],
    ['preferences', 'Pour modifier vos préférences, cliquez [ici]'],
    ['preferences', 'Ihre Newsletter-Einstellungen finden Sie [hier]'],
    ['view-in-browser', 'Email not displaying correctly? [Click here]'],
    ['view-in-browser', 'Trouble viewing this email? [Click here]'],
    ['view-in-browser', 'Wird diese E-Mail nicht richtig angezeigt? [Klicken Sie hier]'],
    ['view-in-browser', 'Falls diese E-Mail nicht korrekt angezeigt wird, klicken Sie bitte [hier]'],
    ['view-in-browser', 'Si ce message ne s’affiche pas correctement, [cliquez ici]'],
    ['view-in-browser', 'Si no puede ver este correo en su navegador, haga clic [aquí]'],
  ])('%s: %s', (purpose, sentence) => {
    const words = /\[(.*)\]/.exec(sentence)?.[1] ?? '';
    expect(purposeOfWords(words, sentence.replace(/[[\]]/g, ''))).toBe(purpose);
  });

  test('an address by itself in a text points, too', () => {
    expect(purposeOfWords('', 'To unsubscribe:')).toBe('unsubscribe');
    expect(purposeOfWords('', 'Our shop:')).toBeUndefined();
  });

  test('a long sentence is about something else', () => {
    const sentence = `You can unsubscribe, ${'and there is much more to say '.repeat(12)}`;
    expect(purposeOfWords('here', sentence)).toBeUndefined();
    expect(purposeOfWords(sentence, sentence)).toBeUndefined();
  });
});

describe('any other link is for nothing of this', () => {
  test.each(
    [
      'Shop now|Read more|Learn more|Buy tickets|Update your kitchen|Manage your money|Our web design|Baja California tours|Book a room with a view|Subscribe',
      'Change your life|Download the app|Follow us on Instagram|Your order|Web shop|Online shop|Opt for green energy|Stop smoking|Browse the collection|Preferred seats',
      'View our online catalogue|View online courses|Read online reviews|Trouble reading? Try our glasses|Play in the browser|Wines chosen to suit your preferences',
      'Jetzt ansehen|Zum Angebot|Mehr erfahren|Jetzt anmelden|Angebote im Überblick|Alle Termine|Nicht mehr erhältlich|Wieder erhältlich|Zum Onlineshop|Abo bestellen',
      'Spiele im Browser|Zeitungen austragen und Geld verdienen|Daten ändern die Welt|Austragungsorte der WM',
      'Découvrir la collection|En savoir plus|J’en profite|S’abonner|Voir la boutique en ligne|Préférez le train|La version originale',
      'Comprar ahora|Ver más|Vuelos a Baja California|Viajes en Baja|Suscribirse|Ofertas de temporada baja|Precios a la baja|Navegador GPS',
      'Compre agora|Saiba mais|Navegadores portugueses|Assinatura de revistas|Scopri di più|Acquista ora|Iscriviti|La nuova versione',
      'Bekijk de collectie|Meer lezen|Schrijf je in|Bekijk online aanbiedingen|Läs mer|Handla nu|Læs mere|Køb nu|Opdater dine sommersko|Oppdater dine løpesko|Osta nyt|Tilaa nyt',
      'Kup teraz|Zobacz więcej|Zrezygnuj z cukru|Zarejestruj się|Koupit|Přihlásit se|Megveszem|Feliratkozás|Cumpără acum|Kupi odmah',
      'Купить|Подробнее|Подписаться|Опись имущества|Отписано по наследству|Купити|Satın al|Abone ol|Mua ngay|Đăng ký|Beli sekarang|Αγορά τώρα|Εγγραφή',
      '詳しくはこちら|購入する|会員登録|立即购买|订阅|立即訂閱|자세히 보기|구독하기|اشترك الآن|לרכישה|ซื้อเลย|अभी खरीदें',
    ].flatMap((words) => words.split('|')),
  )('%s', (words) => {
    expect(purposeOfWords(words, words)).toBeUndefined();
  });

  test.each([
    'See our new collection [here]',
    'Click [here] to view the online shop',
    'Die neue Kollektion finden Sie [hier]',
    'Den Katalog gibt es [hier] im Browser-Format',
    'Découvrez [ici] nos nouveautés',
    'Descubre [aquí] los vuelos a Baja California',
    'Manage your money [here]',
    'Zapraszamy [tutaj]',
    'お申し込みは[こちら]',
    '点击[这里]购买',
  ])('%s', (sentence) => {
    expect(purposeOfWords(/\[(.*)\]/.exec(sentence)?.[1] ?? '', sentence.replace(/[[\]]/g, ''))).toBeUndefined();
  });

  test('words of its own count, not those around it', () => {
    expect(purposeOfWords('Shop now', 'Shop now or unsubscribe')).toBeUndefined();
    expect(purposeOfWords('our privacy policy', 'Read our privacy policy before you unsubscribe')).toBeUndefined();
  });
});

describe('by its address', () => {
  test.each<[Purpose, string]>([
    ['unsubscribe', 'https://e.org/unsubscribe'],
    ['unsubscribe', 'https://e.org/newsletter/Unsubscribe.aspx?u=1'],
    ['unsubscribe', 'https://e.org/?action=unsubscribe&u=1'],
    ['unsubscribe', 'https://unsubscribe.e.org/u/1'],
    ['unsubscribe', 'https://e.us1.list-manage.com/unsubscribe?u=1&id=2'],
    ['unsubscribe', 'https://e.org/opt-out'],
    ['unsubscribe', 'https://e.org/optout/1'],
    ['unsubscribe', 'https://e.org/unsub/1'],
    ['unsubscribe', 'https://e.org/newsletter/abmelden'],
    ['unsubscribe', 'https://e.org/newsletter-abmeldung'],
    ['unsubscribe', 'https://e.org/abbestellen'],
    ['unsubscribe', 'https://e.org/desabonnement'],
    ['unsubscribe', 'https://e.org/d%C3%A9sinscription'],
    ['unsubscribe', 'https://e.org/darse-de-baja'],
    ['unsubscribe', 'https://e.org/uitschrijven'],
    ['unsubscribe', 'https://e.org/odhlasit'],
    ['unsubscribe', 'https://e.org/?next=%2Funsubscribe'],
    ['preferences', 'https://e.org/email-preferences?u=1'],
    ['preferences', 'https://e.org/preference-center'],
    ['preferences', 'https://e.org/preferencecentre'],
    ['preferences', 'https://e.org/manage-subscription'],
    ['preferences', 'https://e.us1.list-manage.com/profile/update_profile?u=1'],
    ['preferences', 'https://e.org/subscription_settings'],
    ['view-in-browser', 'https://e.org/view-in-browser/1'],
    ['view-in-browser', 'https://e.org/newsletter/webversion/1'],
    ['view-in-browser', 'https://e.org/onlineversion?u=1'],
    ['view-in-browser', 'https://e.org/web-version'],
  ])('%s: %s', (purpose, address) => {
    expect(purposeOfAddress(new URL(address))).toBe(purpose);
  });

  test.each([
    'https://shop.example/preferences-of-cats',
    'https://shop.example/',
    'https://shop.example/subscribe',
    'https://shop.example/newsletter/2026-05',
    'https://shop.example/baja-california',
    'https://shop.example/dar-es-salaam',
    'https://shop.example/manage-your-money',
    'https://shop.example/settings',
    'https://shop.example/web-design',
    'https://shop.example/webviewer',
    'https://shop.example/online/versions',
    'https://shop.example/view/online-shop',
    'https://shop.example/adopt-outdoor-cats',
    'https://shop.example/laptop-outlet',
    'https://shop.example/copyright-removed',
    'https://shop.example/update-your-kitchen',
    'https://shop.example/profile/anna',
    'https://shop.example/#unsubscribe',
    'https://shop.example/100%-cotton',
    'https://shop.example/view-online-catalogue',
    'https://shop.example/austragungsorte',
    'https://unsubtle.example/',
  ])('%s is any link', (address) => {
    expect(purposeOfAddress(new URL(address))).toBeUndefined();
  });
});

describe('words are compared', () => {
  test.each([
    ['SafeUnsubscribe™', 'safe unsubscribe'],
    ['Un\u00adsub\u200bscribe', 'unsubscribe'],
    ['Un-subscribe from e-mails', 'unsubscribe from emails'],
    ['Ｕｎｓｕｂｓｃｒｉｂｅ', 'unsubscribe'],
    ['ABONELİKTEN ÇIK', 'abonelikten cik'],
    ['Abonelikten çık', 'abonelikten cik'],
    ['DÉSINSCRIPTION', 'desinscription'],
    ['Große Straße', 'grosse strasse'],
    ['ΔΙΑΓΡΑΦΉ ΑΠΌ ΤΗΣ', 'διαγραφη απο τησ'],
    ['إلغاء الاشتراك', 'الغاء الاشتراك'],
    ['نمی\u200cخواهم', 'نميخواهم'],
    ['सदस्यता', 'सदस्यता'],
    ['ガ'.normalize('NFD'), 'ガ'],
    [' [»] ', ''],
  ])('%j as %j', (text, normalised) => {
    expect(normalise(text)).toBe(normalised);
  });
});

describe('other words make a title', () => {
  test.each([
    ['Unsubscribe', 'Unsubscribe from boredom'],
    ['Unsubscribe from our newsletter', 'Why people unsubscribe from newsletters'],
    ['Afmelden', 'Afmelden voor de marathon'],
    ['Cancel my subscription', 'Cancel my gym subscription'],
    ['Manage subscription', 'Manage subscription businesses'],
    ['Read online', 'Read more online'],
  ])('%j is kept and %j is not', (kept, tracked) => {
    expect(purposeOfWords(kept, kept)).toBeDefined();
    expect(purposeOfWords(tracked, tracked)).toBeUndefined();
  });

  test("but the sender's name does not", () => {
    expect(purposeOfWords('Unsubscribe from Harbour', '', 'mail.harbour.example')).toBe('unsubscribe');
    expect(purposeOfWords('Unsubscribe from Harbour', '', 'mail.other.example')).toBeUndefined();
    expect(purposeOfWords('Unsubscribe from the gym', '', 'thegymnast.example')).toBeUndefined();
  });

  test('a merge tag or a mail address stands for the reader', () => {
    expect(purposeOfWords('Unsubscribe {{email}}', '')).toBe('unsubscribe');
    expect(purposeOfWords('Unsubscribe ann@harbour.example', '')).toBe('unsubscribe');
  });
});

test('a link whose text is its address points', () => {
  expect(purposeOfWords('https://e.org/x/1', 'To unsubscribe: https://e.org/x/1')).toBe('unsubscribe');
  expect(purposeOfWords('e.org/x/1', 'To unsubscribe: e.org/x/1')).toBe('unsubscribe');
  // The name of a home page is not an address.
  expect(purposeOfWords('e.org', 'To unsubscribe, write to e.org')).toBeUndefined();
  expect(purposeOfWords('https://e.org/x/1', 'Our shop: https://e.org/x/1')).toBeUndefined();
});

test('a report of spam is for nothing else', () => {
  expect(purposeOfWords('Report spam', '')).toBe('report-abuse');
  expect(purposeOfWords('Als Spam melden', '')).toBe('report-abuse');
  expect(purposeOfWords('How spam works', '')).toBeUndefined();
});

test('each language has words of leaving and of the letter, and words that point', () => {
  for (const [language, words] of Object.entries(LANGUAGES))
    expect([language, Boolean(words.leave ?? words.quit), Boolean(words.letter), Boolean(words.point)]).toEqual([
      language,
      true,
      true,
      true,
    ]);
});

describe('hostile text takes linear time', () => {
  const marks = [
    'e',
    'unsubscribe ',
    'meld ',
    'schrijf a ',
    'de la en ',
    '退订',
    '停',
    'ยกเลิก',
    'a@',
    '{{',
    '*|',
    '[[',
    '%%',
    '? ',
    ' / ',
    'a.',
    'http://',
    '\u00ad',
    'é',
    '-',
  ];
  test.each(marks)('of %j', (text) => {
    expectLinear(
      400,
      (times) => text.repeat(times),
      (long) => {
        purposeOfWords(long, long);
        for (let at = 0; at < long.length; at += 100) purposeOfWords(long.slice(at, at + 100), long.slice(at, at + 300));
      },
    );
  });

  test.each(['unsubscribe-', 'manage/', 'aB', '%2f', '%', 'a=unsub&', '.'])('in addresses of %j', (text) => {
    expectLinear(
      2000,
      (times) => new URL(`https://e.org/${text.repeat(times)}?${text.repeat(times)}`),
      (url) => purposeOfAddress(url),
    );
  });
});
