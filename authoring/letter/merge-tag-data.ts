import type { ShapeName } from './merge-tags.ts';

// The merge tags of mail services, mailing-list programs and template languages. merge-tags.ts finds tags by their shape and by the field
// names below. The dialects name the sender in messages, and the tests try the rule on each example. To add a sender, add an entry: if its
// tags have a known shape and a usual field name, nothing else is needed.

export interface TagDialect {
  readonly sender: string;
  /** The page that describes the tags. If there is no such page, the documentation or the source code of the sender. */
  readonly source: string;
  readonly shape: ShapeName;
  /** Tags in the sender's own spelling. The first one is a field of a person. */
  readonly examples: readonly [string, ...string[]];
  /** Matches the text inside the tag. An entry with it takes precedence over an entry of the same shape without it. */
  readonly inside?: RegExp;
}

const ESP_TABLE =
  'https://knowledge.validity.com/hc/en-us/articles/360047239072-What-is-a-merge-tag-in-the-Everest-tracking-pixel-settings-';
const WISTIA_TABLE = 'https://github.com/wistia/wistia-open-docs/blob/master/_posts/2012-07-03-dynamic-link.md';

export const TAG_DIALECTS: readonly TagDialect[] = [
  // {{…}}
  {
    sender: 'Brevo',
    source: 'https://help.brevo.com/hc/en-us/articles/4402386448530-Customize-your-emails-using-transactional-parameters',
    shape: '{{}}',
    examples: ['{{ contact.EMAIL }}', '{{contact.FIRSTNAME}}', '{{ params.token }}'],
    inside: /^(?:contact\.[A-Z0-9_]+$|params\.)/,
  },
  {
    sender: 'listmonk',
    source: 'https://listmonk.app/docs/templating',
    shape: '{{}}',
    examples: ['{{ .Subscriber.Email }}', '{{ UnsubscribeURL }}', '{{ TrackLink "https://shop.example/" . }}'],
    inside: /^(?:\.Subscriber|\.Campaign|TrackLink|UnsubscribeURL|ManageURL|MessageURL|OptinURL)/,
  },
  {
    sender: 'Gophish',
    source: 'https://docs.getgophish.com/user-guide/template-reference',
    shape: '{{}}',
    examples: ['{{.Email}}', '{{.RId}}'],
    inside: /^\./,
  },
  {
    sender: 'Marketo',
    source:
      'https://experienceleague.adobe.com/docs/marketo/using/product-docs/demand-generation/landing-pages/personalizing-landing-pages/tokens-overview.html',
    shape: '{{}}',
    examples: ['{{lead.Email Address}}', '{{lead.Email Address:default=noemail}}'],
    inside: /^(?:lead|system|my|member)\./i,
  },
  {
    sender: 'Kit',
    source: 'https://developers.kit.com/plugins/content-blocks/dynamic-blocks/liquid-templates',
    shape: '{{}}',
    examples: ['{{ subscriber.email_address }}', '{{ subscriber.first_name }}'],
    inside: /^subscriber\.(?:email_address|first_name)/,
  },
  {
    sender: 'Drip',
    source: 'https://developer.drip.com/',
    shape: '{{}}',
    examples: ['{{ subscriber.email }}', '{{ manage_subscriptions_url }}'],
    inside: /^subscriber\.email$|^manage_subscriptions_url$/,
  },
  {
    sender: 'Buttondown',
    source: 'https://github.com/buttondown/docs/blob/main/pages/odds-and-ends/template-variables.mdx',
    shape: '{{}}',
    examples: ['{{ subscriber.id }}', '{{ subscriber.metadata.city }}'],
    inside: /^subscriber\.(?:id|metadata)/,
  },
  {
    sender: 'Braze',
    source: 'https://www.braze.com/docs/user_guide/personalization_and_dynamic_content/liquid',
    shape: '{{}}',
    examples: ['{{${email_address}}}', '{{${set_user_to_unsubscribed_url}}}'],
    inside: /^\$/,
  },
  {
    sender: 'Customer.io',
    source: 'https://docs.customer.io/',
    shape: '{{}}',
    examples: ['{{customer.email}}', '{{ customer.id | url_encode }}'],
    inside: /^customer\./,
  },
  {
    sender: 'SparkPost',
    source: 'https://developers.sparkpost.com/api/template-language/',
    shape: '{{}}',
    examples: ['{{address.email}}'],
    inside: /^address\./,
  },
  {
    sender: 'Postmark',
    source: 'https://postmarkapp.com/support/article/1077-template-syntax',
    shape: '{{}}',
    examples: ['{{ person.email }}', '{{{ pm:unsubscribe }}}'],
    inside: /^(?:pm:|person\.)/,
  },
  {
    sender: 'Mailjet',
    source: 'https://dev.mailjet.com/template-language/reference/',
    shape: '{{}}',
    examples: ['{{var:email}}', '{{data:firstname:""}}'],
    inside: /^(?:var|data|event):/,
  },
  {
    sender: 'Eloqua',
    source:
      'https://docs.oracle.com/en/cloud/saas/marketing/eloqua-develop/Developers/BulkAPI/Reference/BulkLanguages/eloqua-markup-language-v3.htm',
    shape: '{{}}',
    examples: ['{{Contact.Field(C_EmailAddress)}}'],
    inside: /\.Field\(/,
  },
  {
    sender: 'Everlytic',
    source: 'https://help.everlytic.com/knowledgebase/what-are-personalisations-and-fall-backs',
    shape: '{{}}',
    examples: ['{{contact.contact_email}}'],
    inside: /^contact\.contact_/,
  },
  {
    sender: 'HubSpot',
    source: 'https://developers.hubspot.com/docs',
    shape: '{{}}',
    examples: ['{{contact.email}}', '{{ unsubscribe_link_all }}'],
    inside: /^contact\.|^unsubscribe_link_all$/,
  },
  {
    sender: 'Account Engagement (Pardot)',
    source: 'https://help.salesforce.com/s/products/account-engagement',
    shape: '{{}}',
    examples: ['{{Recipient.Email}}', '{{Unsubscribe}}'],
    inside: /^Recipient\.(?:Email|FirstName|LastName)$|^Unsubscribe$/,
  },
  {
    sender: 'CM.com',
    source: 'https://developers.cm.com/mobile-marketing-cloud/docs/how-to-use-merge-fields',
    shape: '{{}}',
    examples: ['{{ Recipient.EmailAddress }}'],
    inside: /^(?:Recipient|Sender)\./,
  },
  {
    sender: 'Dynamicweb',
    source: 'https://doc.dynamicweb.dev/documentation/implementing/other/email-templates.html',
    shape: '{{}}',
    examples: ['{{EmailMessaging:Recipient.Email}}'],
    inside: /^Email(?:Messaging|Marketing):/,
  },
  {
    sender: 'Odoo',
    source: 'https://github.com/odoo/documentation/blob/17.0/content/applications/general/email_communication/email_template.rst',
    shape: '{{}}',
    examples: ['{{ object.email }}'],
    inside: /^object\./,
  },
  {
    sender: 'Laposta',
    source: 'https://docs.laposta.org/article/685-subscriber-variable',
    shape: '{{}}',
    examples: ['{{first name, user}}'],
    inside: /^[a-z ]+, /,
  },
  {
    sender: 'Act-On',
    source: ESP_TABLE,
    shape: '{{}}',
    examples: ['{{Email-Address}}'],
    inside: /^Email-Address$/,
  },
  {
    sender: 'Plunk',
    source: 'https://docs.useplunk.com/guides/unsubscribe-pages',
    shape: '{{}}',
    examples: ['{{email}}', '{{unsubscribeUrl}}'],
    inside: /^(?:unsubscribe|manage)Url$/,
  },
  {
    sender: 'Handlebars, Liquid or Jinja',
    source: 'https://handlebarsjs.com/guide/',
    shape: '{{}}',
    examples: ['{{email}}', '{{{email}}}', '{{ email | urlencode }}'],
  },

  // {% … %}
  {
    sender: 'Klaviyo',
    source: 'https://help.klaviyo.com/hc/en-us/articles/115006054267',
    shape: '{%%}',
    examples: ["{% unsubscribe 'here' %}", '{% unsubscribe_link %}', '{% manage_preferences_link %}'],
    inside: /^(?:unsubscribe|manage_preferences|web_view)/,
  },
  {
    sender: 'Dittofeed',
    source: 'https://docs.dittofeed.com/resources/templates/liquid-presets',
    shape: '{%%}',
    examples: ['{% unsubscribe_url %}'],
    inside: /^unsubscribe_url$/,
  },
  {
    sender: 'Kentico',
    source:
      'https://docs.kentico.com/13/on-line-marketing-features/configuring-and-customizing-your-on-line-marketing-features/configuring-email-marketing/reference-email-marketing-macro-expressions',
    shape: '{%%}',
    examples: ['{% Recipient.Email %}'],
    inside: /^Recipient\./,
  },
  {
    sender: 'Jinja, Twig or Liquid',
    source: 'https://jinja.palletsprojects.com/en/stable/templates/',
    shape: '{%%}',
    examples: ['{% if email %}'],
  },

  // <% … %>, <? … ?>
  {
    sender: 'SendGrid',
    source: 'https://sendgrid.com/docs/for-developers/sending-email/suppressions',
    shape: '<%%>',
    examples: ['<%asm_group_unsubscribe_raw_url%>', '<%asm_preferences_raw_url%>'],
    inside: /^asm_/,
  },
  {
    sender: 'Adobe Campaign',
    source: 'https://experienceleague.adobe.com/en/docs/campaign/campaign-v8/analytics/tracking/personalized-links',
    shape: '<%%>',
    examples: ['<%= recipient.email %>', '<%@ value object="recipient" xpath="@email" %>'],
    inside: /^[=@]\s*(?:recipient|message|value|escapeUrl)\b/,
  },
  {
    sender: 'Mapp Engage',
    source: 'https://docs.mapp.com/docs/personalization-tags-for-placeholders',
    shape: '<%%>',
    examples: ["<% User['Email'] %>"],
    inside: /^User\[/,
  },
  {
    sender: 'Brick Street Connect',
    source: 'https://docs.brickstreetsoftware.com/display/BSC11/Mail_Merge_Tags.html',
    shape: '<%%>',
    examples: ['<%[First Name],|Customer,%>'],
    inside: /^\[/,
  },
  { sender: 'ERB, EJS or ASP', source: 'https://ejs.co/', shape: '<%%>', examples: ['<%= email %>', '<%- user.email %>'] },
  {
    sender: 'PHP',
    source: 'https://www.php.net/manual/en/language.basic-syntax.phptags.php',
    shape: '<??>',
    examples: ['<?= $email ?>', '<?php echo $email; ?>'],
  },

  // *|…|*
  {
    sender: 'Mailchimp',
    source: 'http://kb.mailchimp.com/article/how-do-i-add-the-unsub-tag-to-my-plain-text-version/',
    shape: '*||*',
    examples: ['*|EMAIL|*', '*|UNSUB|*', '*|LIST:SUBSCRIBE|*'],
  },
  {
    sender: 'Ecomail',
    source: 'https://support.ecomail.app/en/articles/5151377-merge-tag-alias-substitute-placeholder',
    shape: '*||*',
    examples: ['*|VOKATIV|*'],
    inside: /^VOKATIV$/,
  },
  {
    sender: 'cloudHQ',
    source: 'https://support.cloudhq.net/getting-started-with-merge-tags-for-email',
    shape: '*||*',
    examples: ['*|FIRST_NAME|Friend|*'],
    inside: /\|/,
  },
  {
    sender: 'Mandrill',
    source: 'https://mailchimp.com/developer/transactional/docs/templates-dynamic-content/',
    shape: '*||*',
    examples: ['*|UNSUB:https://shop.example/bye|*'],
    inside: /^UNSUB:/,
  },

  // %%…%%
  {
    sender: 'Salesforce Marketing Cloud',
    source: 'https://developer.salesforce.com/docs/marketing/marketing-cloud/guide/personalizationStringsAMPscript',
    shape: '%%%%',
    examples: ['%%emailaddr%%', '%%unsub_center_url%%', '%%=v(@email)=%%', '%%=RedirectTo(Concat("https://shop.example/?e=", @e))=%%'],
  },
  {
    sender: 'Bronto',
    source: 'https://gist.github.com/mcolyer/134740',
    shape: '%%%%',
    examples: ['%%!contact_email%%', '%%!message_id%%'],
    inside: /^!/,
  },
  {
    sender: 'Aurea List Manager (Lyris)',
    source: 'https://help.aurea.com/lm/content/unsuburl.html',
    shape: '%%%%',
    examples: ['%%url.unsub%%', '%%email.unsub%%'],
    inside: /^(?:url|email|nameemail)\./,
  },
  {
    sender: 'Delivra',
    source: 'https://github.com/alpha1/delivra-unofficial-handbook/wiki/Merge-Tags',
    shape: '%%%%',
    examples: ['%%FirstName_%%', '%%merge members_.memberidguid_%%'],
    inside: /_$|^merge /,
  },
  {
    sender: 'Blue Hornet',
    source: WISTIA_TABLE,
    shape: '%%%%',
    examples: ['%%to_email%%'],
    inside: /^to_email$/,
  },
  {
    sender: 'SendSage',
    source: 'http://api.sendsage.com/content-replacement-codes/',
    shape: '%%%%',
    examples: ['%%subscribers_email_address%%', '%%unsubscribe_link%%'],
    inside: /^(?:subscriber|mailing_list_|unsubscribe_link|emailaddress_md5)/,
  },
  {
    sender: 'Ghost',
    source: 'https://github.com/TryGhost/Ghost',
    shape: '%%%%',
    examples: ['%%{uuid}%%', '%%{unsubscribe_url}%%'],
    inside: /^\{/,
  },
  {
    sender: 'Interspire Email Marketer',
    source: 'https://www.interspire.com/emailmarketer/',
    shape: '%%%%',
    examples: ['%%emailaddress%%', '%%unsubscribelink%%'],
    inside: /^(?:emailaddress|unsubscribelink)$/,
  },

  // [[…]]
  {
    sender: 'Constant Contact',
    source: 'https://developer.constantcontact.com/api_guide/design_code_emails.html',
    shape: '[[]]',
    examples: ['[[EMAIL]]', '[[FIRSTNAME OR "there"]]', '[[trackingImage]]'],
    inside: / OR |^trackingImage$/,
  },
  {
    sender: 'Mailjet',
    source: 'https://documentation.mailjet.com/',
    shape: '[[]]',
    examples: ['[[EMAIL_TO]]', '[[UNSUB_LINK_EN]]', '[[data:firstname:""]]'],
    inside: /^(?:EMAIL_TO|UNSUB_LINK_|PERMALINK|data:)/,
  },
  {
    sender: 'eTrigue',
    source: 'https://support.etrigue.com/hc/en-us/articles/231552747-When-creating-email-messages-what-are-Merge-tags',
    shape: '[[]]',
    examples: ['[[First Name]]', '[[sig_firstname]]'],
    inside: /^sig_|^[A-Z][a-z]+ [A-Z][a-z]+$/,
  },
  {
    sender: 'Affiliate Pro',
    source: 'https://affiliatepro.org/?p=6158',
    shape: '[[]]',
    examples: ['[[website_url]]'],
    inside: /^(?:website|base)_/,
  },
  { sender: 'Maileon', source: 'https://support.xqueue.de/', shape: '[[]]', examples: ['[[CONTACT|EMAIL]]'], inside: /^[A-Z]+\|/ },
  { sender: 'GetResponse', source: 'https://www.getresponse.com/help', shape: '[[]]', examples: ['[[email]]', '[[remove]]'] },

  // ${…}, #{…}, %{…} and the like
  {
    sender: 'Oracle Responsys',
    source: 'https://docs.oracle.com/en/cloud/saas/marketing/responsys-develop/API/GetStarted/Tips/tip-passing-optional-data.htm',
    shape: '${}',
    examples: ['${EMAIL_ADDRESS_}', '${DynamicVariable.COUPON_CODE}'],
    inside: /_$|^DynamicVariable\./,
  },
  {
    sender: 'Odoo (before 15)',
    source: 'https://github.com/odoo/documentation',
    shape: '${}',
    examples: ['${object.email}'],
    inside: /^object\./,
  },
  {
    sender: 'Velocity or FreeMarker',
    source: 'https://velocity.apache.org/engine/2.3/user-guide.html',
    shape: '${}',
    examples: ['${email}', '$!{lead.email}'],
  },
  {
    sender: 'Ruby',
    source: 'https://docs.ruby-lang.org/en/master/format_specifications_rdoc.html',
    shape: '%{}',
    examples: ['%{email}', '#{user.email}'],
  },
  {
    sender: 'Discourse',
    source: 'https://github.com/discourse/discourse',
    shape: '%{}',
    examples: ['%{unsubscribe_url}', '%{user_preferences_url}'],
    inside: /^(?:unsubscribe_|user_preferences|respond_|site_)/,
  },
  {
    sender: 'Mailman 2',
    source: 'https://wiki.list.org/',
    shape: '%()s',
    examples: ['%(user_address)s', '%(user_optionsurl)s'],
    inside: /^user_/,
  },
  {
    sender: 'Python',
    source: 'https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting',
    shape: '%()s',
    examples: ['%(email)s'],
  },

  // ##…##, ~~…~~, $$…$$, $[…]$
  {
    sender: 'TYPO3 Direct Mail',
    source: 'http://typo3.org/documentation/document-library/extension-manuals/direct_mail/2.6.7/view/',
    shape: '####',
    examples: ['###USER_email###', '###SYS_AUTHCODE###'],
    inside: /^(?:USER|SYS)_/,
  },
  {
    sender: 'Newsman',
    source: 'https://kb.newsman.com/what-are-the-newsman-tags',
    shape: '####',
    examples: ['##NEWSMAN:list_unsubscribe##', '##NEWSMAN:view_online##'],
    inside: /^NEWSMAN:/,
  },
  {
    sender: 'SocketLabs',
    source:
      'https://support.socketlabs.com/index.php?/Knowledgebase/Article/View/168/11/required-unsubscribe-and-senderaddress-merge-fields-for-email-sent-with-marketing-tools',
    shape: '####',
    examples: ['##SenderAddress##', '##UnsubscribeLink##'],
    inside: /^(?:SenderAddress|Unsubscribe(?:Link)?)$/,
  },
  { sender: 'OpenEMM', source: 'https://github.com/agnitas-org/openemm', shape: '####', examples: ['##AGNUID##'], inside: /^AGN/ },
  { sender: 'Contao', source: 'https://github.com/contao/newsletter-bundle', shape: '####', examples: ['##email##', '##firstname##'] },
  {
    sender: 'e-marketeer',
    source: 'http://www.e-marketeer.co.uk/help/03.htm',
    shape: '~~~~',
    examples: ['~~EMAIL~~', '~~CURDATE+1~~'],
  },
  {
    sender: 'Eloqua',
    source: 'https://docs.oracle.com/en/cloud/saas/marketing/eloqua.html',
    shape: '~~~~',
    examples: ['~~eloqua..type--emailfield..syntax--EmailAddress..encodeFor--url~~'],
    inside: /^eloqua\.\./,
  },
  {
    sender: 'BACKCLICK',
    source: 'https://backclick.de/confluence/pages/viewpage.action?pageId=4751583',
    shape: '$$$$',
    examples: ['$$FIRSTNAME$$', '$$EMAIL$$'],
    inside: /^[A-Z]+$/,
  },
  { sender: 'FreshMail', source: 'http://freshmail.com/help-and-knowledge/', shape: '$$$$', examples: ['$$email$$', '$$resignlink$$'] },
  {
    sender: 'Zoho Campaigns',
    source: 'https://help.zoho.com/portal/en/kb/campaigns',
    shape: '$[]$',
    examples: ['$[EMAIL]$', '$[LI:UNSUBSCRIBE]$', '$[UD:CITY|there]$'],
  },

  // Brackets and braces with a mark
  {
    sender: 'Adestra',
    source: 'https://help.uplandsoftware.com/adestra/Content/link.html',
    shape: '[**]',
    examples: ['[* data.email *]', '[* link.unsub_url *]'],
  },
  {
    sender: 'Sympa',
    source: 'https://manpages.ubuntu.com/manpages/noble/man3/Sympa::Message::Template.3Sympa.html',
    shape: '[%%]',
    examples: ['[% user.email %]', '[%user.email%]'],
  },
  { sender: 'Emma', source: 'https://support.e2ma.net/', shape: '[%%]', examples: ['[% member:email %]'], inside: /^member:/ },
  {
    sender: 'Inxmail',
    source: 'https://apidocs.inxmail.com/xpro/rest/v1/',
    shape: '[%:]',
    examples: ['[%url:unsubscribe]', '[%url:unsubscribe-button; "https://shop.example/"]'],
  },
  {
    sender: 'OpenEMM',
    source: 'https://github.com/agnitas-org/openemm',
    shape: '[agn]',
    examples: ['[agnDYN name="footer"/]', '[agnFIRSTNAME]', '[agnUNSUBSCRIBE]'],
  },
  { sender: 'Emailvision', source: WISTIA_TABLE, shape: '[EMV]', examples: ['[EMV FIELD]EMAIL[EMV /FIELD]'] },
  { sender: 'AWeber', source: WISTIA_TABLE, shape: '{!}', examples: ['{!email}', '{!firstname_fix}', '{!remove_web}'] },
  {
    sender: 'Salesforce',
    source: 'https://cf-newsletrix.pages.dev/blog/newsletter-personalisation-token-guide.html',
    shape: '{!}',
    examples: ['{!Contact.FirstName}', '{!Contact.Email}'],
    inside: /^[A-Z]\w*\./,
  },
  {
    sender: 'MailerLite',
    source: 'https://www.mailersend.com/help/how-to-use-variables',
    shape: '{$}',
    examples: ['{$email}', '{$unsubscribe}'],
  },
  {
    sender: 'Copernica',
    source:
      'https://www.github.com/CopernicaMarketingSoftware/Documentation/blob/master/Publisher/nl/email-editor-personalization-variables.md',
    shape: '{$}',
    examples: ['{$profile.Voornaam}', '{$name|toupper}'],
    inside: /^(?:sub)?profile\./,
  },
  {
    sender: 'Infobip',
    source: 'https://www.infobip.com/docs/email/email-editor/email-personalization',
    shape: '{$}',
    examples: ['{$browserlink}'],
    inside: /^browserlink$/,
  },
  {
    sender: 'Webasyst',
    source: 'https://support.webasyst.com/63/unsubscription-from-mailings-using-mailer-app/',
    shape: '{$}',
    examples: ['{$unsubscribe_link}'],
    inside: /^unsubscribe_link$/,
  },
  { sender: 'SharpSpring', source: 'https://help.sharpspring.com/', shape: '{$}', examples: ['{$emailAddress}'], inside: /^emailAddress$/ },
  {
    sender: 'Sitefinity',
    source: 'https://www.progress.com/documentation/sitefinity-cms/for-developers-add-parameters-to-the-content.md',
    shape: '{||}',
    examples: ['{|Subscriber.Email|}', '{|Subscriber.UnsubscribeLink|}'],
  },
  {
    sender: 'Marigold Engage+',
    source: 'https://getstarted.meetmarigold.com/engageplus/Content/90_APIs/Data_Management_APIs/Merge_Symbol_API.htm',
    shape: '{()}',
    examples: ['{(first_name)}', '{(date_field||d:d)}'],
  },
  {
    sender: 'Mautic',
    source: 'https://github.com/mautic/user-documentation/blob/5.x/docs/configuration/variables.rst',
    shape: '{=}',
    examples: ['{contactfield=email}', '{contactfield=firstname|there}', '{ownerfield=email}'],
  },
  {
    sender: 'AcyMailing',
    source: 'https://docs.acymailing.com/',
    shape: '{:}',
    examples: ['{subtag:email}', '{usertag:name}'],
    inside: /tag:/,
  },
  { sender: 'Elastic Email', source: 'https://help.elasticemail.com/', shape: '{:}', examples: ['{unsubscribe:https://shop.example/bye}'] },
  { sender: 'LISTSERV', source: 'https://www.lsoft.com/manuals/', shape: '&*;', examples: ['&*EMAIL;', '&*NAME;'] },
  {
    sender: 'Word mail merge',
    source: 'https://support.microsoft.com/en-us/word',
    shape: '<<>>',
    examples: ['<<Email>>', '<<First Name>>', '«Email»'],
  },
  { sender: 'listmonk', source: 'https://listmonk.app/docs/templating', shape: '@TrackLink', examples: ['https://shop.example@TrackLink'] },
  {
    sender: 'Campaign Monitor or Sendy',
    source: 'https://help.campaignmonitor.com/',
    shape: '<element>',
    examples: ['<unsubscribe>', '<webversion>', '<preferences>'],
  },
  {
    sender: 'Eloqua',
    source: 'https://docs.oracle.com/en/cloud/saas/marketing/eloqua.html',
    shape: '<element>',
    examples: ['<span class=eloquaemail>', '<span class="eloquaemail">'],
    inside: /^span/,
  },
  {
    sender: 'PeopleSoft Online Marketing',
    source: 'https://docs.oracle.com/cd/F95753_01/crm92pbr22/eng/crm/conl/MergeContentSyntax-094c99.html',
    shape: '<element>',
    examples: ['<pstag:profile value="email" />'],
    inside: /^pstag:/,
  },

  // Single braces
  {
    sender: 'CiviCRM',
    source: 'https://docs.civicrm.org/dev/en/latest/framework/token',
    shape: '{}',
    examples: ['{contact.email}', '{action.unsubscribeUrl}', '{contact.first_name}'],
    inside: /^(?:contact|action|mailing|domain)\.[a-z_]+(?:Url)?$/,
  },
  {
    sender: 'Brevo',
    source: 'https://help.brevo.com/hc/en-us/articles/360000946299',
    shape: '{}',
    examples: ['{ contact.EMAIL }', '{contact.FIRSTNAME}'],
    inside: /^contact\.[A-Z_]+$/,
  },
  {
    sender: 'Newsletter plugin',
    source: 'https://www.thenewsletterplugin.com/documentation/',
    shape: '{}',
    examples: ['{unsubscription_url}', '{profile_url}', '{email_url}'],
    inside: /^(?:unsubscription|profile|email)_url$/,
  },
  {
    sender: 'Mailster',
    source: 'https://kb.mailster.co/tags-in-mailster/',
    shape: '{}',
    examples: ['{firstname|there}', '{unsub}'],
    inside: /\||^unsub$/,
  },
  {
    sender: 'Mailcamp',
    source: 'https://stage.mailcamp.io/knowledgebase/campaigns/how-to-use-variables-in-mailcamp',
    shape: '{}',
    examples: ['{UNSUBSCRIBE_URL}', '{WEB_VIEW_URL}'],
    inside: /^(?:UNSUBSCRIBE|UPDATE_PROFILE|WEB_VIEW)_URL$/,
  },
  {
    sender: 'CleverReach',
    source: 'https://support.cleverreach.com/',
    shape: '{}',
    examples: ['{UNSUBSCRIBE}', '{ONLINE_VERSION}'],
    inside: /^(?:UNSUBSCRIBE|ONLINE_VERSION|ONLINEVERSION|FORWARD)$/,
  },
  { sender: 'VerticalResponse', source: WISTIA_TABLE, shape: '{}', examples: ['{EMAIL_ADDRESS}'], inside: /^EMAIL_ADDRESS$/ },
  {
    sender: 'Mautic',
    source: 'https://github.com/mautic/user-documentation/blob/5.x/docs/configuration/variables.rst',
    shape: '{}',
    examples: ['{unsubscribe_url}', '{webview_url}'],
    inside: /^(?:unsubscribe|webview|resubscribe)_url$/,
  },
  {
    sender: 'Ghost',
    source: 'https://github.com/TryGhost/Ghost',
    shape: '{}',
    examples: ['{first_name, "there"}', '{uuid}'],
    inside: /^first_name,|^uuid$/,
  },
  {
    sender: 'dotAdmin',
    source: 'http://docs.dotadmin.com/content/unsubscribe_email_templat',
    shape: '{}',
    examples: ['{site_uri}'],
    inside: /^(?:site|company)_/,
  },
  {
    sender: 'rapidmail, Sarbacane or Python',
    source: 'https://docs.python.org/3/library/string.html#format-string-syntax',
    shape: '{}',
    examples: ['{email}', '{EMAIL}'],
  },

  // Single brackets
  {
    sender: 'phpList',
    source: 'https://github.com/bramley/phplist-plugin-viewbrowser',
    shape: '[]',
    examples: ['[EMAIL]', '[UNSUBSCRIBEURL]', '[USERID]', '[VIEWBROWSERURL]'],
    inside: /^(?:UNSUBSCRIBE|PREFERENCES|FORWARD|CONFIRMATION|VIEWBROWSER|JUMPOFF|BLACKLIST)(?:URL)?$|^USERID$/,
  },
  {
    sender: 'MailWizz',
    source: 'https://send.mailfed.com/article/campaign-tag-filters',
    shape: '[]',
    examples: ['[UNSUBSCRIBE_URL]', '[CAMPAIGN_URL:filter:urlencode]', '[SUBSCRIBER_UID]'],
    inside: /^[A-Z]+_[A-Z_0-9]+(?::filter:|$)/,
  },
  {
    sender: 'Mailtrain',
    source: 'https://github.com/Mailtrain-org/mailtrain',
    shape: '[]',
    examples: ['[LINK_UNSUBSCRIBE]', '[LINK_BROWSER]'],
    inside: /^LINK_/,
  },
  {
    sender: 'MailPoet',
    source: 'https://kb.mailpoet.com/',
    shape: '[]',
    examples: ['[subscriber:email]', '[subscriber:firstname | default:reader]', '[link:subscription_unsubscribe_url]'],
    inside: /^(?:subscriber|link|newsletter|date|user):/,
  },
  {
    sender: 'Benchmark Email',
    source: 'https://www.benchmarkemail.com/help-faq/',
    shape: '[]',
    examples: ['[contact_attribute:email]'],
    inside: /^contact_attribute:/,
  },
  {
    sender: 'Drupal',
    source: 'https://gist.github.com/784989',
    shape: '[]',
    examples: ['[user:mail]', '[user:one-time-login-url]', '[site:url]'],
    inside: /^(?:user|site|current-user|comment|node):/,
  },
  {
    sender: 'Siebel Marketing',
    source: 'https://docs.oracle.com/cd/B40099_02/books/MKTG_User/MKTG_User_Offers22.html',
    shape: '[]',
    examples: ['[Field: First Name]'],
    inside: /^Field: /,
  },
  {
    sender: 'Campaign Monitor or Sendy',
    source: 'https://help.oneclickpolitics.com/hc/en-us/articles/228081588-How-do-I-personalize-a-campaign',
    shape: '[]',
    examples: ['[Name,fallback=]', '[firstname,fallback=friend]', '[Email]'],
    inside: /,\s*fallback=/,
  },
  {
    sender: 'Earnware',
    source: 'https://support.earnware.com/earnware/standard-merge-codes-and-custom-fields',
    shape: '[]',
    examples: ['[firstName, My Friend]', '[contactId]'],
    inside: /, /,
  },
  {
    sender: 'Ontraport',
    source: 'https://ontraport.com/support/crm/set-up-and-use-merge-fields/',
    shape: '[]',
    examples: ['[First Name]'],
    inside: /^[A-Z][a-z]+ [A-Z][a-z]+$/,
  },
  {
    sender: 'Campaign Monitor, iContact or SendGrid',
    source: 'https://github.com/webguyio/generic-email',
    shape: '[]',
    examples: ['[email]', '[unsubscribe]', '[webversion]'],
  },

  // %…%
  {
    sender: 'Mailgun',
    source: 'https://documentation.mailgun.com/docs/mailgun/user-manual/tracking-messages',
    shape: '%%',
    examples: ['%recipient.email%', '%recipient.yourkey%', '%unsubscribe_url%', '%mailing_list_unsubscribe_url%'],
    inside: /^recipient[._]|unsubscribe_(?:url|email)$/,
  },
  {
    sender: 'Follow Up Boss',
    source: 'https://docs.followupboss.com/docs/merge-fields',
    shape: '%%',
    examples: ['%contact_email%', '%agent_phone%'],
    inside: /^(?:contact|agent|source|inquiry)_/,
  },
  {
    sender: 'EnvialoSimple',
    source: 'https://github.com/luke92/EnvialoSimple/blob/master/EnvialoSimpleAPIRequest.json',
    shape: '%%',
    examples: ['%Member:CustomField1%', '%Member:Email%'],
    inside: /^Member:/,
  },
  {
    sender: 'GemBox.Email',
    source: 'https://www.gemboxsoftware.com/email/examples/c-sharp-vb-mail-merge-datatable/501',
    shape: '%%',
    examples: ['%FirstName%'],
    inside: /^(?:FirstName|LastName|Title)$/,
  },
  {
    sender: 'Let’s Extract',
    source: 'https://letsextract.com/docs/automatic_unsubscribing.htm',
    shape: '%%',
    examples: ['%UNSUBSCRIBE%'],
    inside: /^UNSUBSCRIBE$/,
  },
  {
    sender: 'ActiveCampaign',
    source: 'https://activepedia.com/index.php?title=Unsubscribe_Link',
    shape: '%%',
    examples: ['%EMAIL%', '%UNSUBSCRIBELINK%', '%PERSONALIZATION%'],
  },

  // Other single marks
  {
    sender: 'Dotdigital',
    source: 'https://developer.dotdigital.com/reference/marketing-emails',
    shape: '$$',
    examples: ['$UNSUB$'],
    inside: /^UNSUB$/,
  },
  { sender: 'Constant Contact', source: ESP_TABLE, shape: '$$', examples: ['$SUBSCRIBER.EMAIL$'], inside: /^SUBSCRIBER\./i },
  {
    sender: 'Oracle Responsys',
    source: 'https://docs.oracle.com/en/cloud/saas/marketing/responsys-develop/',
    shape: '$$',
    examples: ['$EMAIL_ADDRESS_$'],
    inside: /_$/,
  },
  {
    sender: 'Emarsys or SALESmanago',
    source: 'http://support.salesmanago.pl/adding-the-opt-out-option/',
    shape: '$$',
    examples: ['$email$', '$firstname$'],
  },
  {
    sender: 'Moosend',
    source: 'https://help.moosend.com/',
    shape: '##',
    examples: ['#recipient:email#', '#unsubscribeLink#'],
    inside: /^recipient:|Link$/,
  },
  {
    sender: 'SmarterMail',
    source: 'http://help.smartertools.com/SmarterMail/v15/Topics/DomainAdmin/Settings/MailingLists/SubscriberFields.aspx',
    shape: '##',
    examples: ['#Customer Name#'],
    inside: / /,
  },
  {
    sender: 'Flexmail or ColdFusion',
    source: 'https://en.support.flexmail.eu/article/383-personalise-with-placeholders',
    shape: '##',
    examples: ['#email#', '#firstname#', '#unsubscribe#'],
  },
  { sender: 'Dotdigital', source: 'https://support.dotdigital.com/', shape: '@@', examples: ['@EMAIL@', '@FIRSTNAME@'] },
  { sender: 'Keap', source: 'https://help.keap.com/', shape: '~~', examples: ['~Contact.Email~', '~Contact.FirstName~'] },
  {
    sender: 'Dolibarr',
    source: 'https://wiki.dolibarr.org/index.php?oldid=50324&title=Variable_substitution_system',
    shape: '____',
    examples: ['__EMAIL__', '__USER_UNSUBSCRIBE__', '__CHECK_READ__', '__MYCOMPANY_NAME__'],
  },
  {
    sender: 'SendGrid',
    source: 'https://twilio.com/docs/sendgrid/for-developers/sending-email/substitution-tags',
    shape: '--',
    examples: ['-email-', '-name-', '-customerID-', '-firstName-'],
  },
  { sender: 'Etelligent', source: 'http://wiki.colony101.co.uk/etelligent/index.php/Merge_Fields', shape: '----', examples: ['--name--'] },
  {
    sender: 'Mailcoach',
    source: 'https://mailcoach.app/docs/self-hosted/v4/campaigns/creating-a-campaign',
    shape: '::::',
    examples: ['::unsubscribeUrl::', '::webviewUrl::'],
  },
  {
    sender: 'E-goi',
    source: 'https://helpdesk.e-goi.com/776263-Using-merge-codes-to-personalize-messages',
    shape: '!',
    examples: ['!email', '!cellphone', '!fname'],
  },
  {
    sender: 'Mailman 3',
    source: 'https://gitlab.com/mailman/postorius/issues/352',
    shape: '$',
    examples: ['$user_email', '$user_address'],
    inside: /^user_/,
  },
  {
    sender: 'promio.connect',
    source: 'https://servicewiki.promio-connect.com/doku.php/en:how_to_personalize_emails?rev=1555422979',
    shape: '$',
    examples: ['$mail', '$name'],
  },
  {
    sender: 'ASP.NET Razor',
    source: 'https://learn.microsoft.com/en-us/aspnet/core/mvc/views/razor',
    shape: '@Model',
    examples: ['@Model.Email', '@(Model.Email)'],
  },
];

/**
 * Words that the names of fields are made of, in lower case and without accents. A name is a field if it is made of these words only, with
 * or without separators: `first_name`, `UNSUBSCRIBEURL`, `emailAddress`.
 */
export const FIELD_WORDS =
  // A person
  'email mail emails address addr name first last middle full display nick given family sur fname lname mname user users username userid member members customer client ' +
  'contact contacts subscriber subscribers recipient recipients person people lead profile account salutation greeting gender sex birthday birth dob age title prefix ' +
  'phone mobile cell cellphone tel telephone fax company organization organisation employer department position job street city town state zip zipcode postal postcode ' +
  'country region language locale website ' +
  // Identifiers
  'id ids uid uuid guid uniqid unique key hash token code coupon voucher discount promo number no nr md5 sha1 sha256 external internal auth authcode signature secret ' +
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
