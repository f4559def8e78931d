import { expect, test } from 'vitest';
import { scanHtml } from '../letter/html-links.ts';
import { mjmlToHtml } from './mjml.ts';

const convert = (body: string, head = ''): Promise<string> =>
  mjmlToHtml(
    `<mjml>\n<mj-head>${head}</mj-head>\n<mj-body>\n<mj-section><mj-column>\n${body}\n</mj-column></mj-section>\n</mj-body>\n</mjml>`,
    'letter.mjml',
  );

test('MJML becomes an HTML letter, in which tags and addresses stay as they are', async () => {
  const html = await convert(
    `<mj-text>Dear {{name}}, <a href="https://shop.example/sale?a=1&amp;u={{ user id }}">sale</a> {{ x | default: "you" }}</mj-text>
<mj-button href="{{unsubscribe}}">No more</mj-button><mj-image src="https://shop.example/{{id}}.png" alt="{{name}}" />`,
    '<mj-preview>For {{name}}</mj-preview><mj-style inline="inline">.a { color: red }</mj-style>',
  );
  expect(html).toMatch(/^<!doctype html>/);
  expect(scanHtml(html).links.map(({ address }) => address)).toEqual(['https://shop.example/sale?a=1&u={{ user id }}', '{{unsubscribe}}']);
  for (const tag of ['Dear {{name}}', 'For {{name}}', '{{id}}.png', 'alt="{{name}}"', "{{ x | default: 'you' }}"])
    expect(html).toContain(tag);
});

test('mistakes are shown with their lines', async () => {
  await expect(convert('<mj-text colour="{{red}}">x</mj-text>\n<mj-buton>y</mj-buton>')).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(
      /^letter\.mjml is not valid MJML\.\n {2}line 5: mj-text: Attribute colour is illegal\n {2}line 6: mj-buton: Element/,
    ),
  });
  await expect(mjmlToHtml('<p>x</p>', 'letter.mjml')).rejects.toThrow(/^letter\.mjml is not valid MJML: Malformed MJML/);
});

test('other files are not read', async () => {
  await expect(convert('<!-- <mj-include path="a" /> -->\n<mj-include path="/etc/passwd" type="html" />')).rejects.toThrow(
    /^letter\.mjml, line 6: mj-include is not read/,
  );
  expect(await convert('<!-- <mj-include path="/etc/passwd" /> --><mj-text>x</mj-text>')).not.toContain('root:');
});
