/**
 * Fetches the same page every few seconds and puts what is new into place: nothing flickers, and focus, selection and the place to which a
 * table was scrolled stay. A page that nobody looks at does not ask.
 */
export const REFRESH_SCRIPT = `
(() => {
  const status = document.getElementById('status');
  const everyMs = Number(document.querySelector('[data-live]').dataset.refresh) * 1000;
  if (!everyMs) return;
  const clock = () => new Date().toLocaleTimeString();
  let updated = clock();
  let timer;
  const nameOf = (e) => e.id || e.getAttribute('href') || e.getAttribute('aria-label');
  function put(next) {
    const now = document.querySelector('[data-live]');
    if (next.innerHTML === now.innerHTML) return;
    const boxes = (root) => [...root.querySelectorAll('.table')];
    const left = boxes(now).map((box) => box.scrollLeft);
    const active = now.contains(document.activeElement) ? document.activeElement : undefined;
    const alike = active && [...now.querySelectorAll(active.tagName)].filter((e) => nameOf(e) === nameOf(active)).indexOf(active);
    now.replaceChildren(...next.childNodes);
    boxes(now).forEach((box, i) => { box.scrollLeft = left[i] || 0; });
    if (active) [...now.querySelectorAll(active.tagName)].filter((e) => nameOf(e) === nameOf(active))[alike]?.focus({ preventScroll: true });
  }
  async function refresh() {
    clearTimeout(timer);
    if (!document.hidden && getSelection().isCollapsed) {
      try {
        const answer = await fetch(location.href);
        // Its style sheet has a nonce that is not ours; we have that style sheet.
        const text = (await answer.text()).replace(/<style[^]*?<\\/style>/, '');
        const page = new DOMParser().parseFromString(text, 'text/html');
        if (!answer.ok) throw new Error(page.querySelector('.error')?.textContent ?? '');
        // A page of errors has become the page that was asked for.
        if (page.title !== document.title) return location.reload();
        put(page.querySelector('[data-live]'));
        updated = clock();
        status.textContent = 'Live, updated ' + updated;
      } catch (error) {
        status.textContent = 'Not updated since ' + updated + '. ' + (error instanceof TypeError ? 'The dashboard does not answer.' : error.message);
      }
    }
    timer = setTimeout(refresh, everyMs);
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
  status.textContent = 'Live, updated ' + updated;
  timer = setTimeout(refresh, everyMs);
})();
`;
