/* What the desk's pages do with a script: keys, news of the queue, who else looks. Without it every page works as well. */
'use strict';
(() => {
  const OFF = 'parvis-keys-off', body = document.body;
  const rows = () => [...document.querySelectorAll('a.subject')];
  const keysAreOff = () => localStorage.getItem(OFF) === '1';
  const isTyping = (element) => element.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]') !== null;

  function move(step) {
    const all = rows(), at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
    if (next) { next.focus(); next.closest('tr').scrollIntoView({ block: 'nearest' }); }
  }
  const keys = {
    j: () => move(1), k: () => move(-1),
    o: () => { if (document.activeElement.matches('a.subject')) document.activeElement.click(); },
    '/': () => document.getElementById('f-search')?.focus(),
    n: () => { location.href = '/counter'; },
    x: () => document.activeElement.closest('tr')?.querySelector('input[type=checkbox]')?.click(),
    X: () => document.querySelectorAll('.rows input[form=bulk]').forEach((box) => { box.checked = true; }),
    u: () => { if (!document.querySelector('.queue-page')) history.back(); },
  };
  for (let view = 1; view <= 8; view += 1) keys[view] = () => document.querySelectorAll('.views a')[view - 1]?.click();
  document.addEventListener('keydown', (event) => {
    if (keysAreOff() || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  const control = document.getElementById('keys-off');
  if (control) {
    control.closest('[hidden]').hidden = false;
    control.checked = keysAreOff();
    control.addEventListener('change', () => localStorage.setItem(OFF, control.checked ? '1' : '0'));
  }

  function follow(address, show) {
    const stream = new EventSource(address);
    stream.onmessage = (event) => show(JSON.parse(event.data));
    addEventListener('pagehide', () => stream.close());
  }
  const list = document.querySelector('.list[data-events]');
  if (list) {
    const news = document.getElementById('news'), shown = new Set([...list.querySelectorAll('[id^="c-"]')].map((row) => row.id.slice(2)));
    follow(list.dataset.events, ({ rows: now }) => {
      const added = Object.keys(now).filter((id) => !shown.has(id)).length;
      news.hidden = added === 0;
      news.textContent = (added === 1 ? news.dataset.one : news.dataset.other).replace('#', added);
      for (const id of shown) {
        const row = document.getElementById(`c-${id}`), looking = row.querySelector('.looking');
        row.classList.toggle('gone', !(id in now));
        if (looking) looking.textContent = now[id] || '';
      }
    });
  }
  const others = document.getElementById('others');
  if (others) {
    follow(others.dataset.events, ({ others: names }) => {
      others.hidden = names.length === 0;
      others.textContent = names.length ? others.dataset.text.replace('#', names.join(', ')) : '';
    });
  }
})();
