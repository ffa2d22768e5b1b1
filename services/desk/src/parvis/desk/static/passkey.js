// Asks the browser for a passkey and sends its answer as the form that the button belongs to.
"use strict";
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    const asked = await (await fetch(form.dataset.passkey)).json();
    const question = JSON.parse(asked.question);
    try {
      const made = form.dataset.kind === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(question) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(question) });
      form.elements.answer.value = JSON.stringify(made.toJSON());
      form.elements.state.value = asked.state;
      form.submit();
    } catch {
      form.querySelector("[role=status]").hidden = false;
    }
  });
}
