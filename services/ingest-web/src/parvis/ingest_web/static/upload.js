// Sends the files of a form ahead, one by one, and says how far it is. Without it the browser sends them with the form.
// Whatever fails here, the form goes as it would without this script: nothing depends on it, and nothing is stored here.
"use strict";
for (const form of document.querySelectorAll("form[data-files]")) {
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    const inputs = [...form.querySelectorAll("input[type=file]")].filter((input) => input.files.length);
    if (form.dataset.sent || !inputs.length) return;
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      for (const input of inputs) {
        for (const file of [...input.files]) keep(form, input, await send(form, input, file, status));
        input.value = "";
      }
      status.textContent = "";
    } catch {
      status.textContent = form.dataset.failed; // the server says what is wrong, on the page that comes back
    }
    form.dataset.sent = "yes";
    if (button) button.disabled = false;
    form.requestSubmit(button);
  });
  addEventListener("pageshow", () => delete form.dataset.sent);
}

function send(form, input, file, status) {
  const body = new FormData();
  for (const name of ["_once", "_csrf"]) body.append(name, form.elements[name].value);
  body.append(input.name, file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let told = -1;
    request.upload.onprogress = (event) => {
      const percent = Math.floor((10 * event.loaded) / event.total) * 10;
      if (percent === told) return; // a screen reader reads each change aloud: every tenth is enough
      told = percent;
      status.textContent = form.dataset.sending.replace("NAME", file.name).replace("PERCENT", percent);
    };
    request.onload = () => (request.status === 201 ? resolve(JSON.parse(request.response).kept) : reject(request.status));
    request.onerror = request.ontimeout = reject;
    request.open("POST", form.dataset.files);
    request.send(body);
  });
}

function keep(form, input, kept) {
  for (const [name, seals] of Object.entries(kept)) {
    for (const seal of seals) {
      const hidden = document.createElement("input");
      hidden.type = "hidden";
      hidden.name = "_kept-" + name;
      hidden.value = seal;
      input.before(hidden);
    }
  }
}
