// The pages for clicks that are not redirected. They contain no slug, no URL and nothing else that identifies a recipient.

function page(title: string, text: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>
  :root { color-scheme: light dark; font: 1.1rem/1.6 system-ui, sans-serif; }
  body { margin: 20vh auto 0; max-width: 32rem; padding: 0 1.5rem; }
  h1 { font-size: 1.4rem; }
</style>
<h1>${title}</h1>
<p>${text}</p>
`;
}

export const NOT_FOUND_PAGE = page(
  'This link does not lead anywhere',
  'It may have been cut off when it was copied. Please open it from the mail you received.',
);
export const GONE_PAGE = page('This link has ended', 'The page it led to is no longer offered.');
export const LATER_PAGE = page(
  'One moment, please',
  'This link is very new and could not be looked up just now. Please try again in a few seconds.',
);
