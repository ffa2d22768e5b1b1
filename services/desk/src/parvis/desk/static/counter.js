/* The counter: cases while one types, calls that ring, keys, and the printer. Without it every page works as well. */
'use strict';
(() => {
  const field = document.getElementById('f-q'), people = document.getElementById('people'), calls = document.getElementById('calls');
  const form = document.getElementById('visit'), print = document.getElementById('print');
  const links = () => [...people.querySelectorAll('a')];
  let shown = field ? field.value.trim() : '', turn = 0, waiting;

  async function load(address) {
    const answer = await fetch(address, { headers: { accept: 'text/html' } }).catch(() => null);
    return answer && answer.ok && !answer.redirected ? answer.text() : null;
  }
  async function search() {
    const typed = field.value.trim(), mine = ++turn;
    if (typed === shown) return;
    const channel = document.querySelector('.who input[name=channel]').value;
    const found = await load(`${field.dataset.live}?${new URLSearchParams({ q: typed, channel })}`);
    if (found === null || mine !== turn) return;
    people.innerHTML = found;
    shown = typed;
  }
  if (field) {
    field.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(search, 150); });
    field.form.addEventListener('submit', async (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      await search();
      if (links().length && field.value.trim() === shown) links()[0].click();
      else field.form.submit();
    });
    field.closest('.who').addEventListener('keydown', (event) => {
      const all = links(), at = all.indexOf(document.activeElement);
      if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp' || !all.length) return;
      event.preventDefault();
      const next = at + (event.key === 'ArrowDown' ? 1 : -1);
      (next < 0 ? field : all[Math.min(next, all.length - 1)]).focus();
    });
    // Nothing moves while somebody writes: calls are shown as long as nobody has begun.
    setInterval(async () => {
      if (document.hidden || ![document.body, field].includes(document.activeElement)) return;
      const found = await load(calls.dataset.live);
      if (found !== null && found !== calls.innerHTML) calls.innerHTML = found;
    }, 3000);
  }
  if (form) {
    form.querySelector('.keys').hidden = false;
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
    });
  }
  if (print) {
    print.hidden = false;
    print.addEventListener('click', () => window.print());
    print.focus();
  }
})();
