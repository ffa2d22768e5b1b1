// Under attack the server asks each form for a sum that is long to find and short to check. Without this script one waits.
"use strict";
for (const form of document.querySelectorAll("form[data-work]")) {
  const status = form.querySelector("[role=status]");
  if (globalThis.crypto?.subtle) {
    status.textContent = form.dataset.working;
    search(form.elements._once.value.split(".")[0], Number(form.dataset.work)).then((found) => {
      form.elements._proof.value = found;
      status.textContent = form.dataset.worked;
    });
  }
}

// The number n for which SHA-256("<seed>.<n>") begins with that many zero bits.
async function search(seed, bits) {
  const encoder = new TextEncoder();
  for (let n = 0; ; n += 64) {
    const digests = await Promise.all(
      Array.from({ length: 64 }, (_, i) => crypto.subtle.digest("SHA-256", encoder.encode(`${seed}.${n + i}`))),
    );
    const at = digests.findIndex((digest) => new DataView(digest).getUint32(0) >>> (32 - bits) === 0);
    if (at >= 0) return String(n + at);
  }
}
