/**
 * The script of every page. It fetches the page again every few seconds and replaces the live parts that have changed, so nothing flickers.
 * The focus and the scroll positions of tables are kept. The script does not refresh a hidden tab or a page with selected text.
 */
export const REFRESH_SCRIPT = `
(() => {
  const status = document.getElementById('status');
  const intervalMs = Number(document.currentScript.dataset.refresh) * 1000;
  if (!intervalMs) return;
  const timeNow = () => new Date().toLocaleTimeString();
  let updated = timeNow();
  let timer;
  const identify = (e) => e.id || e.getAttribute('href') || e.getAttribute('aria-label');
  function replaceLive(current, next) {
    if (next.innerHTML === current.innerHTML) return;
    const boxes = (root) => [...root.querySelectorAll('.table')];
    const scrolled = boxes(current).map((box) => box.scrollLeft);
    const opened = [...current.querySelectorAll('details')].map((e) => e.open);
    const active = current.contains(document.activeElement) ? document.activeElement : undefined;
    const position = active && [...current.querySelectorAll(active.tagName)].filter((e) => identify(e) === identify(active)).indexOf(active);
    current.replaceChildren(...next.childNodes);
    boxes(current).forEach((box, i) => { box.scrollLeft = scrolled[i] || 0; });
    current.querySelectorAll('details').forEach((e, i) => { e.open = Boolean(opened[i]); });
    if (active) [...current.querySelectorAll(active.tagName)].filter((e) => identify(e) === identify(active))[position]?.focus({ preventScroll: true });
  }
  async function refresh() {
    clearTimeout(timer);
    if (!document.hidden && getSelection().isCollapsed) {
      try {
        const response = await fetch(location.href);
        // The new style sheet has another nonce, so this page may not use it. This page already has the same style sheet.
        const text = (await response.text()).replace(/<style[^]*?<\\/style>/, '');
        const page = new DOMParser().parseFromString(text, 'text/html');
        if (!response.ok) throw new Error(page.querySelector('.error')?.textContent ?? '');
        const [parts, fresh] = [document, page].map((root) => [...root.querySelectorAll('[data-live]')]);
        // One of the pages shows an error, or they have different parts.
        if (page.title !== document.title || parts.length !== fresh.length) return location.reload();
        parts.forEach((part, i) => replaceLive(part, fresh[i]));
        updated = timeNow();
        status.textContent = 'Live, updated ' + updated;
      } catch (error) {
        status.textContent = 'Not updated since ' + updated + '. ' + (error instanceof TypeError ? 'The dashboard does not answer.' : error.message);
      }
    }
    timer = setTimeout(refresh, intervalMs);
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
  status.textContent = 'Live, updated ' + updated;
  timer = setTimeout(refresh, intervalMs);
})();
`;
