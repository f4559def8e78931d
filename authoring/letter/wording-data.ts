// The words with which wording.ts recognises unsubscribe, preference and view-in-browser links, in each language. To add a language, add an
// entry.
//
// The entries of a role are separated by commas. An entry is a word or several words in a row. `*` stands for the rest of a word, `*word*`
// finds the word inside compounds, and `_` stands for up to three words. Case, accents, hyphens and other punctuation make no difference.
// In Chinese, Japanese and Thai, which have no spaces between words, entries are found anywhere.
//
// If a word has the wrong role, a link may not be tracked, or a person who wants to unsubscribe is sent through a redirect. `filler` has
// only the small words that are usual in footers. If such a word is missing in `filler`, a text looks like the title of an article.

export const ROLES = [
  /** Words that alone mean unsubscribing: "unsubscribe". */
  'leave',
  /**
   * Words for unsubscribing that also have other meanings, such as the German "Abmelden", which is also said of a race. A text with unknown
   * words also needs a `letter`.
   */
  'quit',
  /** Words that mean unsubscribing only together with a `letter`: "cancel", "remove me". */
  'end',
  /** Words that mean unsubscribing only together with `get` or `letter`: "no longer", "don't want". */
  'no',
  /** Words for receiving: "receive". */
  'get',
  /** Words for the letter, its list, or the subscription to the list. */
  'letter',
  /** Words for the content of letters: "news", "offers". Together with words for unsubscribing, they count as a `letter`. */
  'offer',
  /** Words for changing: "change", "manage". */
  'manage',
  /** Words that alone mean that the reader chooses what to receive: "preferences". */
  'preference',
  /** Words that mean this only together with `manage` or `letter`: "settings", "profile". */
  'setting',
  /** Words for reading: "view", "read", "open". */
  'view',
  /** Words for the web that count only together with `view` or `letter`: "in the browser", "online". */
  'browser',
  /** Words that alone mean the letter on the web: "web version". */
  'webpage',
  /** Words that say that the letter is not shown well: "trouble viewing". */
  'trouble',
  /** Words for reporting spam: "report spam". */
  'abuse',
  /** Words of a link text that only points and names no purpose: "here", "click". */
  'point',
  /** Words that are usual in the title of an article: "how", "why", "guide". */
  'article',
  /** Other words that are usual in footers: "please", "from", "our". */
  'filler',
] as const;
export type Role = (typeof ROLES)[number];

/** Words that letters in every language use. */
export const EVERYWHERE: Readonly<Partial<Record<Role, string>>> = {
  leave: '*unsubscrib*, un subscrib*, opt out, optout',
  letter: 'newsletter*, email*, mail, mails, mailing, mailings, sms',
  browser: 'browser, browsers, browseren, browsern, browserul, browserului, browserben, webbrowser, webbrowseren, online, web',
  webpage: 'web version, online version, browser version, webversion, browserversion, onlineversion',
  point: 'link, url, ok',
  abuse: 'spam report',
  filler: 'spam',
};

/** The words of each language. `prefixes` are particles that are written together with the next word. */
export const LANGUAGES: Readonly<Record<string, Readonly<Partial<Record<Role | 'prefixes', string>>>>> = {
  // English
  en: {
    leave: `
      unsubscription, opt out, opting out, opts out, be removed, get removed, stop receiving, stop getting, stop these, stop sending,
      stop writing, stop contacting, stop emailing, stop mailing, off the list, off this list, off our list, deregister from,
      no longer interested, not interested anymore, not interested any more, stop hearing`,
    quit: 'remove me, remove yourself, take me off, removed from',
    end: `
      cancel, end, stop, remove, removed, leave, quit, delete, taken off, take off, get off, discontinue, turn off, switch off, sign off,
      withdraw, terminate, stopping, removal`,
    no: `
      no longer, no more, don't want, dont want, do not want, don't wish, do not wish, not wish, don't like, do not like, would not like,
      wouldn't like, rather not, prefer not, not interested, not want, not receive, never`,
    get: 'receive*, receiving, get, getting, got, hear from, hearing from, write to, contact, contacted, sent, send, sending, hear',
    letter: `
      message*, list, lists, letter*, bulletin*, digest*, subscription*, mailing list*, correspondence, notification*, communication*,
      alert*, announcement*, updates, emailing*, reminder*`,
    offer: 'news, information, offer*, promotion*, deals, marketing',
    manage: `
      manage*, managing, update, updating, change, changing, edit, editing, modify*, set, adjust*, choose, choosing, select, control,
      customi*, review, configure, view or change, unsubscribe or change`,
    preference: `
      preference*, how often, email frequency, what you receive, which emails, what we send you, subscription center, subscription centre,
      preference center, preference centre, how we contact you, communication settings, notification settings`,
    setting: `
      setting*, profile, details, options, data, frequency, contact details, contact information, your information, my information,
      personal information, personal details`,
    view: 'view*, viewing, see, seeing, open*, read, reading, look at, look, watch, load, display*, displaying, show*',
    browser: 'on the web, on the internet, as a web page, as a webpage, as web page, as webpage, webpage, web page, web browser',
    webpage: `
      view this email, view this message, view this newsletter, view email, view newsletter, web copy, hosted version, web based version,
      mobile version`,
    trouble: `
      trouble viewing, trouble reading, trouble seeing, trouble with, problem* viewing, problem* reading, problem* seeing,
      difficult* viewing, difficult* reading, can't see, cannot see, can not see, can't read, cannot read, can not read, can't view,
      cannot view, unable to, not display*, not show*, isn't display*, not render*, images not, do not show, does not show, don't show,
      doesn't display, does not display, doesn't look, not look, hard to read, not see, not view, not load*, garbled, looks weird,
      looks strange, looks odd, look strange, look weird, looks funny, looks broken, looks wrong, images not showing, images not displaying`,
    abuse: `
      report spam, report as spam, report abuse, report this, report it, report email as, report message as, as abuse, as spam,
      mark as spam, this is spam, is this spam, abuse report, report a spam, flag as spam, complain`,
    point: 'here, click, clicking, tap, press, button, this page, following, follow, go to, visit, below, above, link below, page',
    article: `
      how, why, who, guide, story, essay, article, tip, tips, step, steps, reason, reasons, way, ways, learn, discover, when, whose,
      explained, read more, see more, view more, show more, learn more, miss, missing, missed, never miss`,
    filler: `
      a, an, the, this, that, these, those, it, its, our, your, my, me, you, we, us, i, they, them, any, all, every, some, more, further,
      future, other, another, such, from, of, to, in, on, at, by, for, with, about, as, into, via, or, and, but, so, if, is, are, am, be,
      been, being, was, were, do, does, did, don't, not, no, now, please, just, simply, easily, want, wish, would, like, prefer, rather,
      can, could, may, might, will, shall, should, must, need, have, having, has, had, ever, anymore, any more, again, instead, time, times,
      anytime, whenever, one, 1, s, t, d, ll, re, ve, m, receive, received, because, signed up, sign up, site, website, already, subscribed,
      subscriber*, someone, mistake, error, believe, think, free, feel, using, use, properly, correctly, well, right, images, image,
      picture*, pictures, full, complete, own, yourself, personal, out, up, address, inbox, regular*, daily, weekly, monthly, promotional,
      commercial, wrong, interested, decided, decide, team, account, copy, want to, out here, one click, instantly, had enough, changed,
      mind, change your mind, changed your mind, kind, type, kinds, types, which, what, yes, then, also, longer, issue, edition, version,
      hi, hello, safe, sorry to see you go, sorry, go, hate to see you go, forever, for good, permanently, entirely, completely,
      immediately, let us know`,
  },
  // German
  de: {
    leave: `
      *abbestell*, ab bestellen, abzubestellen, keine post, keine werbung mehr, aus dem verteiler, aus unserem verteiler,
      aus der mailingliste, aus der liste`,
    quit: `
      *abmeld*, *abzumeld*, melde _ ab, melden _ ab, meld _ ab, *austrag*, *auszutrag*, trage _ aus, tragen _ aus, *deabonnier*, *widerspr*,
      *widerruf*, *ausschreib*`,
    end: '*kundig*, *beend*, *stoppen*, stopp, *losch*, *entfern*, *streich*, verlassen, einstellen, abbrechen, *abschalten, deaktivier*',
    no: `
      nicht mehr, nicht langer, nicht weiter, keine weiter*, kein weiter*, keinen weiter*, keine, keinen, kein, kein interesse, nie mehr,
      nie wieder, nicht`,
    get: `
      *erhalten, *erhalte, *empfang*, *bekomm*, *bezieh*, *zugeschickt, *zugesandt, *zusend*, kontaktiert, *versend*, geschickt, schicken,
      senden`,
    letter: `
      *newsletter*, *mail*, *verteiler*, *liste, *listen, abonnement*, newsletterabo*, emailabo*, abo, abos, aboeinstellung*, *nachricht*,
      *rundbrief*, *rundschreiben, *infobrief*, *benachrichtigung*, *mitteilung*, *zusendung*, *aussendung*, newslettern, post, infomail*`,
    offer: 'information*, infos, angebote*, aktionen, *werbung',
    manage: `
      *verwalt*, *ander*, *anpass*, *anzupass*, *bearbeit*, *aktualisier*, wahlen, auswahlen, festlegen, *konfigurier*, setzen, wechseln,
      *einstellen`,
    preference: `
      *praferenz*, newslettereinstellung*, emaileinstellung*, mailingeinstellung*, abonnementverwaltung, newsletterverwaltung, aboverwaltung`,
    setting: '*einstellung*, profil*, *daten, *interessen, kontakteinstellung*, haufigkeit, angaben',
    view: `
      *ansehen, *anseh*, *anschau*, *anzeig*, *angezeigt*, *dargestellt*, *offne*, *offn*, *lesen, *lies, *betracht*, *darstell*, *aufruf*,
      sehen, ansicht, zeigen`,
    browser: '*browser, *browsers, im netz, im internet, im web, webseite',
    webpage: `
      *webversion*, *onlineversion*, *webansicht*, *onlineansicht*, web ansicht, online ansicht, *browserversion*, *browseransicht*,
      browser ansicht, webfassung, onlinefassung`,
    trouble: `
      nicht richtig, nicht korrekt, nicht lesbar, nicht angezeigt, nicht dargestellt, nicht anzeig*, nicht les*, nicht sehen, probleme bei,
      probleme mit, probleme beim, fehlerhaft, *darstellungsproblem*, *darstellungsfehler*, *anzeigeproblem*, schlecht lesbar,
      nicht vollstandig, nicht einwandfrei, nicht ordnungsgemass, probleme diese`,
    abuse: 'spam melden, als spam melden, als spam markieren, als spam, missbrauch melden, missbrauch, spam meldung',
    point: `
      hier, *klick*, link, links, diesen link, dieser link, folgende*, button, bitte, seite, drucken, drucke, tippen, tippe, unten, folgen,
      gehen, besuchen, nutzen`,
    article: `
      wie, warum, wieso, weshalb, wer, so, tipps, ratgeber, schritte, schritten, grunde, erfahren, wissen, was, test, anleitung, klappt,
      geht's, mehr erfahren, mehr lesen, mehr sehen, verpass*`,
    filler: `
      der, die, das, den, dem, des, ein, eine, einen, einem, einer, dieser, diese, diesen, diesem, dieses, unser*, ihr, ihre, ihren, ihrem,
      ihrer, mein, meine, meinen, meinem, meiner, dein, deine, deinen, deinem, deiner, sich, mich, dich, uns, ich, sie, du, wir, von, vom,
      zum, zur, zu, fur, aus, auf, in, im, an, am, bei, beim, mit, uber, um, und, oder, wenn, falls, sollte, sollten, soll, mochten, mochte,
      mochtest, wollen, willst, will, wunsch*, konnen, kannst, kann, konnte, konnten, werden, wird, wurde, sind, ist, bin, haben, hat, habe,
      weil, da, dann, jederzeit, kunftig, zukunftig, zukunft, jetzt, gleich, nun, einfach, gerne, mehr, weiter*, alle, allen, aller, ganz,
      diesbezuglich, erhalten, email, per, als, es, noch, auch, dafur, hierfur, dazu, hiermit, interesse, adresse, person*, eigenen,
      versehentlich, irrtumlich, ohne, angemeldet, eingetragen, registriert, bilder, inhalte, inhalt, komplett, ausgabe, regelmassig,
      eintrag*, fur immer, sein, immer, endgultig, sofort, finden, findest, wieder, hallo, klicken`,
  },
  // French
  fr: {
    leave: '*desabonn*, ne plus recevoir, plus recevoir, retirer de la liste, retirez moi, retirer de notre liste, rayer de la liste',
    quit: '*desinscri*, desinscrire, desabo',
    end: 'annul*, resili*, arret*, supprim*, retir*, stop, stopper, quitter, enlev*, rayer, radi*, cesser, cessez, bloquer',
    no: `
      ne plus, ne souhait* plus, ne desir* plus, ne veux plus, ne voulez plus, ne souhaite pas, ne souhaitez pas, ne desirez pas,
      ne voulez pas, aucun, ne _ plus, n _ plus`,
    get: 'recevoir, recevez, recois, reception, etre contacte*, envoyer, envoi',
    letter: `
      lettre, lettres, message*, courriel*, liste, listes, abonnement*, inscription*, bulletin*, infolettre*, communication*, notification*,
      alerte*, mailing*, diffusion`,
    offer: 'actualite*, information*, info, infos, offre*, promotion*, publicite*, nouveautes',
    manage: `
      gerer, gerez, gestion, modifi*, changer, changez, mettre a jour, mettez a jour, mise a jour, actualis*, parametr*, choisi*,
      personnalis*, administr*, configur*, editer`,
    preference: 'preference*, centre de preferences, frequence',
    setting: 'parametre*, profil*, reglage*, coordonnees, donnees, compte, options',
    view: 'voir, voyez, lire, lisez, afficher, affiche, affichage, affichez, ouvrir, ouvrez, visualis*, consult*, regard*, visionn*',
    browser: 'navigateur*, en ligne, sur le web, sur internet, page web, sur le site',
    webpage: `
      version en ligne, version web, version navigateur, version internet, version html, copie web, lien miroir, page miroir, version mobile`,
    trouble: `
      ne s'affiche pas, s'affiche mal, probleme* d'affichage, probleme* de lecture, probleme* pour, difficulte*, n'arrivez pas,
      ne parvenez pas, ne pouvez pas, ne voyez pas, ne visualis*, mal affiche, illisible, pas correctement, n'apparai*, impossible de lire,
      du mal a, ne vois pas`,
    abuse: 'signaler comme, signaler un, signaler ce, signaler cet, signaler un abus, comme spam, indesirable*, abus, signaler',
    point: 'ici, cliqu*, clic, clics, lien, suivant, suivez, suivre, cette page, bouton, ci dessous, rendez vous, appuy*, page, merci de',
    article: `
      comment, pourquoi, qui, guide, conseils, astuces, etapes, raisons, decouvr*, enquete, quand, voici, lire la suite, en savoir plus,
      lire plus, manque*, manquer, rate*`,
    filler: `
      le, la, les, l, un, une, des, du, de, d, ce, cet, cette, ces, mon, ma, mes, notre, nos, votre, vos, ton, ta, tes, son, sa, se, s, me,
      m, te, t, moi, toi, je, j, vous, nous, il, n, ne, on, a, au, aux, en, dans, sur, par, pour, avec, sans, et, ou, si, que, qu, souhait*,
      desir*, veux, voulez, voudriez, vouloir, pouvez, peux, pouvoir, veuillez, merci, s'il, vous plait, est, etes, suis, etre, tout, tous,
      toute, toutes, moment, jamais, plus, futur*, prochain*, simple, simplement, automatiquement, recu, car, parce, etes inscrit, inscrit*,
      part, tard, adresse, bien, correctement, images, ainsi, autre*, cela, c, y, ai, avez, personnel*, instant, facilement, droit,
      electronique*, votre avis, ecran, pas`,
  },
  // Spanish
  es: {
    leave: `
      *desuscri*, *desuscrib*, desapunt*, darme de baja de, no recibir mas, dejar de recibir, no seguir recibiendo, borrar* de la lista,
      baja del boletin`,
    quit: `
      dar* de baja, date de baja, darme de baja, darte de baja, darse de baja, dese de baja, dar de baja, doy de baja, de baja, baja, bajas,
      *desinscri*`,
    end: 'cancel*, anul*, elimin*, borr*, quita*, deja*, suspend*, salir, abandon*, deten*, para de, remov*',
    no: `
      no quier*, no dese*, no seguir, ya no, no mas, no me interes*, no te interes*, no le interes*, no volver, nunca mas, ningun,
      no quieras, no quisiera, no recibir, prefier* no, preferir* no`,
    get: 'recib*, enviar*, envi*, contact*, llegu*, reciba',
    letter: `
      correo, correos, boletin*, mensaje*, lista, listas, suscripcion*, subscripcion*, comunicacion*, notificacion*, alerta*, circular*,
      electronico*, aviso*, envios`,
    offer: 'informacion*, novedades, publicidad, oferta*, promocion*',
    manage: 'gestion*, administr*, actualiz*, modific*, cambi*, edit*, configur*, elig*, elegi*, ajust*, personaliz*',
    preference: 'preferencia*, centro de preferencias, frecuencia',
    setting: 'ajuste*, configuracion, perfil, datos, opciones',
    view: 'ver, verlo, vea, ves, leer, lee, leerlo, lea, abrir, abre, abra, abrelo, visualiz*, mostrar, consult*, mira*',
    browser: 'navegador*, en linea, en la web, en internet, en la red, pagina web, explorador',
    webpage: 'version en linea, version online, version web, version navegador, version html, version movil',
    trouble: `
      no ves, no se ve, no puede* ver, no puedes ver, no puede* leer, no puedes leer, no visualiz*, no se visualiz*, no se muestra*, no ve,
      no carga*, problema* para, problema* al, problema* con, no logra*, no consigue*, dificultad*, no aparece*`,
    abuse: 'marcar como, denunciar, reportar, informar de spam, como spam, es spam, abuso, correo no deseado',
    point: `
      aqui, clic, click, haz clic, haga clic, haciendo clic, pulsa*, pulse, pulsando, pincha*, pinche, enlace*, siguiente, este link, boton,
      vinculo, abajo, acceda, sigue, siga, ve a, visita, pagina, presion*`,
    article: `
      como, por que, quien, guia, consejos, pasos, razones, formas, descubr*, cuando, todo lo que, trucos, leer mas, ver mas, saber mas,
      leer todo, te pierdas, se pierda, perder*`,
    filler: `
      el, la, los, las, lo, un, una, unos, de, del, a, al, en, con, para, por, que, y, e, o, u, si, se, me, te, le, nos, mi, mis, tu, tus,
      su, sus, nuestro*, nuestra*, vuestro*, este, esta, estos, estas, ese, esa, esto, usted, yo, quier*, dese*, dese, puede*, puedes,
      podra*, podes, favor, haz, haga, hacer, haciendo, mas, ya, todo*, toda*, cualquier, momento, futuro*, futura*, tipo, ser, es, son,
      has, ha, he, hemos, tambien, bien, correctamente, imagenes, imagen, proxim*, nunca, prefier*, prefer*, direccion, simplemente, desde,
      nuevo*, personal*, gracias, no, comercial*, suscrito*, porque, seguir, via, contenido`,
  },
  // Portuguese
  pt: {
    leave: `
      *descadastr*, *desinscre*, *dessubscre*, *desassin*, cancelar o recebimento, deixar de receber, parar de receber, sair da lista,
      sair desta lista, nao receber mais, remov* da lista, ser removido`,
    quit: 'dar baixa, descadastro',
    end: 'cancel*, anul*, remov*, elimin*, apag*, para*, deix*, sair, retir*, exclu*, interromp*',
    no: `
      nao quer*, nao dese*, nao pretend*, nao queres, nao mais, ja nao, nao, nunca mais, nao gostaria, sem interesse, nao quiser,
      nao quisermos, nao quiseres, nao deseje`,
    get: 'receb*, envi*, contact*, recepcao',
    letter: `
      correio*, mensage*, lista, listas, boletim, boletins, subscric*, inscric*, assinatura*, comunicac*, comunicado*, notificac*, alerta*,
      informativo*, correspondencia`,
    offer: 'informac*, novidades, publicidade, oferta*, promoc*',
    manage: 'ger*, gest*, gerenci*, atualiz*, modific*, alter*, edit*, administr*, configur*, mudar, escolh*, ajust*, personaliz*',
    preference: 'preferencia*, frequencia',
    setting: 'definic*, configurac*, perfil, dados, opcoes, ajustes',
    view: 'ver, vê-lo, veja, ler, leia, abrir, abra, visualiz*, consult*, mostrar, exibi*, aced*',
    browser: 'navegador*, em linha, na web, na internet, pagina web',
    webpage: 'versao online, versao web, versao em linha, versao no navegador, versao html, versao digital',
    trouble: `
      nao visualiz*, nao consegue*, nao consiga*, nao conseguir*, nao ve, nao esta a ver, nao esta vendo, nao aparece*, nao abre,
      problema* para, problema* em, problema* ao, problema* com, dificuldade*, nao pode ver, nao e exibid*`,
    abuse: 'marcar como, denunciar, reportar, como spam, abuso, lixo eletronico',
    point: `
      aqui, clique, clicar, clicando, carregue, prima, toque, link, ligacao, hiperligacao, neste, botao, abaixo, siga, acesse, aceda,
      pagina, pressione`,
    article: `
      como, por que, porque, quem, guia, dicas, passos, razoes, motivos, saiba, descubra, quando, ler mais, leia mais, ver mais, saiba mais,
      perca, perder`,
    filler: `
      o, a, os, as, um, uma, de, do, da, dos, das, em, no, na, nos, nas, ao, aos, com, para, por, pelo, pela, que, e, ou, se, me, te, lhe,
      meu, minha, meus, minhas, teu, tua, teus, tuas, seu, sua, seus, suas, nosso*, nossa*, este, esta, estes, estas, esse, essa, isto,
      deste, desta, destes, destas, nesta, eu, voce, voces, caso, quer*, dese*, pretend*, pode*, podera*, favor, faca, mais, ja, todo*,
      toda*, qualquer, momento, futuro*, futura*, tipo, ser, estao, foi, tambem, bem, corretamente, correctamente, imagens, imagem,
      seguinte, nunca, prefer*, gostaria, endereco, por favor, simplesmente, electronico*, eletronico*, nova*, novo*, comerciais, acima,
      conteudo`,
  },
  // Italian
  it: {
    leave: `
      *disiscri*, *disiscriv*, *disabbon*, non ricevere piu, smettere di ricevere, rimuov* dalla lista, cancell* dalla lista,
      cancell* dalla newsletter`,
    quit: 'cancellarti, cancellati, cancellarsi, cancellarmi, cancellazione, cancellami, annulla iscrizione, revoca*',
    end: 'cancell*, annull*, rimuov*, disdi*, disattiv*, elimin*, togli*, esci, interromp*, ferma*, termina*, recedi*, abbandona*, blocca',
    no: `
      non vuoi, non voglio, non desider*, non volete, non vogl*, non piu, non sei interessat*, non intend*, non, mai piu, nessun*, non _ piu`,
    get: 'ricev*, inviar*, contattat*, invio',
    letter: `
      messagg*, lista, liste, lettera, bollettin*, iscrizion*, abbonament*, comunicazion*, notific*, avvis*, aggiornament*, posta,
      elettronic*, sottoscrizion*, corrispondenza`,
    offer: 'informazion*, novita, offert*, promozion*',
    manage: 'gesti*, gestire, aggiorna*, modific*, cambi*, personalizz*, scegli*, imposta, configur*, varia*, amministr*',
    preference: 'preferenz*, frequenza',
    setting: 'impostazion*, profilo, dati, opzioni',
    view: 'visualizz*, vedi, vederl*, vedere, vede, leggi, leggere, leggil*, apri, aprire, aprila, guarda*, mostra*, consulta*',
    browser: 'nel web, sul web, in rete, su internet, navigatore, pagina web',
    webpage: 'versione online, versione web, versione browser, versione on line, versione html, copia web',
    trouble: `
      non visualizz*, non si vede*, non vedi, non vede, non riesc*, problem* di visualizz*, problem* a, problem* nella, problem* con,
      difficolta, non si visualizz*, non viene visualizz*, non viene mostrat*, non e visualizz*`,
    abuse: 'segnala come, segnala spam, come spam, segnala abuso, segnala un abuso, abuso, posta indesiderata',
    point: `
      qui, clic, clicc*, click, premi*, tocca, link, collegamento, seguente, questo link, questa pagina, pulsante, sotto, segui, vai, fai,
      fare, pagina, visita`,
    article: `
      come, perche, chi, guida, consigli, passi, motivi, modi, scopri*, quando, ecco, leggi di piu, scopri di piu, leggi tutto, perdere,
      perder*`,
    filler: `
      il, lo, la, i, gli, le, l, un, una, uno, di, del, della, dello, dei, delle, degli, dell, a, al, alla, allo, ai, alle, all, da, dal,
      dalla, dalle, dall, dai, in, nel, nella, nelle, nell, su, sul, sulla, sui, con, per, tra, che, e, ed, o, se, mi, ti, si, vi, ci, mio,
      mia, mie, miei, tuo, tua, tue, tuoi, suo, sua, sue, vostr*, nostr*, questo, questa, questi, queste, quest, io, tu, voi, noi, vuoi,
      voglio, volete, desider*, puoi, puo, potete, favore, piu, ogni, tutt*, qualsiasi, momento, futur*, altr*, essere, sei, hai, ha, ho,
      bene, correttamente, immagini, immagine, indirizzo, anche, invece, prefer*, semplicemente, personal*, iscritt*, tipo, commercial*,
      contenut*`,
  },
  // Dutch
  nl: {
    leave: 'nieuwsbrief opzeg*, uit de lijst, van de lijst, van deze lijst, van onze lijst',
    quit: `
      *uitschrij*, uit te schrijven, schrijf _ uit, *afmeld*, af te melden, meld _ af, meld je af, *uitgeschreven*, *deabonn*, *afbestel*`,
    end: 'opzegg*, zeg op, *stoppen*, stop, verwijder*, annuleer*, annuler*, beeindig*, wis, verlaat, verlaten',
    no: 'niet meer, niet langer, geen, geen verdere, nooit meer, niet, geen interesse',
    get: 'ontvang*, krijg*, gestuurd, stuur*, toegestuurd, verzend*',
    letter: `
      *nieuwsbrie*, *mail*, *lijst, *bericht*, abonnement*, inschrijving*, aanmelding*, notificatie*, melding*, *verzendlijst*, mailinglijst`,
    offer: 'nieuws, informatie, reclame, aanbieding*, updates',
    manage: 'beheer*, beheren, wijzig*, aanpass*, pas _ aan, bewerk*, bijwerk*, werk _ bij, verander*, update, kies, instellen',
    preference: '*voorkeur*, frequentie',
    setting: '*instelling*, *gegevens, profiel*, opties',
    view: 'bekijk*, bekijken, lees, lezen, open, openen, zien, zie, toon, tonen, weergeven, weergegeven, weergave, getoond',
    browser: 'op het web, op internet, webpagina, op de website',
    webpage: '*webversie*, *onlineversie*, online versie, web versie, browserversie, digitale versie',
    trouble: `
      niet goed, niet correct, niet juist, niet leesbaar, niet zien, niet lezen, problemen met, problemen bij, kunt _ niet lezen,
      kan _ niet lezen, niet zichtbaar, moeite met, kun _ niet lezen`,
    abuse: 'als spam, spam melden, misbruik melden, misbruik, ongewenst*',
    point: 'hier, klik*, klikken, deze link, link, volgende, knop, hieronder, tik, druk, pagina, ga naar, ga, volg, via',
    article: `
      hoe, waarom, wie, zo, gids, tips, stappen, redenen, manieren, ontdek, wanneer, regels, lees meer, meer lezen, lees verder, mis,
      missen, zo doe`,
    filler: `
      de, het, een, dit, deze, die, dat, onze, ons, je, jouw, jou, u, uw, mij, mijn, me, ik, jij, wij, we, van, voor, op, in, uit, aan, met,
      door, bij, om, te, naar, en, of, als, indien, wil, wilt, willen, wenst, kan, kun, kunt, kunnen, graag, dan, is, bent, ben, zijn, word,
      wordt, worden, heeft, hebt, heb, meer, alle, alles, ook, toekomst*, elk, elke, moment, ogenblik, altijd, nu, direct, eenvoudig,
      gewoon, verder*, zich, zelf, er, ontvangt, adres, afbeeldingen, goed, correct, volledig, eigen, persoonlijk*, daarvoor, liever,
      alsjeblieft, alstublieft, aub, op ieder, ieder, iedere, gewenst`,
  },
  // Swedish
  sv: {
    leave: '*avprenumerer*, avbestall nyhetsbrev*, ta bort mig fran listan',
    quit: '*avregistrer*, *avanmal*, *avsluta prenumeration*, sag upp prenumeration*, *avbestall*, *avabonner*, anmala avregistrering',
    end: 'avsluta*, avbryt*, sag upp, ta bort, radera, stoppa, sluta, lamna, stang av, slippa',
    no: 'inte langre, inte ha fler, inga fler, inga, inte, aldrig mer, inte mer, ej',
    get: 'fa, fa fler, ta emot, ha, motta*, far, erhall*, skicka*',
    letter: `
      *nyhetsbrev*, mejl*, epost*, *prenumeration*, utskick*, lista, listan, listor, *meddeland*, e-brev, *post, notis*, brev, maillista*,
      sandlista*, e-postlista*`,
    offer: 'erbjudanden, information, nyheter, reklam',
    manage: 'hantera*, andra, andrar, uppdatera*, redigera*, anpassa*, valj, justera*, byt',
    preference: '*preferens*, epostinstallning*',
    setting: '*installning*, *uppgifter, profil*',
    view: 'visa, visas, las, lasa, oppna, se, kolla, syns, titta',
    browser: '*webblasar*, pa webben, pa natet, websida, webbsida, pa webbsidan',
    webpage: '*webbversion*, *onlineversion*, nataversion, natversion',
    trouble: `
      visas inte, syns inte, inte visas, inte korrekt, inte ordentligt, kan du inte lasa, kan inte lasa, kan inte se, kan du inte se,
      problem med, problem att, svart att, ser inte`,
    abuse: 'rapportera, som skrappost, som spam, anmal som, missbruk',
    point: 'har, klicka*, lank, lanken, denna lank, foljande, knapp*, tryck, nedan, denna sida, via, ga till, ga, folj',
    article: 'hur, varfor, vem, sa, guide, tips, steg, skal, satt, nar, upptack, las mer, missa',
    filler: `
      det, den, detta, denna, dessa, de, en, ett, och, eller, om, du, dig, din, ditt, dina, jag, mig, min, mitt, mina, vi, oss, var, vart,
      vara, er, ert, era, fran, for, av, att, till, i, pa, med, hos, vill, onskar, kan, alla, allt, fler, mer, framtida, vanligen,
      vansligen, gor, nar som helst, helst, nu, enkelt, ar, som, langre, bara, istallet, darfor, bilder, bilderna, adress, sjalv, korrekt,
      vag, ta, personlig*, ratt`,
  },
  // Danish
  da: {
    leave: 'frameld nyhedsbrev*, slet mig fra, fjern mig fra',
    quit: '*afmeld*, *frameld*, meld _ fra, *afregistrer*, afbestil*, *afmelding*, opsig abonnement*',
    end: 'slet*, fjern*, stop*, opsig*, annuller*, ophor*, afslut*, forlad*, slut',
    no: 'ikke laengere, ikke langere, ikke flere, ikke mere, ingen, ikke, aldrig mere, ej',
    get: 'modtag*, fa, har',
    letter: '*nyhedsbrev*, *mail*, *liste, listen, abonnement*, *besked*, meddelelse*, maillist*, notifikation*, post, tilmelding*, brev',
    offer: 'information, nyheder, reklame*, tilbud',
    manage: 'administrer*, aendr*, andr*, opdater*, rediger*, ret, tilpas*, vaelg, styr',
    preference: '*praeferenc*, *preferenc*',
    setting: '*indstilling*, *oplysninger, profil*',
    view: 'vis, vises, se, laes, laese, abn, aben, abne, kig, ser',
    browser: 'pa nettet, pa web, hjemmeside',
    webpage: '*webversion*, *onlineversion*, online udgave, netudgave',
    trouble: `
      vises ikke, ikke vises, ikke korrekt, ikke ordentligt, kan ikke se, kan du ikke se, kan ikke laese, problemer med, problem med,
      ser du ikke, kan du ikke laese`,
    abuse: 'rapporter, som spam, anmeld, misbrug, uonsket',
    point: 'her, klik*, link, linket, dette link, folgende, knap*, tryk, nedenfor, denne side, ga til, folg, via',
    article: 'hvordan, hvorfor, hvem, sadan, guide, tips, trin, grunde, mader, hvornar, opdag, laes mere, ga glip',
    filler: `
      det, den, dette, denne, disse, de, en, et, og, eller, hvis, du, dig, din, dit, dine, jeg, mig, min, mit, mine, vi, os, vores, fra,
      for, af, at, til, i, pa, med, hos, vil, onsk*, onsker, kan, alle, alt, flere, mere, fremtidige, venligst, sa, nar som helst, enhver,
      tid, til enhver tid, nu, nemt, er, som, laengere, blot, bare, adresse, billeder, billederne, korrekt, selv, gerne, bedes, personlig*,
      ud`,
  },
  // Norwegian
  nb: {
    leave: '*avslutt abonnement*, stopp nyhetsbrev*, fjern meg fra, slett meg fra',
    quit: '*avmeld*, meld _ av, melde _ av, meld av, *avregistrer*, *avbestill*, meld fra, si opp abonnement*, *avslutte abonnement*',
    end: 'avslutt*, fjern*, slett*, stopp*, si opp, avbryt*, slutt*, kanseller*, forlat',
    no: 'ikke lenger, ikke flere, ikke mer, ingen, ikke, aldri mer',
    get: 'motta*, fa, far, ha',
    letter: `
      *nyhetsbrev*, epost*, *mail*, *liste, listen, listene, abonnement*, *melding*, utsending*, utsendels*, varsel*, varsler, post,
      pamelding*, brev`,
    offer: 'informasjon, nyheter, reklame, tilbud',
    manage: 'administrer*, endre*, oppdater*, rediger*, tilpass*, velg, styr, behandle',
    preference: '*preferans*',
    setting: '*innstilling*, *opplysninger, profil*',
    view: 'vis, vises, se, ser, les, lese, apne, apn, kikk',
    browser: '*nettleser*, pa nett, pa nettet, nettside',
    webpage: '*nettversjon*, *webversjon*, *nettutgave*, onlineversjon',
    trouble: `
      vises ikke, ikke vises, ikke riktig, ikke korrekt, kan ikke se, kan du ikke se, kan ikke lese, kan du ikke lese, problemer med,
      ser du ikke, far du ikke`,
    abuse: 'rapporter, som soppelpost, som spam, misbruk',
    point: 'her, klikk*, lenke, lenken, lenka, denne lenken, folgende, knapp*, trykk, nedenfor, denne siden, ga til, folg, via',
    article: 'hvordan, hvorfor, hvem, slik, guide, tips, steg, grunner, mater, nar, oppdag, les mer, ga glipp',
    filler: `
      det, den, dette, denne, disse, de, en, et, ei, og, eller, hvis, dersom, om, du, deg, din, ditt, dine, jeg, meg, min, mitt, mine, vi,
      oss, var, vart, vare, fra, for, av, a, at, til, i, pa, med, hos, vil, onsk*, onsker, kan, alle, alt, flere, mer, fremtidige,
      framtidige, vennligst, sa, nar som helst, na, enkelt, er, har, som, lenger, bare, adresse, bilder, bildene, riktig, selv, gjerne,
      personlig*, ut`,
  },
  // Icelandic
  is: {
    quit: '*afskra*, skra mig af, skra _ af, afskraning, hætta áskrift, segja upp askrift, haetta i askrift',
    end: 'haetta*, segja upp, taka _ af, fjarlaeg*, eyda, stodva*',
    no: 'ekki, ekki fleiri, ekki lengur, enga, engan, aldrei',
    get: 'fa, faerd, fengi*, mottaka, berast, senda',
    letter: `
      frettabref*, tolvupost*, postlist*, postur*, post, postinn, askrift*, skilabod*, tilkynning*, netpost*, lista, listanum, fjolpost*`,
    offer: 'tilbod*, upplysing*, fretta*',
    manage: 'breyta*, stjorna*, uppfaera*, stilla*, velja, hafa umsjon',
    preference: 'kjorstilling*',
    setting: 'stilling*, adgang*',
    view: 'skoda*, opna*, lesa*, sja, birta*, birtist, sjaist, sest',
    browser: 'vafra*, a netinu, a vefnum, vefsidu',
    webpage: 'vefutgaf*, netutgaf*',
    trouble: 'birtist ekki, sest ekki, ekki rett, vandamal*, getur ekki, erfitt',
    abuse: 'tilkynna, ruslpost*, misnotkun*',
    point: 'her, smell*, hlekk*, thennan, takka*, ytt*, hnapp*, fara, slod*',
    article: 'hvernig, hvers vegna, hver, af hverju, rad, leidbeiningar',
    filler: `
      ad, og, eda, ef, til, thess, a, i, af, ur, fra, vid, um, med, thu, thig, ther, thin*, eg, mig, mer, minn, min*, okkur, okkar, thess*,
      thetta, tha, vil*, viltu, getur, geta, ma, hvenaer, sem, er, hefur, fleiri, lengur, alla, ollum, oll, framtid*, vinsamlega*,
      vinsamlegast, rett, myndir, meira`,
  },
  // Finnish
  fi: {
    leave: `
      peru* uutiskirje*, peruuta uutiskirje*, poistu *listalta, poistu postituslistalta, poista minut, eroa *listalta, lopeta uutiskirje*,
      lopeta tilaus*`,
    quit: 'peru* _ tilau*, peruuta tila*, peru tila*, perua tila*, peruuttaa tila*, tilauksen peru*, *irtisano*, poistu',
    end: 'peru*, lopeta*, poista*, poistu*, keskeyta*, lakkaa*, eroa*, irrottaudu',
    no: 'et halua, en halua, et enaa, en enaa, enaa, enempaa, ei, etko, et, en, mikali et, alkaa, ala',
    get: 'vastaanot*, saada, saa, lahett*',
    letter: '*uutiskirje*, sahkopost*, *posti*, *viest*, *lista*, tilau*, *ilmoitu*, tiedott*, kirje*',
    offer: 'tarjou*, markkinoin*, mainos*',
    manage: 'muokkaa*, muuta, hallit*, hallinnoi*, paivit*, vaihda, muuttaa',
    preference: 'mieltymy*, viestiasetu*, sahkopostiasetu*, tilausasetu*, uutiskirjeasetu*',
    setting: '*asetu*, *tieto*, tiedot*, profiil*',
    view: 'nayta, naytta*, avaa*, katso*, katsel*, lue*, lukea, nay, naky*, avata',
    browser: '*selaime*, verkossa, netissa, verkkosivu*, internetissa',
    webpage: '*verkkoversio*, *nettiversio*, *webversio*, selainversio*',
    trouble: 'ei nay, ei naky*, eiko _ nay, nay oikein, nayta oikein, ongelmia, etko nae, et nae, ei aukea, vaikeuksia, lukeminen',
    abuse: 'ilmoita rosk*, rosk*, vaarinkayt*, roskaposti*, ilmoita spam*',
    point: `
      tasta, tassa, taalta, tanne, taman, tama, klik*, paina*, linkki*, linkin, linkista, nappi*, napsauta*, alla, seuraa*, sivu*, kautta,
      siirry`,
    article: 'miten, miksi, kuka, kuinka, opas, vinkit, vinkkia, vaihetta, syyta, tapaa, lue lisaa, nain',
    filler: `
      ja, tai, jos, mikali, haluat, haluaisit, haluan, voit, voi, ole, on, olet, se, sen, ne, niita, naita, nama, tata, sinun, sinut, minun,
      minut, minua, meidan, meilta, meille, kaikki*, kaikista, milloin, tahansa, koska, helposti, nyt, vain, hyva, oikein, kuvat, kuvia,
      itse*, jatkossa, tulevi*, jotka, joita, haluamasi, osoite*, yhdella, kaikkien, lisaa`,
  },
  // Estonian
  et: {
    quit: `
      loobu* uudiskirja*, loobu* _ uudiskirj*, uudiskirja* loobu*, uudiskirja* lahku*, tuhista* tellimus*, tellimuse tuhist*,
      lopeta* tellimus*, *loobumi*, *tellimusest loobu*`,
    end: 'loobu*, tuhista*, lopeta*, eemalda*, katkesta*, kustuta*, lahku*',
    no: 'ei soovi, ei taha, ei soovi enam, ei, enam, mitte, rohkem ei, pole huvi',
    get: 'saada, saama, saata, vastu votta, saaksid, saates',
    letter: `
      uudiskirj*, ekirj*, kiri, kirja*, kirju, kirjade, meilid, meile, meili*, epost*, list*, tellimus*, teavitus*, teade*, teateid,
      postitus*, infokirj*, meililist*`,
    offer: 'uudised, uudiseid, pakkumis*',
    manage: 'muuda*, halda*, uuenda*, seadista*, vali*, haldami*',
    preference: 'eelistus*',
    setting: 'seade*, seadi*, andme*, profiil*, satted, satteid, satet*',
    view: 'vaata*, ava*, loe*, naita*, kuva*, kuvata*, nae',
    browser: 'brauser*, veebi*, veebis, veebilehitseja*, internetis, internetist',
    webpage: 'veebiversioon*, veebiversiooni*',
    trouble: 'ei kuva*, ei nae, ei ole nahtav, ei avane, probleem*, ei naita, kuvata korrektselt',
    abuse: 'teata, rampspost*, kuritarvit*',
    point: 'siin, siia, siit, klops*, kliki*, klikk*, vajuta*, link*, lingil, linki, nupp*, jargi*, selle*, lehe*, sellel',
    article: 'kuidas, miks, kes, juhend, nouanded, nipid, sammu, pohjust',
    filler: `
      ja, voi, kui, et, sa, sina, te, teie, ma, mina, mind, minu, oma, meie, meilt, me, see, seda, selle, neid, need, nende, soovi*, soovid,
      soovite, tahad, tahate, void, voite, palun, rohkem, koik, koigist, igal, ajal, on, ole, oled, olete, korrektselt, oigesti, pildid,
      edaspidi, jaoks, lihtsalt, aadress*, seda kirja, millal, hiljem`,
  },
  // Latvian
  lv: {
    quit: `
      atrakst*, atteik* no jaunum*, atteik* no aboness*, atteik* no abone*, atteik* no _ sanem*, atteik* no e*, anulet abone*,
      atcelt abone*, partraukt abone*, *atabone*, izrakst*`,
    end: 'atteik*, atcel*, anule*, partrauk*, dzest*, iznemt*, nonemt*, apturet*, beigt*',
    no: 'vairs ne*, nevel*, vairs nevel*, nesanemt*, negrib*, ne, vairs, nav',
    get: 'sanem*, sanemsan*',
    letter: 'jaunum*, epast*, vestul*, vestule*, abone*, abonement*, zin*, pazinojum*, saraksta, sarakst*, biletens*, newsletter*, vestk*',
    offer: 'informacij*, piedavajum*, reklam*',
    manage: 'main*, parvald*, atjaun*, rediget*, izvel*, labot*, pielagot*',
    preference: 'preferenc*, izveles',
    setting: 'iestatijum*, profil*, datus, datu*',
    view: 'skat*, apskat*, atver*, las*, parad*, redz*, attelo*, attel*',
    browser: 'parluk*, parlukprogramm*, tiessaiste, tiesaiste, interneta, timekli*',
    webpage: 'timekla versij*, tiessaistes versij*, interneta versij*, web versij*',
    trouble: 'netiek attelo*, nerada*, nevar redz*, neredz*, netiek parad*, problem*, nepareizi, neattel*',
    abuse: 'zinot par, surogatpast*, mesteln*, launpratig*, ka spam',
    point: `
      seit, sur, te, klikskin*, noklikskin*, spied*, nospied*, saite, saites, saiti, saitei, pogas, sekojos*, sekoj*, so saiti, lapa, sis,
      sadu, zemak`,
    article: 'ka, kapec, kas, celvedis, padomi, soli, iemesli, veidi',
    filler: `
      un, vai, ja, lai, no, uz, ar, par, pie, mus*, mus, mums, jus*, jums, jusu, savu, savus, sava, es, man, mani, tu, tev, so, sos, sadus,
      sim, tas, to, turpmak*, vel*, varat, vari, var, ludzu, jebkura, laika, bridi, visiem, visu, visas, ir, esat, pareizi, atteli, citus,
      vairak, vienkarsi, adres*, musu, nakotne*`,
  },
  // Lithuanian
  lt: {
    quit: `
      atsisak* prenumerat*, prenumerat* _ atsisak*, atsisak* naujienlais*, naujienlais* atsisak*, atsisak* _ gav*, atsisak* nauj*,
      atsauk* prenumerat*, nutrauk* prenumerat*, nebeprenumer*, issiregistruo*, isregistruo*`,
    end: 'atsisak*, atsauk*, nutrauk*, pasalin*, istrin*, isbrauk*, sustabd*, nebe*, atsaukti',
    no: 'nebenor*, nenor*, nepageidauj*, nebegauti*, ne, daugiau ne*, nebepageidauj*',
    get: 'gauti*, gauna*, gavim*, siust*',
    letter: 'naujienlais*, lais*, prenumerat*, el pasto, el pasta*, epast*, pranesim*, naujien*, saras*, zinut*',
    offer: 'informacij*, pasiulym*, reklam*',
    manage: 'keis*, tvark*, valdy*, atnaujin*, redaguo*, pasirink*, nustaty*, pakeis*',
    preference: 'pasirinkim*, pirmenyb*, nuostat*, parinkt*',
    setting: 'nustatym*, duomen*, profil*',
    view: 'perziur*, ziur*, atidary*, atverti*, skaity*, rody*, matyti, matote, pamaty*',
    browser: 'narsykl*, internete, tinklalap*, svetaineje',
    webpage: 'interneto versij*, internetin* versij*, zinia* versij*, tinklo versij*',
    trouble: 'nerodo*, nematote, nematyti, nerodomas, neteisingai, problem*, nepavyksta, blogai',
    abuse: 'pranesti apie, slamst*, brukal*, piktnaudz*',
    point: 'cia, spausk*, paspausk*, spust*, spustel*, paspaud*, nuorod*, sia, si, sia nuoroda, mygtuk*, zemiau, sekite, sekanc*, puslap*',
    article: 'kaip, kodel, kas, patarimai, gidas, zingsniai, priezast*, budai',
    filler: `
      ir, ar, arba, jei, jeigu, kad, nuo, is, i, su, apie, del, per, musu, mus, jusu, jus, jums, mano, mane, man, as, savo, sis, sio, siu,
      sias, siuos, tokius, toki*, noredami, noriu, nore*, norite, galite, gali, prasom*, daugiau, visu, visus, visos, bet kada, bet, kuriuo,
      metu, kada, yra, esate, ateityje, tinkamai, teisingai, paveiksl*, adres*, tiesiog`,
  },
  // Polish
  pl: {
    leave: `
      *odsubskryb*, wypisz* z newslettera, wypisz* z listy, zrezygn* z newslettera, zrezygn* z subskrypcji, rezygn* z newslettera,
      rezygn* z subskrypcji, zrezygn* z otrzymywania, rezygn* z otrzymywania`,
    quit: `
      wypisz sie, wypisac sie, wypisuje sie, wypisz mnie, wypisanie sie, wypisac, wypisujac, wypisanie, wypisuje, *wyrejestr*,
      wyloguj z listy`,
    end: 'usun*, anuluj*, anulow*, zrezygn*, rezygn*, zakoncz*, zatrzyma*, przestan*, wykresl*, odwola*, wycofa*, wypisz*, usuniec*',
    no: 'nie chce*, nie chcesz, nie zycz*, nie chce juz, nie chcialb*, nie otrzymywa*, nie, juz nie, brak zgody, wiecej nie',
    get: 'otrzym*, dostawa*, odbiera*, przesyla*, otrzymywac, wysyla*, kontakt*',
    letter: `
      newsletter*, wiadomosc*, mail*, emaili, subskrypc*, list*, listy, biuletyn*, powiadom*, prenumerat*, korespondenc*, wysyl*, zapis*,
      komunikat*, mailingow*`,
    offer: 'informac*, ofert*, promocj*, reklam*',
    manage: 'zarzadz*, zmien*, zmian*, edytuj*, edycj*, aktualizuj*, zaktualizuj*, modyfik*, wybierz*, dostosuj*, ustaw',
    preference: 'preferenc*',
    setting: 'ustawien*, profil*, dane, danych, opcje',
    view: 'zobacz*, wyswietl*, otworz*, czytaj*, przeczyt*, pokaz*, podglad*, widzisz, obejrz*, widac',
    browser: 'przegladar*, w internecie, w sieci, na stronie, strone internetow*',
    webpage: 'wersj* online, wersj* internetow*, wersj* webow*, wersj* www, wersj* przegladark*, wersj* html, wersj* w przegladarce',
    trouble: `
      nie widzisz, nie widz*, nie wyswietla*, nieprawidlowo, niepoprawnie, problem* z, problem*, klopot*, nie moze*, nieczyteln*,
      zle wyswietl*, nie laduj*`,
    abuse: 'zglos*, jako spam, naduzyc*, niechcian*',
    point: `
      tutaj, tu, klik*, kliknij, klikaj*, klikniec*, link*, ten link, odnosnik*, nacisnij*, ponizej, ponizsz*, przycisk*, przejdz*, strone,
      nastepuj*, sprawdz`,
    article: `
      jak, dlaczego, kto, poradnik, porady, krokow, kroki, powody, sposoby, kiedy, oto, czytaj wiecej, zobacz wiecej, dowiedz, przegap*`,
    filler: `
      z, ze, od, do, na, w, we, po, za, o, dla, przez, i, lub, albo, oraz, jesli, jezeli, gdy, aby, zeby, by, sie, mnie, moj*, moja, moje,
      swoj*, swoje, swoimi, twoj*, twoje, nasz*, wasz*, ten, ta, to, te, tej, tych, tego, tym, taki*, pan, pani, panstw*, chcesz, chce,
      chcial*, mozesz, mozna, moge, prosze, prosimy, juz, wiecej, dalsz*, kolejn*, przyszl*, wszystk*, kazdej, chwili, dowolnym, momencie,
      w kazdej, zawsze, teraz, tylko, jest, sa, jestes, ktore, poprawnie, prawidlowo, obraz*, adres*, osobow*, dalej, moze, ci, nim,
      elektron*, handlow*, marketing*`,
  },
  // Czech
  cs: {
    leave: 'odhlas* z odberu, odhlas* odber*, zrus* odber*, odhlas* z newsletter*, zrus* zasilani novin*',
    quit: '*odhlas*, zrus* odebir*, vypis* se, odebrat ze seznamu, odregistr*',
    end: 'zrus*, ukonc*, odstran*, odebrat, vymaz*, prestat*, smaz*, zastav*, vyradit*, odmit*, vypov*, opustit',
    no: 'nechci, nechcete, neprej*, uz ne*, jiz ne*, nepreju si, nechce*, nemam zajem, nemate zajem, nezasil*, zadne, ne',
    get: 'dostav*, prijim*, odebir*, zasil*, posil*, obdrz*, zasla*',
    letter: `
      newsletter*, *maily, *mailu, *mail, zprav*, odber*, seznam*, novin*, predplatn*, zpravodaj*, oznamen*, upozornen*, sdelen*, postovn*,
      rozesil*, zasilani, obchodn*`,
    offer: 'informac*, nabid*, akce, reklam*',
    manage: 'sprav*, zmen*, uprav*, aktualiz*, vybrat, vyberte, nastavit, menit',
    preference: 'preferenc*, predvol*',
    setting: 'nastaven*, profil*, udaj*',
    view: 'zobraz*, otevr*, prohled*, precist*, prectete, cist, podiv*, videt, vidite, shledn*, nahled*',
    browser: 'prohlizec*, na webu, na internetu, webov* strank*, webov* prohlizec*, webovem prohlizeci',
    webpage: 'webov* verz*, online verz*, internetov* verz*, verz* na webu, html verz*',
    trouble: 'nezobraz*, nevidi*, nevidite, nejde _ zobraz*, problem*, spatne zobraz*, necitel*, nelze zobraz*',
    abuse: 'nahlas*, jako spam, zneuzit*, nevyzadan*',
    point: 'zde, tady, sem, klikn*, klik*, odkaz*, tento odkaz, tlacitk*, nasleduj*, nize, stisk*, prejdete, tuto stranku, stranku',
    article: 'jak, proc, kdo, navod, tipy, kroku, kroky, duvody, zpusoby, kdy, takto, vice, cist dal, zmeskej*, nenechte',
    filler: `
      z, ze, od, do, na, v, ve, po, za, o, pro, u, k, ke, s, se, si, a, nebo, ci, pokud, jestli, jestlize, aby, abyste, me, mne, muj, moj*,
      ma, svuj, svoje, sve, vas, vase, vasi, vam, nas, nase, nasich, nasim, nam, tento, tato, toto, tyto, techto, ten, ta, to, te, takov*,
      chci, chcete, prejete, preji, muzete, muzes, lze, prosim, prosime, jiz, uz, dalsi*, vsech*, vsechny, kdykoliv, kdykoli, budouc*,
      nadale, jen, jste, je, jsou, jsem, byt, spravne, obrazk*, adres*, osobn*, pouze, jednodus*, jednim, zajem, elektron*, ktere`,
  },
  // Slovak
  sk: {
    leave: 'odhlas* z odber*, odhlas* odber*, zrus* odber*, odhlas* z newsletter*, zrus* zasielanie novin*',
    quit: '*odhlas*, zrus* odober*, odregistr*',
    end: 'zrus*, ukonc*, odstran*, odobrat, vymaz*, prestat*, zastav*, vyradit*, odmiet*, opustit',
    no: 'nechc*, nezel*, uz ne*, neprajet*, nemam zaujem, nemate zaujem, ziadne, nie',
    get: 'dostav*, prijim*, odober*, zasiel*, posiel*, zasielat',
    letter: `
      newsletter*, *maily, *mailov, *mail, sprav*, odber*, zoznam*, novin*, predplatn*, spravodaj*, oznamen*, upozornen*, zasielani*,
      obchodn*`,
    offer: 'informac*, ponuk*, akcie, reklam*',
    manage: 'zmen*, uprav*, aktualiz*, vybrat, vyberte, nastavit',
    preference: 'preferenc*, predvol*',
    setting: 'nastaven*, profil*, udaj*',
    view: 'zobraz*, otvor*, precit*, citat, pozriet, vidiet, vidite, nahlad*',
    browser: 'prehliadac*, na webe, na internete, webov* strank*, webov* prehliadac*, webovom prehliadaci',
    webpage: 'webov* verz*, online verz*, internetov* verz*, verz* na webe',
    trouble: 'nezobraz*, nevid*, problem*, necitat*, nedari',
    abuse: 'nahlas*, ako spam, zneuzit*, nevyziadan*',
    point: 'tu, tuto, sem, klikn*, klik*, odkaz*, tento odkaz, tlacidl*, nasleduj*, nizsie, stlac*, prejdite, stranku',
    article: 'ako, preco, kto, navod, tipy, krokov, kroky, dovody, sposoby, kedy, takto',
    filler: `
      z, zo, od, do, na, v, vo, po, za, o, pre, u, k, ku, s, so, sa, si, a, alebo, ci, ak, aby, ma, mna, moj*, svoj*, svoje, vas, vase,
      vasi, vam, nas, nase, nasich, nam, tento, tato, toto, tieto, tychto, ten, ta, to, tie, takych*, chcem, chcete, zelate, prajete,
      mozete, mozno, prosim, prosime, uz, dalsi*, vsetk*, kedykolvek, buduc*, nadalej, len, ste, je, su, som, spravne, obrazk*, adres*,
      osobn*, iba, jednoduch*, jednym, zaujem, elektron*, ktore`,
  },
  // Slovenian
  sl: {
    quit: '*odjav*, prekin* narocnin*, preklic* narocnin*, preklic* prejeman*, odpove* narocnin*, prekinitev naroc*',
    end: 'odstran*, prekin*, preklic*, odpove*, ustav*, izbris*, zapust*, prenehaj*',
    no: 'ne zel*, ne zelite vec, nocem*, ne, nic vec, vec ne, nimate vec',
    get: 'prejem*, dobiv*, prejet*, posil*',
    letter: `
      enovic*, novic*, novick*, newsletter*, sporocil*, eposta*, eposte*, eposto, epost*, posto, poste, seznam*, narocnin*, obvestil*,
      prejeman*, glasil*, okroznic*`,
    offer: 'ponudb*, informacij*, reklam*',
    manage: 'uredi*, spremen*, upravlj*, posodob*, izber*, nastavi*, prilagod*, urejanje',
    preference: 'preferenc*, zelje, prednost*',
    setting: 'nastavit*, podatk*, profil*',
    view: 'ogled*, poglej*, prikaz*, odpri*, odprit*, preberi*, vidite, vidi',
    browser: 'brskalnik*, na spletu, spletn* strani, na internetu',
    webpage: 'spletn* razlicic*, spletna razlicica, razlicica na spletu',
    trouble: 'ne prikaz*, ne vidite, tezav*, ni prikaz*, nepravilno, ne prikazuje pravilno',
    abuse: 'prijavi*, kot nezelen*, nezelen*, zlorab*',
    point: 'tukaj, tu, sem, klik*, klikni*, povezav*, to povezavo, gumb*, naslednj*, spodaj, pritisn*, obiscite, stran',
    article: 'kako, zakaj, kdo, vodnik, nasvet*, korak*, razlog*, nacin*, kdaj',
    filler: `
      z, s, od, do, na, v, po, za, o, pri, k, in, ali, ce, da, se, si, mi, me, moj*, svoj*, vas, vasa, vase, vam, nas, nasa, nase, nasih,
      nasega, nam, ta, to, te, teh, tega, takih, zelite, zelim, zelis, lahko, prosimo, vec, vse, vseh, kadarkoli, kadar, koli, prihodnj*,
      samo, je, ste, so, pravilno, slik*, naslov*, osebn*, preprosto, enim, zanima`,
  },
  // Croatian
  hr: {
    quit: '*odjav*, otkaz* pretplat*, otkazivanje pretplat*, *ispis* s list*, odjaviti',
    end: 'otkaz*, ukloni*, prekin*, izbris*, obris*, zaustav*, napust*, prestan*, maknit*, opoziv*',
    no: 'ne zel*, vise ne*, ne zelite vise, ne zelim vise, necu, ne, nikad vise, nemoj*, nije zainteres*',
    get: 'prim*, dobiv*, dobij*, slati, saljite, zaprimat*',
    letter: 'newsletter*, poruk*, eposta*, eposte, epost*, pretplat*, list*, obavijest*, bilten*, novost*, mail*, glasnik*, prijav*',
    offer: 'informacij*, ponud*, reklam*',
    manage: 'uredi*, promij*, promijen*, upravlj*, azurir*, odaber*, postavi, prilagod*, izmijen*',
    preference: 'preferenc*',
    setting: 'postavk*, podatk*, profil*, podesavanj*',
    view: 'pogled*, prikaz*, otvor*, procitaj*, citaj*, vid*, pregledaj*',
    browser: 'preglednik*, pretrazivac*, na webu, na internetu, web stranic*',
    webpage: 'web verzij*, online verzij*, internetsk* verzij*, mrezn* verzij*',
    trouble: 'ne prikaz*, ne vidite, ne vidi, problem*, nepravilno, poteskoc*, ne mozete _ vidjet*',
    abuse: 'prijavi*, kao spam, nezeljen*, zloupor*',
    point: 'ovdje, klik*, klikni*, poveznic*, ovu poveznicu, link*, sljede*, gumb*, ispod, pritisn*, posjet*, stranic*, tu',
    article: 'kako, zasto, tko, vodic, savjet*, korak*, razlo*, nacin*, kada',
    filler: `
      s, sa, od, do, na, u, po, za, o, kod, k, i, ili, ako, da, se, si, mi, me, moj*, svoj*, vas, vasa, vase, vasu, vam, nas, nasa, nase,
      nasu, naseg, nasih, nam, ova, ovaj, ovo, ove, ovu, ovog, ovih, takve, zelite, zelim, zelis, mozete, moze, mozes, molimo, vise, sve,
      svih, bilo, kadgod, bilo kada, buduc*, samo, je, ste, su, sam, ispravno, pravilno, slik*, adres*, osobn*, jednostavno, jednim,
      daljnj*, ukoliko, biste`,
  },
  // Hungarian
  hu: {
    leave: '*leiratkoz*, le szeretne iratkozni, le iratkoz*, iratkoz* le, lehet leiratkozni',
    quit: '*lemondas* hirlevel*, hirlevel lemond*, *lejelentkez*, feliratkozas torles*, feliratkozas lemond*, torles a listarol',
    end: 'lemond*, torol*, torles*, leallit*, megszuntet*, eltavolit*, kilep*, leiratk*',
    no: 'nem szeretn*, nem ker*, nem kivan*, nem akar*, tobbet nem, nem, tobbe, ne',
    get: 'kapni, kap, fogad*, erkezz*, kuld*, megkap*',
    letter: `
      hirlevel*, level*, email*, uzenet*, list*, feliratkozas*, ertesites*, levelezolist*, tajekoztato*, elofizetes*, maileket, mailt`,
    offer: 'hirek*, ajanlat*, tajekoztat*, reklam*',
    manage: 'modosit*, kezel*, megvaltoztat*, valtoztat*, frissit*, szerkeszt*, valasz*, beallit, allit*',
    preference: 'preferenci*, hirlevelbeallit*',
    setting: 'beallitas*, adat*, adatok*, profil*',
    view: 'megtekint*, megnyit*, nez*, nezze, olvas*, megjelen*, lat*, nyis*',
    browser: 'bongesz*, interneten, weben, weboldalon, neten',
    webpage: 'webes valtozat*, webes verzio*, online valtozat*, online verzio*, internetes valtozat*, webvaltozat*',
    trouble: 'nem jelenik meg, nem lat*, nem jol, hibasan, problem*, nem megfeleloen, nem olvashato, nem tudja',
    abuse: 'jelentes*, spamkent, kereltlen, visszael*, jelentem',
    point: 'ide, itt, erre, kattint*, klikk*, link*, linkre, gomb*, alabbi, hivatkozas*, kovet*, oldal*, katt*',
    article: 'hogyan, miert, ki, utmutato, tippek, lepes*, ok, modszer*, mikor, igy, hogy',
    filler: `
      a, az, es, vagy, ha, amennyiben, egy, ez, ezt, ezek, ezeket, ilyen*, erről, arrol, rol, tolunk, minket, minden*, osszes*, tobb*,
      tovabb*, szeretne, szeretnek, kivan*, lehet, lehetseges, kerjuk, kerem, kerek, kerjen, on, onnek, ont, ti, te, en, engem, nekem, meg,
      le, fel, mar, barmikor, jovo*, csak, most, kerul*, megfeleloen, jol, helyesen, kepek*, cim*, szemelyes, egyszeru*, innen`,
  },
  // Romanian
  ro: {
    leave: '*dezabon*, nu mai primi*',
    quit: 'anul* abon*, renunt* la abon*, *dezinscri*, dezabonare, renunt* la newsletter*',
    end: 'anul*, renunt*, elimin*, sterg*, opri*, incet*, scoate*, parasi*, retrag*',
    no: 'nu mai, nu mai dor*, nu mai vreau, nu dor*, nu vreau, nu, niciodata',
    get: 'prim*, primi, primesc, trimite*, primesti',
    letter: 'newsletter*, email*, emailul*, mesaj*, list*, abonament*, abonar*, buletin*, notific*, comunic*, corespondent*',
    offer: 'informa*, noutat*, stiri, ofert*, promot*, reclam*',
    manage: 'gestion*, modific*, schimb*, actualiz*, edit*, administr*, alege*, configur*, ajust*',
    preference: 'preferint*',
    setting: 'setar*, profil*, date, datele, optiuni*',
    view: 'vezi, vede*, vizualiz*, deschid*, citi*, citeste*, afis*, arata*',
    browser: 'navigator*, pe web, pe internet, pagina web, online',
    webpage: 'versiune* online, versiune* web, versiunea din browser',
    trouble: 'nu vezi, nu vede*, nu se afis*, nu se vede*, nu puteti, nu poti, problem*, nu este afis*, nu vizualiz*, nu apare*',
    abuse: 'raport*, ca spam, nedorit*, abuz*',
    point: 'aici, click*, clic, apas*, link*, acest link, urmator*, buton*, mai jos, da, dati, faceti, fa, acces*, pagina, urma*',
    article: 'cum, de ce, cine, ghid, sfaturi, pasi, motive, moduri, cand, afla*, descop*, iata',
    filler: `
      de, la, din, pe, in, cu, pentru, a, al, ai, ale, si, sau, daca, sa, se, te, va, ma, mi, ti, iti, imi, vi, eu, tu, voi, noi, nostru,
      noastr*, nostri, dvs, dumneavoastra, tau, ta, mele, mea, meu, tale, vostr*, acest*, aceast*, acestea, aceste, doriti, doresti, doresc,
      vreau, vrei, vreti, puteti, poti, rog, mai, toate, tuturor, orice, oricand, moment, viitor*, este, esti, sunt, am, ati, corect,
      imagin*, imaginile, adres*, personal*, simplu, alte, ori, un, o, multe`,
  },
  // Bulgarian
  bg: {
    leave: 'отпиш*, отписван*, отписа*, да се отпиш*, отпиши',
    quit: 'отказ от абонамент*, отказ от бюлетин*, прекрат* абонамент*, откаж* абонамент*, отменете абонамент*',
    end: 'отказ*, откаж*, прекрат*, премахн*, изтри*, отмен*, спр*, махн*, напусн*',
    no: 'не желая, не жела*, не иск*, вече не, повече не, не, никога',
    get: 'получава*, получат, получа*, изпраща*',
    letter: 'бюлетин*, имейл*, писм*, съобщени*, списък*, абонамент*, рассилк*, разсилк*, известия*, известит*, поща, пощенск*, емейл*',
    offer: 'новини, информаци*, оферт*, промоции, реклам*',
    manage: 'промен*, управл*, актуализ*, редакт*, избер*, настро*, обнов*',
    preference: 'предпочит*, предпочитани*',
    setting: 'настроик*, данни*, профил*',
    view: 'преглед*, виж*, отвор*, прочет*, чет*, покаж*, вижд*, показва*, гледа*',
    browser: 'браузър*, браузер*, онлаин, в интернет, уебсайт*, в мрежата',
    webpage: 'уеб версия*, онлайн версия*, уеб вариант*',
    trouble: 'не виждате, не вижд*, не се показва*, не се виж*, проблем*, неправилно, не може*',
    abuse: 'докладва*, като спам, нежелан*, злоупотреб*, спам',
    point: 'тук, кликн*, натисн*, щракн*, връзк*, линк*, тази, следн*, следващ*, бутон*, по-долу, тази връзка, отидете, страниц*, посет*',
    article: 'как, защо, кои, ръководство, съвети, стъпки, причини, начини, кога, вижте как',
    filler: `
      от, на, в, във, с, със, за, до, по, при, и, или, ако, да, се, ме, ми, ви, вас, вашите, вашия, вашият, ваш*, наш*, нашите, нашия, нас,
      ние, аз, вие, ти, мен, този, това, тези, такива, желаете, желая, искате, искам, искаш, можете, може, моля, вече, повече, всички,
      всяко, време, по всяко време, бъдещ*, само, е, са, сте, съм, правилно, коректно, снимк*, изображени*, адрес*, лични*, просто, нея,
      него, този имейл, електронн*, ще`,
  },
  // Greek
  el: {
    leave: `
      απεγγραφ*, καταργη* της εγγραφης, καταργη* εγγραφης, καταργη* συνδρομης, καταργησ* την εγγραφη*, διαγραφη απο το newsletter,
      διαγραφη απο τη λιστα, διαγραφη απο λιστα`,
    quit: `
      διαγραφη, διαγραφειτε, διαγραφω, διαγραφης, ακυρωση εγγραφης, ακυρωση συνδρομης, ακυρωσ* συνδρομ*, ακυρωσ* _ εγγραφ*,
      διακοπη συνδρομης, καταργησ* εγγραφ*`,
    end: 'διαγραφ*, ακυρω*, διακο*, καταργ*, αφαιρε*, σταματ*, αποχωρ*, παυσ*',
    no: 'δεν θελ*, δεν επιθυμ*, δε θελ*, δεν, δε, μην, πλεον, οχι πια, να μη, να μην',
    get: 'λαμβαν*, λαβ*, λαμβανω, αποστολ*, στελν*, ληψη*',
    letter: `
      ενημερωτικ*, δελτι*, μηνυμα*, μηνυματ*, λιστ*, συνδρομ*, εγγραφ*, ειδοποι*, ενημερωσ*, ηλεκτρονικ*, ταχυδρομει*, αλληλογραφια*,
      επικοινωνι*`,
    offer: 'νεα, προσφορ*, πληροφορι*, διαφημι*',
    manage: 'διαχειρ*, αλλα*, αλλαγη, επεξεργ*, τροποπο*, επιλεξ*, προσαρμο*, ρυθμισ*',
    preference: 'προτιμησ*',
    setting: 'στοιχει*, προφιλ, δεδομεν*, λογαριασμ*',
    view: 'προβολ*, δειτε, δες, ανοιξ*, ανοιγμα, διαβασ*, εμφαν*, βλεπ*, προβαλ*',
    browser: 'περιηγητ*, προγραμμα περιηγησης, φυλλομετρητ*, στο διαδικτυο, στο ιντερνετ, ιστοσελιδα',
    webpage: 'διαδικτυακη εκδοση, online εκδοση, web εκδοση, ηλεκτρονικη εκδοση, εκδοση web',
    trouble: 'δεν εμφανιζ*, δεν βλεπ*, δε βλεπ*, δεν μπορειτε, προβλημα*, δεν προβαλ*, δυσκολ*, δεν φαινεται',
    abuse: 'αναφορ*, ως spam, ανεπιθυμητ*, καταχρησ*',
    point: `
      εδω, κλικ, κανετε, κανε, πατησ*, πατα, συνδεσμ*, σελιδα, τον παρακατω, παρακατω, ακολουθ*, κουμπι, επομεν*, link, καντε, κανοντας,
      πατηστε, πατωντας`,
    article: 'πως, γιατι, ποιος, οδηγος, συμβουλες, βηματα, λογοι, τροποι, ποτε, μαθετε, τι',
    filler: `
      το, τα, τη, την, της, τις, του, τους, των, τον, ο, η, οι, στο, στη, στην, στον, στις, στα, απο, για, με, σε, και, αν, εαν, αλλ*, αλλα,
      αλλο, μου, σου, μας, σας, αυτο, αυτα, αυτη, αυτην, αυτες, αυτου, εμας, εσεις, εγω, θελετε, θελω, επιθυμειτε, επιθυμω, μπορειτε,
      μπορεις, παρακαλω, παρακαλουμε, πια, ολα, ολες, ολων, οποιαδηποτε, στιγμη, ανα, πασα, μελλοντικ*, να, θα, ειναι, ειστε, εχετε, σωστα,
      εικονες, διευθυνση, προσωπικ*, απλα, απλως, που, τετοια, λιστα, προς, οποτε`,
  },
  // Irish
  ga: {
    leave: 'diliostail*, dhiliostail*, diosiscri*, scoir den liosta, bain* den liosta',
    end: 'scoir*, stop*, cuir deireadh, bain*, cealaigh*, stad*',
    no: 'mura mian, mura, ni mian, ni, nach, gan, nior mhaith',
    get: 'fhail, faigh*, fail',
    letter: 'nuachtlitir*, nuachtlitre*, riomhphoist, riomhphost*, liosta*, litir*, teachtaireacht*, fograi*, sintius, suibscri*, foirgni*',
    manage: 'bainistigh*, athraigh*, nuashonraigh*, cuir in eagar, roghnaigh*',
    preference: 'sainrogha*, shainrogha*, do roghanna, roghanna riomhphoist, roghanna nuachtlitreach',
    setting: 'socruithe*, shocruithe*, roghanna*, sonrai*, phroifil*',
    view: 'feach*, oscail*, leigh*, amharc*, feiceail*',
    browser: 'bhrabhsala*, brabhsala*, ar line',
    webpage: 'leagan greasain, leagan ar line',
    trouble: 'fadhb*, nil _ le feiceail, ni fheiceann, deacrach*, i gceart',
    abuse: 'tuairiscigh*, turscar*, mi usaid',
    point: 'anseo, cliceail*, cliceáil, bruigh*, nasc*, an nasc, cnaipe, leathanach, lean, ar an nasc seo',
    article: 'conas, cen fath, ce, treoir, leideanna',
    filler: `
      an, na, ar, as, o, on, le, leat, leis, do, dar, de, den, i, sa, san, ag, chun, a, is, agus, no, ma, mas, go, me, mo, tu, ta, uainn,
      linn, seo, sin, gach, aon, am, ansin, tuilleadh, nios, anois, thoil, led, tabhair, cuairt, mian, maith, chuig, eile, feidir,
      feidir leat, uait, amach, fud`,
  },
  // Maltese
  mt: {
    quit: `
      nehhi l-abbonament, hassar l-abbonament, tnehhi l-abbonament, thassar l-abbonament, ikkancella l-abbonament, nehhini mil lista,
      tnehhi ismek, *zabbona*`,
    end: 'nehhi*, hassar*, thassar*, tnehhi*, ikkancella*, waqqaf*, twaqqaf*, itlaq, ihrog',
    no: 'ma tridx, ma tixtieqx, ma, aktar, ma rridx, ma nixtieqx',
    get: 'tircievi*, nircievi*, tibqa*, tibaghtul*',
    letter: 'abbonament*, email*, emails, lista*, ittra*, newsletter*, messagg*, posta, bullettin*, notifik*, avvizi',
    manage: 'immanigga*, immaniggja*, ibdel*, biddel*, aggorna*, editja*, aghzel*',
    preference: 'preferenz*',
    setting: 'settings, issettjar*, konfigurazz*, profil*, dettalji*',
    view: 'ara, iftah*, aqra, uri, tara*',
    browser: 'fil browser, browser*, fuq l internet',
    webpage: 'verzjoni online, verzjoni web',
    trouble: 'ma tarax, ma tistax, problem*, ma jidhirx*',
    abuse: 'irrapporta*, bhala spam',
    point: 'hawn, ikklikkja*, klikk*, aghfas*, link, ohla, din, il-link, buttuna, segwi, pagna',
    article: 'kif, ghaliex, min, gwida, x',
    filler: `
      il, l, mil, mill, mal, fil, fi, tal, ta, tas, tan, u, jew, jekk, biex, minn, ghal, ghall, lil, tieghek, tieghi, taghna, ismek, ismi,
      inti, jien, dan, dawn, kollha, iktar, qed, kull, hin, jekk joghgbok, joghgbok, tista, tixtieq, trid, nixtieq, issa, indirizz`,
  },
  // Catalan
  ca: {
    leave: '*desubscri*, no rebre mes, deixar de rebre',
    quit: `
      *desinscri*, dona't de baixa, donar-te de baixa, donar-se de baixa, donar-me de baixa, donar de baixa, donat de baixa,
      doneu-vos de baixa, vull donar-me de baixa, de baixa, baixa, baixes, *desapunt*`,
    end: `
      cancel la*, cancel lar, cancel lacio*, cancella*, anul la*, anul lar, anulla*, elimina*, esborra*, surt*, sortir, atura*, deixa*,
      suprimi*, treu*`,
    no: 'no vull, no vols, no voleu, no desitg*, ja no, mai mes, no t interessa',
    get: 'rebr*, reb*, rebre, envi*',
    letter: 'correu*, correus, butlleti*, missatg*, llist*, subscripci*, comunicaci*, notificaci*, alert*, electronic*',
    offer: 'informaci*, novetats, noticies, ofert*, publicitat',
    manage: 'gestion*, administr*, actualitz*, modific*, canvi*, edit*, configur*, tria*, ajust*',
    preference: 'preferenci*',
    setting: 'configuracio, perfil, dades, opcions, parametres',
    view: 'veure, veur*, mostr*, llegi*, obr*, visualitz*, consult*, mir*, veus',
    browser: 'navegador*, en linia, al web, a internet, pagina web',
    webpage: 'versio en linia, versio web, versio online, versio al navegador',
    trouble: 'no veus, no veieu, no es veu*, no pots veure, no podeu veure, no es mostr*, no visualitz*, problem*, dificult*',
    abuse: 'marca com, denuncia*, com a correu brossa, correu brossa, abus, com a spam',
    point: `
      aqui, clic, clica*, fes clic, feu clic, fent clic, prem*, premeu, enllac*, aquest enllac, boto, seguent, a sota, segueix, pagina,
      visita`,
    article: 'com, per que, qui, guia, consells, passos, raons, maneres, descobreix, quan',
    filler: `
      el, la, els, les, l, un, una, uns, de, del, dels, d, a, al, als, en, amb, per, que, i, o, si, se, s, et, t, em, m, ens, us, vos, hi,
      ho, ne, mes, mi, meu, meva, meves, meus, teu, teva, teves, teus, seu, seva, nostr*, vostr*, aquest, aquesta, aquests, aquestes, vull,
      vols, voleu, desitg*, pots, podeu, pot, favor, si us plau, ja, tot, tots, tota, totes, qualsevol, moment, futur*, tipus, es, esta,
      son, has, be, correctament, imatges, adreca, simplement, mai, no, fer, fes, feu, nou, personal*`,
  },
  // Galician
  gl: {
    leave: 'desubscri*, deixar de recibir, non recibir mais',
    quit: `
      dar* de baixa, darse de baixa, darme de baixa, darte de baixa, date de baixa, dese de baixa, de baixa, baixa, cancelar a subscric*`,
    end: 'cancel*, anul*, elimin*, borr*, quit*, deix*, sair',
    no: 'non quer*, non dese*, xa non, non, nunca mais',
    get: 'recib*, envi*',
    letter: 'correo*, correos, boletin*, mensax*, lista*, subscric*, comunicac*, notificac*, novas, electronic*',
    offer: 'informac*, novidades, ofertas, publicidade',
    manage: 'xestion*, administr*, actualiz*, modific*, cambi*, edit*, configur*, escoll*',
    preference: 'preferenci*',
    setting: 'axuste*, configuracion, perfil, datos, opcions',
    view: 'ver, velo, lea, ler, abr*, visualiz*, amos*, mostr*, consult*',
    browser: 'navegador*, en lina, en lña, na web, en rede, na internet',
    webpage: 'version en lina, version web, version online',
    trouble: 'non ve, non ves, non se ve, non pode* ver, non visualiz*, non se amos*, problem*',
    abuse: 'marcar como, denunciar, como spam, abuso, correo lixo',
    point: `
      aqui, clic, faga clic, fai clic, facendo clic, prem*, prema, ligazon*, enlace*, esta ligazon, boton, seguint*, abaixo, siga, paxina,
      visita`,
    article: 'como, por que, quen, guia, consellos, pasos, razons, formas, cando, descubr*',
    filler: `
      o, a, os, as, un, unha, de, do, da, dos, das, en, no, na, nos, nas, ao, aos, con, para, por, polo, que, e, ou, se, me, te, lle, meu,
      mina, mña, meus, minas, teu, tua, seu, sua, seus, suas, noso*, nosa*, este, esta, estes, estas, deste, eu, vostede, quer*, dese*,
      pode*, podes, favor, faga, mais, xa, todo*, toda*, calquera, momento, futuro*, tipo, ser, ben, correctamente, imaxes, enderezo,
      simplemente, novo*`,
  },
  // Basque
  eu: {
    leave: `
      harpidetza kendu*, kendu harpidetz*, harpidetza ken*, utzi harpidetz*, harpidetza utz*, harpidetza ezezta*, ezeztatu harpidetz*,
      harpidetza ezabat*, desharpidetu*`,
    quit: 'baja eman*, eman baja, baja emate*, baja hartu*, baja',
    end: 'kendu*, utzi*, ezezta*, ezabatu*, gelditu*, amaitu*, irten*, bertan behera',
    no: 'ez baduzu, ez dut, ez duzu, ez, gehiago ez, jada ez',
    get: 'jaso*, jasotze*, hartu*, bidal*',
    letter: 'harpidetz*, buletin*, mezu*, eposta*, epostak, posta, postak, zerrenda*, albiste*, jakinaraz*, informazio*, korreo*',
    manage: 'kudeatu*, aldatu*, eguneratu*, editatu*, aukeratu*, konfiguratu*',
    preference: 'hobespen*, lehentasun*',
    setting: 'ezarpen*, profil*, datu*, aukerak',
    view: 'ikusi*, ireki*, irakurri*, erakutsi*, bistaratu*, ikusten',
    browser: 'nabigatzaile*, nabigatzailea*, sarean, interneten, webean',
    webpage: 'web bertsio*, online bertsio*, sareko bertsio*',
    trouble: 'ez da ikusten, ez baduzu ikusten, ez duzu ikusten, ez bada, arazo*, ezin',
    abuse: 'salatu*, spam gisa, jakinarazi spam, zabor*',
    point: 'hemen, klik, klikatu*, sakatu*, esteka*, egin klik, botoi*, honetan, jarraitu, orri*, egin, bisitatu',
    article: 'nola, zergatik, nor, gida, aholkuak, arrazoi*, urrats*, noiz',
    filler: `
      eta, edo, bada, baduzu, nahi, nahi baduzu, dut, duzu, dezakezu, du, da, zaitez, zure, gure, nire, ni, zu, gu, hau, hauek, mesedez,
      gehiago, guzti*, edozein, unetan, edonoiz, orain, etorkizun*, honetatik, hemendik, gurekin, ondo, irudi*, helbide*, bat, ko, ren, tik,
      etik`,
  },
  // Russian
  ru: {
    leave: `
      отписаться, отписат*, отпишит*, отпишись, отписать, отписка от, отписки, отписывай*, отпишите*, отмен* подписк*, отмен* рассылк*,
      отказ* от рассылк*, отказ* от подписк*, отказ* от получен*, больше не получать, не получать`,
    quit: 'отписка, отпиши*, прекратить подписк*, аннулир* подписк*, отказ от подписки',
    end: 'отказ*, отмен*, прекрат*, удал*, исключ*, остановит*, покинуть, выити из, отключ*, убра*, убер*, перестать',
    no: 'не хот*, не хочу, больше не, не жела*, не жела, не нужн*, не интерес*, не, никогда',
    get: 'получа*, получени*, получит*, присыл*, отправля*, приходи*',
    letter: `
      рассыл*, письм*, писем, подписк*, сообщени*, список, списка, уведомлени*, бюллетен*, почт*, электронн*, оповещени*, спис*, дайджест*,
      имейл*`,
    offer: 'новост*, информаци*, рекламн*, реклам*, предложени*, акци*',
    manage: 'управл*, измен*, настро*, обнов*, редактир*, выбр*, выбер*, поменя*',
    preference: 'предпочтени*',
    setting: 'настройк*, профил*, данны*, параметр*',
    view: 'посмотр*, просмотр*, откр*, чита*, прочита*, прочест*, показа*, показыва*, отобража*, смотр*, увид*, виде*, видит*, просматр*',
    browser: 'браузер*, онлаин, в интернете, на саите, веб странице',
    webpage: 'веб верси*, онлаин верси*, версия для браузера, веб страниц*, интернет верси*, версия письма',
    trouble: `
      не отобража*, некорректно, неправильно, не видите, не видно, проблем*, не показыва*, не открыва*, плохо видно, не загруж*, не вид*,
      не можете, отображается некорректно`,
    abuse: 'пожаловаться, жалоб*, сообщить о спаме, это спам, в спам, на спам, как спам, спам',
    point: `
      здесь, тут, сюда, нажм*, нажав, нажать, жми*, клик*, кликн*, ссылк*, этои ссылке, кнопк*, переид*, переити, следующ*, по ссылке, ниже,
      щелкн*, пройд*, странице, страницу`,
    article: `
      как, почему, кто, гид, советы, шагов, причин, способ*, когда, что известно, читаите, узна*, читать далее, читать дальше, подробнее,
      пропуст*`,
    filler: `
      от, на, в, во, с, со, из, за, до, по, о, об, для, при, у, к, и, или, если, чтобы, чтоб, что, я, мы, вы, ты, меня, мне, мои, моя, мое,
      мою, моей, наш*, нас, нам, вас, вам, ваш*, ваша, вашем, ваше, свои, свою, своей, это, этот, эта, эту, эти, этих, этого, этои, данн*,
      такие, таких, хотите, хочу, хочешь, желаете, можете, можно, можешь, пожалуиста, больше, далее, более, дальнеиш*, все, всех, любои,
      любое, момент, время, в любой момент, в любое время, всегда, будущ*, просто, только, есть, корректно, правильно, картинк*,
      изображени*, адрес*, личн*, вы подписаны, сеичас, одним, будет, хотели, бы, форме, перейдя, нужно, надо, подписан*, были`,
  },
  // Ukrainian
  uk: {
    leave: `
      відпис*, відпиш*, відмов* від розсил*, відмов* від підписк*, відмов* від листів, відмов* від отриман*, скасув* підписк*,
      скасув* розсил*, не отримувати`,
    quit: 'припинити підписк*',
    end: 'відмов*, скасув*, припин*, видал*, зупин*, вилуч*, вийти з, вимкн*',
    no: 'не хоч*, не бажа*, більше не, не потріб*, не цікав*, не, ніколи',
    get: 'отриму*, отриман*, одерж*, надсил*',
    letter: `
      розсил*, лист*, листи, листів, підписк*, повідомлен*, сповіщен*, список*, списк*, пошт*, електронн*, бюлетень, імейл*, дайджест*`,
    offer: 'новин*, інформаці*, пропозиц*, реклам*',
    manage: 'керув*, зміни*, налашту*, онови*, редагув*, вибер*, управл*',
    preference: 'уподобан*, вподобан*, переваг*',
    setting: 'налаштув*, профіл*, дан*, параметр*',
    view: 'перегля*, відкр*, чит*, прочит*, показ*, побач*, подив*, відображ*, бач*, дивит*',
    browser: 'браузер*, оглядач*, онлаин, в інтернеті, на сайті',
    webpage: 'веб верс*, онлаин верс*, веб сторінк*',
    trouble: 'не відображ*, некоректно, неправильно, не бачите, проблем*, не показ*, не вид*',
    abuse: 'поскарж*, скарг*, повідомити про спам, як спам, спам',
    point: 'тут, сюди, натисн*, клік*, клікн*, посилан*, цим посиланням, кнопк*, переид*, переити, наступн*, нижче, сторінк*',
    article: 'як, чому, хто, гід, поради, кроків, причин, спосо*, коли, дізна*, читати далі, докладніше, пропуст*',
    filler: `
      від, на, в, у, з, із, зі, за, до, по, о, про, для, при, к, і, й, та, або, чи, якщо, щоб, що, я, ми, ви, ти, мене, мені, мои, мій, моя,
      мою, наш*, нас, нам, вас, вам, ваш*, свої, свіи, свою, своєї, це, цеи, ця, цю, ці, цих, цієї, даної, такі, таких, хочете, хочу,
      бажаєте, бажаю, можете, можна, будь, ласка, будь ласка, більше, всі, всіх, будь якии, момент, будь коли, час, завжди, маибутн*,
      просто, тільки, є, коректно, правильно, зображен*, адрес*, особист*, зараз, далі, подальш*, одним`,
  },
  // Turkish
  tr: {
    leave: `
      abone* iptal*, abonelikten, abonelik iptali, abonelikten cik*, abonelikten ayril*, aboneligi sonlandir*, bultenden cik*,
      listeden cik*, listeden ayril*, listemizden cik*, uyelikten cik*, uyelikten ayril*, listesinden cik*, abone* cik*, abone* ayril*,
      abone* sonlandir*, uyeli* ayril*, uyeli* cik*, uyeli* sonlandir*, uyeli* iptal*`,
    quit: 'uyeligi sonlandir*, uyeligi iptal*, uyelik iptali, cikmak istiyorum',
    end: 'cik*, cikmak*, iptal*, sonlandir*, ayril*, sil*, kaldir*, durdur*, birak*, vazgec*',
    no: 'istemiyor*, istemem, artik, almak istemiyor*, istemiyorum, istemezseniz, istemeyen*, degil*',
    get: 'almak, alma, almay*, almamak, gelme*, gonder*',
    letter: `
      bulten*, eposta*, epostay*, posta, postalar*, postayi, ebulten*, mesaj*, liste*, abonelik*, uyelik*, bildirim*, ileti*, mektup*`,
    offer: 'haber*, firsat*, kampanya*, duyuru*, reklam*',
    manage: 'yonet*, degistir*, guncelle*, duzenle*, ayarla*, sec*',
    preference: 'tercih*',
    setting: 'ayar*, profil*, bilgi*, hesap*',
    view: 'goruntule*, ac, acin*, oku*, gor, gorun*, goster*, izle*, gormek',
    browser: 'tarayici*, cevrimici*, internette, internet uzerinde, internetten, webde, web sayfa*',
    webpage: 'web surumu*, web versiyon*, online versiyon*, internet surumu*, cevrimici surum*, web sayfasi olarak',
    trouble: 'goruntuleyem*, goruntulenm*, goremiyor*, gorunmuyor*, duzgun gorun*, sorun*, okuyam*, acilm*, problem*',
    abuse: 'spam bildir*, spam olarak, sikayet*, kotuye',
    point: 'buraya, burada, buradan, tikla*, tiklay*, link*, linke, baglanti*, bu linke, butona, asagi*, tuslay*, dokun*, sayfa*, basin*',
    article: 'nasil, neden, kim, rehber, ipuclari, adimda, yollari, sebep*, ne zaman',
    filler: `
      bu, bizim, bizden, bize, sizin, size, siz, ben, benim, beni, bana, bir, ve, veya, ya, da, de, icin, eger, ile, lutfen, daha, tum,
      butun, her, zaman, herhangi, istiyor*, isterseniz, istersen, istiyorsaniz, istiyorum, istediginiz, olarak, olan, olmak, dogru, duzgun,
      resim*, adres*, gelecek*, gelen, hemen, simdi, kisisel, sadece, e, kolay*, bundan, sonra, tarafindan, gonderilen, fazla, et, edin,
      ediniz, etmek, edebilirsiniz, yap, yapin, olun, uzere`,
  },
  // Arabic
  ar: {
    prefixes: 'ال, وال, بال, لل, و, ب, ل, ف',
    leave: `
      الغاء الاشتراك, الغاء اشتراك*, لالغاء الاشتراك, بالغاء الاشتراك, الغ الاشتراك, الغاء التسجيل, الغي اشتراك*, الانسحاب من القائمة,
      ازالة من القائمة, الغاء المتابعة`,
    end: 'الغاء, ايقاف, وقف, حذف, ازالة, توقف, الغ, الغي, التوقف, اوقف, احذف, مغادرة, انسحاب',
    no: 'لا ترغب*, لا ارغب, لا تريد*, لا اريد, لم ترغب, لا, لم تعد, عدم, لا تود, لا اود',
    get: 'تلقي, استلام, استقبال, وصول, تصلك, تصلني, ارسال, تلق',
    letter: `
      رساي*, رسايل*, رسايلنا, رسالة*, بريد*, نشرة*, نشرات*, نشرتنا, قايمة*, قوايم*, اشتراك*, ايميل*, اشعارات*, تنبيهات*, مراسلات*,
      الكترونية, بريدية, بريدي, الكتروني, اخبارية`,
    offer: 'اخبار*, عروض*, معلومات*, اعلانات*',
    manage: 'ادارة, تعديل, تحديث, تغيير, اختيار, ضبط, تحرير, تخصيص, حدث, عدل, غير',
    preference: 'تفضيلات*',
    setting: 'اعدادات*, بيانات*, ملف*, خيارات*',
    view: 'عرض*, مشاهدة, اعرض*, افتح*, فتح, قراءة, اقرا*, شاهد*, تظهر, يظهر, تصفح, رؤية',
    browser: 'متصفح*, الانترنت, على الويب, ويب, موقع',
    webpage: 'نسخة الويب, النسخة الالكترونية, نسخة الانترنت, نسخة المتصفح, نسخة على الويب',
    trouble: 'لا تظهر, لا يظهر, لا تستطيع, لا يمكنك, مشكلة*, لا تري, صعوبة, لم تظهر, بشكل غير صحيح',
    abuse: 'الابلاغ عن, ابلاغ عن, ابلغ عن, مزعج*, اساءة, سبام, غير مرغوب',
    point: 'هنا, اضغط*, انقر*, بالنقر, النقر, الضغط, رابط*, الرابط التالي, التالي, زر, اتبع, زيارة, صفحة*, يرجي, ادناه',
    article: 'كيف, لماذا, من هو, دليل, نصايح, خطوات, اسباب, طرق, متي, كيفية',
    filler: `
      من, في, علي, الي, عن, مع, هذا, هذه, تلك, او, و, اذا, كنت, ان, انت, انا, نحن, لدينا, لدي, منا, مني, اي, كل, جميع, وقت, يمكنك, ترغب,
      تريد, ارغب, اريد, الرجاء, من فضلك, فضلك, بعد, الان, مستقبل*, مستقبلية, اخري, مزيد, مرة, فقط, تم, بك, الخاص, الخاصة, لك, لي, صور*,
      صحيح*, بشكل, عنوان*, مثل, ب, ل, ك, راغبا, تعد`,
  },
  // Hebrew
  he: {
    prefixes: 'ה, ב, ל, מ, ו, כ, ש, מה, שה',
    leave: `
      להסרה, הסרה, להסיר את עצמ*, הסר אותי, הסירו אותי, הסר מרשימ*, להסרה מרשימ*, ביטול הרשמה, ביטול רישום, לביטול הרשמה, לביטול רישום,
      לביטול ההרשמה, ביטול מנוי לניוזלטר, להפסק* קבלת, להפסיק לקבל`,
    quit: 'ביטול מנוי, לביטול מנוי, לביטול המנוי, ביטול המנוי, לבטל את המנוי, לבטל מנוי, ביטול ההרשמה',
    end: 'להסיר, הסר, הסירו, לבטל, ביטול, בטל, הפסק, להפסיק, הפסקת, מחק, מחיק*, עזוב, לצאת, הפסיקו',
    no: `
      אינך מעוניין*, איני מעוניין*, לא מעוניין*, אינכם מעוניינ*, אינך רוצה, לא רוצה, לא רוצים, איני רוצה, אין ברצונ*, אינך, איני, לא, אינכם,
      אין, אינני מעוניין*`,
    get: 'לקבל*, קבלת*, קבל, מקבל*, לשלוח, שליחת',
    letter: `
      ניוזלטר*, דיוור*, תפוצה*, רשימת, רשימה*, מייל*, מיילים, אימייל*, דואר, הודעות*, הודעה*, מנוי*, הרשמה*, עלון*, רישום, דוא ל, אלקטרוני`,
    offer: 'עדכונים, פרסומ*, מבצעים, חדשות, מידע',
    manage: 'עדכון*, עדכנ*, עדכן, ניהול*, נהל, שינוי*, שנה, לשנות, לעדכן, עריכת*, בחר, בחירת',
    preference: 'העדפות*, העדפת*, העדפה*, תדירות*',
    setting: 'הגדרות*, הגדרת*, פרטים*, פרופיל*, פרטי',
    view: 'צפייה*, צפה*, צפו, הצג*, הצגה*, הצגת, פתח*, פתיחה*, קרא*, קריאה*, מוצג*, לראות*, רואה, רואים, נראה',
    browser: 'דפדפן*, באינטרנט, ברשת, אונליין, מקוון, מקוונת',
    webpage: 'גרסת דפדפן, גרסת אינטרנט, גרסת הדפדפן, גרסה מקוונת, גרסת ווב',
    trouble: 'לא מוצג*, אינו מוצג*, לא רוא*, אינך רואה, בעי*, לא נראה, לא ניתן לראות, לא מופיע*',
    abuse: 'דווח*, דיווח*, ספאם*, כספאם, דואר זבל',
    point: 'כאן, לחץ*, לחצו*, לחצי, לחיצה*, הקלק*, הקליקו, קישור*, לינק*, כפתור*, הבא, להלן, דף, לחץ כאן, קליק',
    article: 'איך, כיצד, למה, מדוע, מי, מדריך, טיפים, צעדים, סיבות, דרכים, מתי, כל הפרטים',
    filler: `
      את, של, שלך, שלי, שלנו, שלכם, מ, ב, ל, ה, ו, על, אל, מן, עם, זה, זו, זאת, אלו, אלה, אם, כי, או, גם, אני, אתה, אנחנו, אתם, ברצונך,
      ברצונכם, רוצה, רוצים, מעוניין, ניתן, אפשר, יש, נא, אנא, בבקשה, עוד, נוספות, נוספים, יותר, בכל, עת, שלב, כל, עתידי*, רק, כדי, מאיתנו,
      אותי, אותך, עצמך, עצמי, מאת, תמונות, כראוי, כתובת*, אישי*, להמשיך, בעתיד, הזו, הזה, כהלכה, לנו, לי`,
  },
  // Persian
  fa: {
    leave: `
      لغو اشتراک*, لغو عضویت*, لغو خبرنامه, لغو دریافت*, انصراف از دریافت*, انصراف از عضویت*, انصراف از اشتراک*, خروج از خبرنامه,
      خروج از لیست*, انصراف از خبرنامه, حذف از لیست*`,
    end: 'لغو, حذف, خروج, توقف, انصراف, قطع, پایان, ترک',
    no: 'نمیخواه*, نمی خواه*, تمایل ندار*, مایل نیست*, علاقه ندار*, مایل به _ نیست*, نیست*, دیگر, ندار*, نمی خواهم',
    get: 'دریافت*, ارسال*',
    letter: 'خبرنامه*, ایمیل*, پیام*, اشتراک*, عضویت*, لیست*, فهرست*, اطلاعیه*, نامه*, رایانامه*, اعلان*, پست',
    offer: 'اخبار*, پیشنهاد*, تبلیغات*',
    manage: 'مدیریت*, تغییر*, ویرایش*, به روز رسانی*, بروزرسانی*, به روزرسانی*, بهروزرسانی*, انتخاب*, تنظیم',
    preference: 'ترجیحات*, اولویت*',
    setting: 'تنظیمات*, اطلاعات*, پروفایل*, حساب*',
    view: 'مشاهده*, دیدن*, باز*, خواندن*, نمایش*, ببین*, بخوان*',
    browser: 'مرورگر*, آنلاین*, در وب, اینترنت*',
    webpage: 'نسخه وب, نسخه آنلاین, نسخه اینترنتی',
    trouble: 'نمایش داده نمی*, درست نمایش, نمیبینید, نمی بینید, مشکل*, به درستی نمایش',
    abuse: 'گزارش*, هرزنامه*, اسپم*',
    point: 'اینجا*, این جا, کلیک*, پیوند*, لینک*, روی, دکمه*, زیر, صفحه*, کنید, بزنید, فشار, بروید',
    article: 'چگونه, چرا, چطور, راهنما*, نکته*, گام*, دلیل*, روش*, کی',
    filler: `
      از, به, در, با, برای, را, این, آن, که, و, یا, اگر, چنانچه, درصورتیکه, در صورتی که, صورتی, ما, شما, من, خود, خودتان, ما را, های, ها, ی,
      می, نمی, است, هستید, کنم, کردن, شود, شوید, لطفا, همه, هر, زمان, آینده, الکترونیکی, میخواه*, می خواهید, خواهید, خواهم, مایل, تمایل,
      تصاویر, آدرس, شده, فقط, هم, توانید, میتوانید, بیشتر, درست, درستی`,
  },
  // Hindi
  hi: {
    leave: 'सदस्यता समाप्त*, सदस्यता रद्द*, सदस्यता छोड़*, सदस्यता हटा*, अनसब्सक्राइब*, सब्सक्रिप्शन रद्द*, सूची से हटा*, सदस्यता बंद*',
    end: 'रद्द*, बंद*, समाप्त*, हटा*, छोड़*, निकाल*, रोक*',
    no: 'नहीं चाह*, नहीं, न चाह*, अब नहीं, मत',
    get: 'प्राप्त*, पाना, मिलना, भेज*',
    letter: `
      ईमेल*, इमेल*, मेल*, न्यूज़लेटर*, न्यूजलेटर*, समाचार पत्र*, समाचारपत्र*, संदेश*, सूची*, सदस्यता*, सब्सक्रिप्शन*, सूचना*, अपडेट*, पत्र*`,
    manage: 'प्रबंधित*, प्रबंधन*, बदल*, संपादित*, चुन*',
    preference: 'प्राथमिकता*, प्राथमिकताएं, प्राथमिकताएँ, वरीयता*',
    setting: 'सेटिंग*, प्रोफ़ाइल*, विवरण*',
    view: 'देख*, खोल*, पढ़*, दिख*',
    browser: 'ब्राउज़र*, ब्राउजर*, ऑनलाइन*, वेब*',
    webpage: 'वेब संस्करण*, ऑनलाइन संस्करण*, वेब वर्ज़न*',
    trouble: 'ठीक से नहीं दिख*, नहीं दिख*, दिखाई नहीं, समस्या*, नहीं देख*, देखने में परेशानी',
    abuse: 'स्पैम*, रिपोर्ट*, दुरुपयोग*',
    point: 'यहाँ*, यहां*, क्लिक*, लिंक*, दबाएं, दबाएँ, बटन*, नीचे, टैप*, पृष्ठ*, जाएं',
    article: 'कैसे, क्यों, कौन, गाइड*, तरीके, कारण*, कब, सुझाव*, टिप्स',
    filler: `
      के, का, की, को, से, में, पर, लिए, और, या, यदि, अगर, तो, आप, आपके, आपकी, आपको, अपनी, अपने, अपना, मुझे, मेरी, मेरा, हम, हमारे, हमारी,
      हमसे, ये, यह, इस, इन, ऐसे, करें, करे, कर, करना, करने, करते, हैं, है, हूं, हूँ, चाहते, चाहता, चाहती, हो, सकते, कृपया, अब, आगे, सभी,
      किसी, भी, समय, भविष्य, एक, ना, होना, जा, जाना, हेतु, सही, ठीक`,
  },
  // Chinese, in both scripts
  zh: {
    leave: `
      退订, 退訂, 取消订阅, 取消訂閱, 取消邮件订阅, 取消電子報, 取消订閱, 取消此訂閱, 取消此订阅, 取消关注邮件, 不再接收, 不再收到, 不再接受, 不想再收到, 不想收到, 不希望收到, 不希望再收到, 不愿接收, 停止接收, 停止接受, 拒收,
      不要再收到, 不再寄送, 停止訂閱, 停止订阅, 解除订阅, 解除訂閱, 取消電子報訂閱, 不想繼續收到, 不想继续收到, 不希望继续收到, 不希望繼續收到, 不願收到, 不愿收到, 取消邮件, 取消郵件`,
    end: '取消, 停止, 移除, 删除, 刪除, 退出, 终止, 終止, 关闭, 關閉',
    no: '不再, 不想, 不希望, 不愿, 不願, 不要, 无需, 無需, 不需要',
    get: '收到, 接收, 收取, 接受, 寄送, 发送, 發送',
    letter:
      '邮件, 郵件, 电子报, 電子報, 信件, 此信, 来信, 來信, 通讯, 通訊, 简报, 簡報, 列表, 名单, 名單, 推送, 通知, 电邮, 電郵, 邮箱, 訂閱, 订阅, 電子郵件, 电子邮件, 期刊',
    offer: '资讯, 資訊, 消息, 訊息, 优惠, 優惠, 广告, 廣告, 促销, 促銷',
    manage: '管理, 更改, 修改, 更新, 变更, 變更, 编辑, 編輯, 调整, 調整, 选择, 選擇',
    preference: '偏好, 喜好设置, 喜好設定, 订阅设置, 訂閱設定, 邮件设置, 郵件設定, 订阅管理, 訂閱管理, 接收设置, 接收設定',
    setting: '设置, 設定, 资料, 資料, 选项, 選項',
    view: '查看, 打开, 打開, 开启, 開啟, 阅读, 閱讀, 浏览, 瀏覽, 观看, 觀看, 显示, 顯示, 检视, 檢視, 看, 訪問, 访问',
    browser: '浏览器, 瀏覽器, 在线, 線上, 网上, 網上, 网页, 網頁, 网站, 網站, 线上',
    webpage: '网页版, 網頁版, 在线版, 線上版, 在线版本, 線上版本, 网页版本, 網頁版本, 在线查看, 線上閱讀, 在线阅读, 網路版, 网络版, 线上版',
    trouble: `
      无法正常, 無法正常, 无法显示, 無法顯示, 无法查看, 無法檢視, 無法瀏覽, 无法浏览, 显示不正常, 顯示不正常, 显示异常, 顯示異常, 不能正常, 看不到, 无法阅读, 無法閱讀, 显示有问题, 無法看到, 显示不正确, 顯示不正確, 无法看到,
      無法觀看, 显示不完整, 顯示不完整`,
    abuse: '举报, 檢舉, 舉報, 垃圾邮件, 垃圾郵件, 投诉, 投訴, 滥用, 濫用',
    point:
      '这里, 這裡, 这儿, 此处, 此處, 点击, 點擊, 点按, 点选, 點選, 按此, 按這裡, 按, 点此, 點此, 链接, 連結, 鏈接, 以下, 下列, 单击, 單擊, 请点, 按钮, 按鈕, 此连结, 这个',
    article: '如何, 为什么, 為什麼, 怎么, 怎麼, 怎样, 怎樣, 指南, 步骤, 步驟, 原因, 方法, 技巧',
    filler: `
      请, 請, 如果, 如, 若, 若要, 欲, 您, 你, 我们, 我們, 我, 的, 了, 再, 此, 此类, 此類, 该, 該, 本, 这, 這, 这封, 這封, 封, 将, 將, 与, 和, 或, 在, 从, 從, 中, 想, 要, 以, 以后, 以後, 今后,
      今後, 所有, 全部, 随时, 隨時, 可以, 可, 至, 到, 于, 於, 希望, 需要, 继续, 繼續, 来自, 來自, 类, 類, 正常, 图片, 圖片, 里, 裡, 内容, 內容, 电子, 電子, 个, 个人, 個人, 更多, 其他, 其它, 任何, 时间,
      進行, 进行, 操作, 前往, 使用, 用, 上, 是, 为, 為, 给, 給, 不, 一键, 立即, 即可, 方便, 地址, 来, 來, 时, 時, 时候, 時候, 也, 下, 后, 後, 前, 每, 如需, 需, 点, 點, 我要, 收`,
  },
  // Japanese
  ja: {
    leave: `
      配信停止, 配信解除, 配信の停止, 配信を停止, 配信の解除, 配信を解除, 配信中止, 配信不要, 購読解除, 購読を解除, 購読の解除, 購読停止, 購読を停止, 購読の停止, 購読中止, 購読をやめる, 購読を中止, 購読をキャンセル, 購読キャンセル,
      登録解除, 登録の解除, 登録を解除, 登録を取り消, メルマガ解除, メルマガ退会, メルマガの解除, マガジンの解除, マガジン解除, 受信を停止, 受信停止, 受信拒否, 受信を拒否, 受信を希望しない, 受信を希望され, 配信を希望しない, 配信を希望され,
      配信をご希望でない, 配信をご希望されない, 希望されない, 希望しない, ご希望でない, 不要な方, 不要の方, 解約はこちら, 配信がご不要, 配信が不要, 送信停止, 送信を停止, 退会手続き, 停止手続き, 解除手続き, アンサブスクライブ, メール停止,
      お受け取りを希望されない, 配信を止める, 配信をやめる, 受け取らない, 受け取りたくない, オプトアウト`,
    quit: '退会, 解除, 配信を望まない',
    end: '停止, 中止, 解約, 取り消し, 取消, キャンセル, 削除, やめる, 止める',
    no: '希望され, 望まない, 不要',
    get: '受信, 配信, 受け取り, 受け取る, 送信, お届け',
    letter:
      'メールマガジン, メルマガ, メール, ニュースレター, 購読, マガジン, メーリングリスト, リスト, 通知, ご案内メール, レター, 電子メール, 登録',
    offer: 'お知らせ, 案内, ご案内, 情報, 広告, ニュース',
    manage: '変更, 管理, 更新, 編集, 選択',
    preference: `
      配信設定, 受信設定, メール設定, 購読設定, 配信内容の変更, 通知設定, メール受信設定, 登録情報の変更, 登録情報変更, 登録内容の変更, 会員情報の変更, 登録情報を変更, 登録内容を変更, 会員情報変更, 購読管理, 配信頻度, 登録内容変更,
      会員登録情報の変更`,
    setting: '設定, 登録情報, 登録内容, 会員情報, プロフィール',
    view: '見る, 表示, 閲覧, 開く, 読む, 読, ご覧, 見, 確認',
    browser: 'ブラウザー, ブラウザ, ウェブブラウザ, ウェブ, オンライン, インターネット, ホームページ',
    webpage: 'web版, ウェブ版, オンライン版, webで見る, ウェブで見る, ブラウザで見る, ブラウザ版, バックナンバー, webページで',
    trouble:
      '正しく表示されない, 表示されない, 正しく表示され, うまく表示, 表示が崩れ, 見えない, 読みにくい, 読めない, 見づらい, 見られない, ご覧いただけない, 表示できない, 見にくい, 文字化け, 開けない',
    abuse: '迷惑メール, 報告, 通報, スパム, 苦情',
    point: 'こちら, ここ, クリック, タップ, リンク, 下記, 以下, url, ボタン, 押して, 押す, ページ, アクセス',
    article: 'なぜ, 方法, 理由, 秘訣, コツ, とは, 手順, 選, どうやって, 特集',
    filler: `
      は, の, を, に, が, で, と, も, へ, や, か, から, より, まで, お, ご, 方, 方は, 場合, 場合は, 際, 今後, これ以上, この, こ, のような, その, です, ます, する, した, して, され, ください, 下さい,
      お願い, いたします, 致します, お手続き, 手続き, 手続, 希望, ご希望, される, したい, したくない, いつでも, すべて, 全て, メールアドレス, アドレス, または, もしくは, 他, 弊社, 当社, 本, 本メール, 皆様, 可能, できます,
      いただけます, いただく, いただき, たい, たく, ない, なる, なり, 場合に, 必要, 行う, 行って, 簡単, お問い合わせ, また, のみ, 専用, なら, 時, 画像, れ, て, た, し, な, ら, さ, い, く, う, ん, ー, り, る,
      ま, せ, す, 続, 手, 用, 版`,
  },
  // Korean
  ko: {
    leave: `
      수신거부*, 수신 거부*, 수신을 거부*, 구독취소*, 구독 취소*, 구독을 취소*, 구독해지*, 구독 해지*, 구독을 해지*, 구독해제*, 구독 해제*, 구독을 해제*, 구독 중단*, 구독 중지*, 수신해지*, 수신 해지*,
      수신을 해지*, 수신 취소*, 수신 중단*, 수신중단*, 수신을 원하지*, 수신을 원치*, 수신을 희망하지*, 받지 않기*, 받고 싶지*, 받기를 원하지*, 받기를 원치*, 더 이상 받지*, 메일 거부*, 메일거부*, 이메일 거부*,
      수신 동의 철회*, 수신동의 철회*, 수신 철회*, 무료 수신거부, *수신거부*, *구독취소*, *구독해지*`,
    end: '취소*, 해지*, 해제*, 중단*, 거부*, 철회*, 삭제*, 그만*, 중지*, 탈퇴*',
    no: '원하지*, 원치*, 않*, 싶지*, 안, 그만',
    get: '수신*, 받*, 보내*',
    letter: '메일*, 이메일*, 뉴스레터*, 소식지*, 구독*, 알림*, 메시지*, 리스트*, 목록*, 편지*, 레터*',
    offer: '정보*, 광고*, 소식*, 혜택*',
    manage: '변경*, 관리*, 수정*, 업데이트*, 편집*, 선택*',
    preference:
      '수신 설정*, 수신설정*, 구독 설정*, 구독설정*, 구독 관리*, 구독관리*, 이메일 설정*, 메일 설정*, 메일설정*, 알림 설정*, 환경설정*, 환경 설정*, 수신 정보*, 선호*, 기본 설정*',
    setting: '설정*, 회원정보*, 프로필*',
    view: '보기*, 열기*, 읽기*, 보이*, 보시*, 확인*, 볼, 보려면*, 보*',
    browser: '브라우저*, 웹에서, 웹으로, 웹, 웹페이지*, 온라인*, 인터넷*, 홈페이지*, 웹브라우저*',
    webpage: '웹버전*, 웹 버전*, 온라인 버전*, 웹에서 보기*, 웹으로 보기*, 온라인으로 보기*',
    trouble:
      '보이지 않*, 제대로 보이지*, 깨져*, 깨지*, 안 보이*, 정상적으로 보이*, 제대로 표시*, 표시되지 않*, 볼 수 없*, 읽을 수 없*, 잘 안 보이*',
    abuse: '스팸*, 신고*, 불법*',
    point: '여기*, 클릭*, 링크*, 이곳*, 버튼*, 눌러*, 누르*, 아래*, 하단*, 페이지*, 탭하*, 방문*',
    article: '방법*, 왜, 어떻게, 이유*, 가이드*, 팁*, 단계*, 누가',
    filler: `
      더, 이상, 이, 본, 해당, 저희, 저, 우리, 나, 내, 귀하*, 고객*, 회원*, 을, 를, 은, 는, 이메일을, 경우*, 시, 원하시면*, 원하시는*, 원하*, 하시려면*, 하려면*, 하시기*, 하세요, 하십시오, 하시면*, 하실*,
      하기*, 하기, 해, 주세요, 주십시오, 주시기*, 바랍니다, 언제든지*, 언제든, 모든, 앞으로, 향후, 추가*, 이런*, 이러한*, 제대로, 정상*, 그림*, 이미지*, 또는, 및, 수, 있습니다, 있으며*, 됩니다, 되지, 무료*,
      간편*, 바로*, 지금*, 개인*, 주소*, 위해*, 위한*, 통해*, 에서, 로, 으로, 하여, 하시*, 의, 수정하*, 싶으시면*, 싶으면*, 않으시면*, 않으면*, 않는*`,
  },
  // Vietnamese
  vi: {
    leave: `
      huy dang ky, huy nhan tin, huy nhan, huy nhan email, huy nhan ban tin, ngung nhan, ngung dang ky, bo dang ky, dung nhan,
      rut khoi danh sach, huy theo doi, tu choi nhan, thoat khoi danh sach, khong nhan email, khong nhan thu, huy thu`,
    end: 'huy, ngung, dung, xoa, ngung gui, thoat, bo, roi khoi, tu choi',
    no: 'khong muon, khong con muon, khong, khong nhan, dung gui',
    get: 'nhan, nhan duoc, gui',
    letter: 'email, e mail, thu, thu dien tu, ban tin, danh sach, tin, thong bao, dang ky, dang ki, thu tin, tin nhan',
    offer: 'tin tuc, thong tin, quang cao, khuyen mai, uu dai',
    manage: 'quan ly, cap nhat, thay doi, chinh sua, sua, chon, tuy chinh, dieu chinh',
    preference: 'tuy chon, so thich, tuy chon email, cai dat email, cai dat thong bao, uu tien',
    setting: 'cai dat, thiet lap, ho so, thong tin ca nhan',
    view: 'xem, mo, doc, hien thi, thay',
    browser: 'trinh duyet, truc tuyen, tren web, tren mang, trang web',
    webpage: 'ban web, phien ban web, phien ban truc tuyen, ban truc tuyen, xem tren web',
    trouble: `
      khong xem duoc, khong hien thi, khong the xem, khong doc duoc, khong thay, gap van de, gap su co, hien thi khong, khong the doc,
      loi hien thi`,
    abuse: 'bao cao, thu rac, lam dung, danh dau la',
    point: `
      day, vao day, tai day, o day, nhap, nhan vao, bam, bam vao, nhap vao, nhap chuot, lien ket, duong dan, nut, click vao, an vao,
      truy cap, trang nay, duoi day, sau day`,
    article: 'cach, tai sao, vi sao, ai, huong dan, meo, buoc, ly do, khi nao, lam sao',
    filler: `
      toi, ban, chung toi, cua, cua ban, cua toi, tu, khoi, nay, do, cac, nhung, mot, de, neu, hay, vui long, xin, muon, co the, bat, cu,
      luc, nao, bat cu luc nao, bat ky, moi, tat ca, nua, them, tiep theo, trong, tren, va, hoac, voi, la, duoc, den, vao, con, khi,
      tuong lai, thi, ve, qua, o, tai, hinh anh, chinh xac, dia chi, ca nhan, quy khach, khach, lai, ra, mail, nguoi`,
  },
  // Thai
  th: {
    leave: `
      ยกเลิกการสมัคร, ยกเลิกรับ, ยกเลิกการรับ, ยกเลิกการเป็นสมาชิก, ยกเลิกสมาชิก, ยกเลิกการติดตามข่าว, ยกเลิกอีเมล, ไม่ต้องการรับ,
      ไม่รับข่าวสาร, ไม่รับอีเมล, หยุดรับ, ออกจากรายชื่อ, ไม่ประสงค์รับ, ไม่ประสงค์จะรับ, เลิกรับ, ยกเลิกการบอกรับ, ยกเลิกการสมัครสมาชิก,
      ยกเลิกการติดตาม, ไม่อยากรับ, ยกเลิกจดหมายข่าว, เลิกติดตาม`,
    end: 'ยกเลิก, หยุด, ลบ, ออกจาก, เลิก',
    no: 'ไม่ต้องการ, ไม่ประสงค์, ไม่อยาก, ไม่',
    get: 'รับ, ได้รับ, ส่ง',
    letter: 'อีเมล์, อีเมล, ข่าวสาร, จดหมายข่าว, จดหมาย, รายชื่อ, ข้อความ, การแจ้งเตือน, เมล, สมาชิก, สมัครสมาชิก, การสมัคร',
    offer: 'ข่าว, ข้อมูล, โปรโมชั่น, โฆษณา',
    manage: 'จัดการ, แก้ไข, เปลี่ยน, อัปเดต, อัพเดต, ปรับ, เลือก, ปรับปรุง, การจัดการ',
    preference: 'การตั้งค่าอีเมล, ความชอบ, การกำหนดลักษณะ, ตั้งค่าการรับ, ตั้งค่าอีเมล, การตั้งค่าการรับ',
    setting: 'การตั้งค่า, ตั้งค่า, โปรไฟล์, ข้อมูลส่วนตัว',
    view: 'ดู, เปิด, อ่าน, แสดง, เห็น',
    browser: 'เบราว์เซอร์, เบราเซอร์, บราวเซอร์, ออนไลน์, เว็บ, อินเทอร์เน็ต, เว็บไซต์',
    webpage: 'เวอร์ชันเว็บ, เวอร์ชันออนไลน์, เวอร์ชั่นเว็บ, ฉบับออนไลน์',
    trouble: 'แสดงผลไม่ถูกต้อง, ไม่สามารถดู, ไม่สามารถอ่าน, มองไม่เห็น, มีปัญหา, ไม่แสดง, ดูไม่ได้',
    abuse: 'รายงานสแปม, สแปม, รายงาน, ละเมิด, ร้องเรียน',
    point: 'ที่นี่, คลิก, ลิงก์, ลิงค์, กด, ปุ่ม, ด้านล่าง, ตรงนี้, หน้านี้, แตะ',
    article: 'วิธี, ทำไม, อย่างไร, เคล็ดลับ, เหตุผล, ขั้นตอน, คู่มือ',
    filler: `
      หาก, ถ้า, คุณ, ท่าน, ฉัน, เรา, ของเรา, ของคุณ, ของ, จาก, ใน, บน, ที่, นี้, อีก, ต่อไป, อีกต่อไป, กรุณา, โปรด, ได้, ทุก, เมื่อ,
      ทุกเมื่อ, ตลอดเวลา, ทั้งหมด, การ, เพื่อ, และ, หรือ, เป็น, จะ, ให้, แล้ว, ครั้ง, ไป, มา, ต้องการ, ประสงค์, สามารถ, ฉบับ, ผ่าน, ตาม,
      ถูกต้อง, รูปภาพ, เวลา, กับ`,
  },
  // Indonesian
  id: {
    leave: `
      berhenti berlangganan, berhenti langganan, batal berlangganan, batalkan langganan, membatalkan langganan, pembatalan langganan,
      berhenti menerima, stop berlangganan, hapus saya dari daftar, batalkan berlangganan, keluar dari daftar, tidak menerima`,
    end: 'berhenti*, batal*, hapus*, keluar*, hentikan*, stop, menghapus, menghentikan, membatalkan',
    no: 'tidak ingin, tidak mau, tidak lagi, tidak, jangan, tidak berminat, tak ingin',
    get: 'menerima, terima, dapat*, mendapat*, kirim*, dikirim*',
    letter: 'email*, surel*, surat*, berlangganan, langganan*, buletin*, daftar*, pesan*, pemberitahuan*, notifikasi*, milis',
    offer: 'berita*, info*, promo*, penawaran*, iklan*',
    manage: 'kelola*, ubah*, perbarui*, atur*, mengatur*, mengubah*, edit, pilih*, sesuaikan*, ganti*, pengelolaan',
    preference: 'preferensi*, pengaturan email*, pengaturan langganan*',
    setting: 'pengaturan*, profil*, data, setelan*',
    view: 'lihat*, buka*, baca*, tampil*, melihat, membaca, tampak',
    browser: 'peramban*, daring, di web, di internet, situs web',
    webpage: 'versi web, versi online, versi daring, versi browser',
    trouble: `
      tidak dapat melihat, tidak bisa melihat, tidak tampil*, tidak terlihat*, kesulitan*, masalah*, tidak dapat membaca,
      tidak bisa membaca, tidak muncul*`,
    abuse: 'laporkan*, sebagai spam, penyalahgunaan*',
    point: `
      di sini, disini, sini, klik*, tautan*, link*, tombol*, berikut*, di bawah, tekan*, kunjungi*, halaman*, ikuti, mengeklik, mengklik`,
    article: 'cara, mengapa, kenapa, siapa, panduan*, tips, langkah*, alasan*, bagaimana, kapan',
    filler: `
      saya, anda, kami, kita, kamu, dari, di, ke, untuk, dengan, pada, yang, ini, itu, atau, dan, jika, apabila, bila, kalau, ingin, mau,
      bisa, dapat, silakan, silahkan, mohon, harap, lagi, semua, setiap, saat, kapan saja, waktu, akan, masa, mendatang, depan, selanjutnya,
      juga, lebih, lanjut, sudah, adalah, benar, gambar*, alamat*, pribadi, hanya, cukup, sekarang, seperti, elektronik, dalam, secara,
      mana, oleh, tak`,
  },
  // Malay
  ms: {
    leave: `
      nyahlanggan*, menyahlanggan*, berhenti melanggan, berhenti menerima, henti melanggan, henti menerima, batalkan langganan,
      batal langganan, hentikan langganan, keluar daripada senarai, membatalkan langganan`,
    end: 'berhenti*, batal*, henti*, hentikan*, keluar*, buang*, padam*',
    no: 'tidak mahu, tidak ingin, tidak lagi, tidak, tak mahu, jangan',
    get: 'menerima, terima, dapat*, hantar*',
    letter: 'email*, emel*, surat*, langganan*, melanggan, buletin*, senarai*, mesej*, pemberitahuan*, notifikasi*',
    offer: 'berita*, maklumat, promosi*, tawaran*',
    manage: 'urus*, ubah*, kemas kini, kemaskini*, tukar*, pilih*, edit, sunting*',
    preference: 'keutamaan*, pilihan emel*, preferensi*',
    setting: 'tetapan*, profil*, butiran*',
    view: 'lihat*, buka*, baca*, papar*, melihat, membaca',
    browser: 'pelayar*, pelayar web, dalam talian, di web, di internet',
    webpage: 'versi web, versi dalam talian, versi pelayar',
    trouble: 'tidak dapat melihat, tidak dipapar*, tidak boleh, masalah*, tidak dapat membaca, tidak kelihatan',
    abuse: 'laporkan*, lapor*, sebagai spam, penyalahgunaan*',
    point: 'di sini, disini, sini, klik*, pautan*, link*, butang*, berikut*, di bawah, tekan*, lawati*, halaman*, ikut*',
    article: 'cara, mengapa, kenapa, siapa, panduan*, tip, langkah*, sebab*, bagaimana, bila',
    filler: `
      saya, anda, kami, kita, awak, dari, daripada, di, ke, untuk, dengan, pada, yang, ini, itu, atau, dan, jika, sekiranya, kalau, ingin,
      mahu, boleh, dapat, sila, mohon, lagi, semua, setiap, masa, bila bila, akan, hadapan, juga, lebih, sudah, ialah, adalah, betul,
      gambar*, alamat*, peribadi, hanya, sekarang, seperti, elektronik, dalam, oleh`,
  },
};
