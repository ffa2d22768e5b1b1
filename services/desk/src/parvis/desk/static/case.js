/* What a case's page does with a script: keeps the draft while one types, counts SMS and pages, inserts prepared texts at the cursor,
   counts down to an answer's departure, puts who answers by mouse into the next answer, and obeys single keys. Without it every page works as well. */
"use strict";
(() => {
  const OFF = "parvis-keys-off", BY_MOUSE = "parvis-answers-by-mouse";
  const form = document.querySelector("form[data-draft]");

  for (const leaving of document.querySelectorAll("form.leaving")) {
    const seconds = leaving.querySelector(".seconds");
    const until = performance.now() + Number(seconds.textContent) * 1000;
    const timer = setInterval(() => {
      const left = Math.ceil((until - performance.now()) / 1000);
      seconds.textContent = Math.max(left, 0);
      if (left <= 0) {
        clearInterval(timer);
        leaving.hidden = true;
      }
    }, 250);
  }

  if (form) {
    const state = document.getElementById("draft-state"), meter = document.getElementById("meter");
    let timer, running, sent = false, shown = state.textContent;
    const save = async () => {
      running?.abort();
      running = new AbortController();
      const body = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string")); // a file needs a button
      try {
        const answer = await fetch(form.dataset.draft, {
          method: "POST", body, headers: { accept: "application/json" }, signal: running.signal, redirect: "error",
        });
        if (!answer.ok) throw new Error(answer.status);
        const { saved, meter: sentence } = await answer.json();
        if (shown !== saved) state.textContent = shown = saved;
        meter.textContent = sentence;
      } catch (error) {
        if (error.name === "AbortError" || sent) return;
        state.textContent = shown = form.dataset.unsaved;
        timer = setTimeout(save, 5000);
      }
    };
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(save, 800);
    };
    for (const area of form.querySelectorAll("#f-text, #f-note, #f-internal")) area.addEventListener("input", later);
    for (const way of form.querySelectorAll("input[name=channel], input[name=then]")) way.addEventListener("change", later);
    form.addEventListener("submit", () => {
      sent = true;
      clearTimeout(timer);
      running?.abort();
    });

    const chosen = document.getElementById("f-answer-text"), text = document.getElementById("f-text");
    chosen?.addEventListener("change", () => {
      const { text: words, then } = chosen.selectedOptions[0].dataset;
      if (!words) return;
      const before = text.value.slice(0, text.selectionStart);
      text.setRangeText((before && !before.endsWith("\n") ? "\n\n" : "") + words, text.selectionStart, text.selectionEnd, "end");
      const radio = form.querySelector(`input[name=then][value="${then}"]`);
      if (radio) radio.checked = true;
      chosen.value = "";
      text.focus();
      later();
    });
    // Who sends by mouse writes the next answer without a click into its field, and sees the case first. Who sends by key goes on by key.
    form.querySelector("button[value=next]")?.addEventListener("click", ({ pointerType }) => {
      sessionStorage.setItem(BY_MOUSE, pointerType === "mouse" ? "1" : "");
    });
    const isByMouse = sessionStorage.getItem(BY_MOUSE);
    sessionStorage.removeItem(BY_MOUSE);
    if (isByMouse && new URLSearchParams(location.search).get("notice") === "replied_next") {
      addEventListener("load", () => text?.focus({ preventScroll: true })); // later than the fragment, which takes the focus away
    }

    const insert = form.querySelector(".insert button");
    if (insert) insert.hidden = true;
  }

  const isOff = () => localStorage.getItem(OFF) === "1";
  const open = (key) => {
    const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!target) return false;
    if (target.matches("summary")) {
      target.parentElement.open = true;
      (target.parentElement.querySelector("input:not([type=hidden]), select, textarea") ?? target).focus();
    } else target.click();
    return true;
  };
  const focus = (id) => {
    const field = document.getElementById(id);
    field?.closest("details")?.setAttribute("open", "");
    field?.focus();
    if (field?.matches("textarea")) field.setSelectionRange(field.value.length, field.value.length);
    return Boolean(field);
  };
  const special = {
    r: () => focus("f-text") || focus("f-note"),
    a: () => focus("f-note") || open("i"),
    h: () => focus("f-snooze-until"),
  };
  // The button that follows a field in its own panel: what the field is typed for.
  const confirm = (field) => {
    const buttons = field.closest("details.panel")?.querySelectorAll("button[formaction]") ?? [];
    const own = [...buttons].find((button) => field.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING);
    own?.click();
    return Boolean(own);
  };
  document.addEventListener("keydown", (event) => {
    if (isOff() || event.altKey || event.metaKey || event.repeat || event.isComposing) return;
    if (event.ctrlKey) {
      if (event.key !== "Enter") return;
      if (event.target.matches("#f-text") ? open("Ctrl Enter") : confirm(event.target)) event.preventDefault();
      return;
    }
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    if (event.key in special ? special[event.key]() : event.key.length === 1 && open(event.key)) event.preventDefault();
  });
})();
