// Enhancement only: every page works without this module.
//
//   <form data-live-preview="/url" data-live-target="#id">   posts itself on change, swaps the answer into the target;
//                                                            with data-live-at-once also when the page opens
//   <div data-poll="/url" data-poll-seconds="2">             replaces itself with the answer until that no longer polls;
//                                                            posts the <form data-poll-form> inside it, if there is one
//   <button data-copy="#id" data-copied="Copied">            copies the text of an element
//
// A fragment may carry [data-announce="..."] (read to screen readers) and [data-reload] (load the page anew).

const status = document.getElementById("live-status");

function announce(text) {
  if (status && text && status.textContent !== text) status.textContent = text;
}

function fragmentOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

function swap(target, html) {
  const focused = target.contains(document.activeElement) ? document.activeElement.id : "";
  target.replaceChildren(fragmentOf(html));
  if (focused) document.getElementById(focused)?.focus();
  announce(target.querySelector("[data-announce]")?.dataset.announce);
}

function livePreview(form) {
  const target = document.querySelector(form.dataset.liveTarget);
  let request = new AbortController();
  let stale = false; // the form says something that the figures do not answer yet
  let pressedAt = ""; // what the figures said when the button was pressed meanwhile
  let down = false;
  let letGo = () => {};
  const plainWay = (hidden) => form.querySelectorAll("[data-without-script]").forEach((element) => { element.hidden = hidden; });
  plainWay(true);

  const priced = (element) => Boolean(element?.name) && !element.closest("[data-not-priced]");
  const said = () => target.querySelector("[data-announce]")?.dataset.announce ?? "";
  const place = () => target.querySelector('button[value="place"]');
  // A press that leaves a field changes it first: the button is not taken away from under the finger.
  const released = () => new Promise((resolve) => { if (down) letGo = resolve; else resolve(); });
  form.addEventListener("pointerdown", () => { down = true; });
  ["pointerup", "pointercancel"].forEach((kind) => {
    document.addEventListener(kind, () => setTimeout(() => { down = false; letGo(); }, 0));
  });

  form.addEventListener("submit", (event) => {
    if (!stale || event.submitter?.value !== "place") return;
    event.preventDefault();
    pressedAt = said();
  });

  async function refresh() {
    request.abort();
    request = new AbortController();
    stale = true;
    target.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.livePreview, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "text/html" },
        credentials: "same-origin",
        signal: request.signal,
      });
      if (!answer.ok) throw new Error(`preview answered ${answer.status}`);
      const html = await answer.text();
      await released();
      swap(target, html);
      plainWay(true);
      stale = false;
      target.removeAttribute("aria-busy");
      // Pressed while the figures were on their way: it counts if they came out as they stood there.
      if (pressedAt && pressedAt === said() && place()) form.requestSubmit(place());
      pressedAt = "";
    } catch (error) {
      if (error.name === "AbortError") return;
      // The figures on screen may be old now: the button stays off and the plain way is offered again.
      target.removeAttribute("aria-busy");
      target.querySelectorAll("button").forEach((button) => { button.disabled = true; });
      pressedAt = "";
      plainWay(false);
      announce(form.dataset.liveFailed);
    }
  }

  form.addEventListener("change", (event) => { if (priced(event.target)) refresh(); });
  // Filled in for somebody we know: there may be nothing to change, so nothing is waited for.
  if ("liveAtOnce" in form.dataset) refresh();
}

function poll(element, seconds = Number(element.dataset.pollSeconds || 2)) {
  setTimeout(async () => {
    let next = element;
    const form = element.querySelector("form[data-poll-form]");
    try {
      const answer = await fetch(element.dataset.poll, {
        method: form ? "POST" : "GET",
        body: form ? new FormData(form) : undefined,
        headers: { Accept: "text/html" },
        credentials: "same-origin",
      });
      if (answer.ok) {
        const fragment = fragmentOf(await answer.text());
        if (fragment.querySelector("[data-reload]")) {
          location.reload();
          return;
        }
        const fresh = fragment.firstElementChild;
        element.replaceWith(fresh);
        announce(fresh.dataset.announce);
        next = fresh.dataset.poll ? fresh : null;
      }
    } catch {
      // Offline for a moment: ask again at the next beat.
    }
    // A page left open asks ever more slowly, at last twice a minute.
    if (next) poll(next, Math.min(seconds * 1.2, 30));
  }, 1000 * seconds);
}

function copyButton(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.querySelector(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const label = button.textContent;
    button.textContent = button.dataset.copied;
    announce(button.dataset.copied);
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

document.querySelectorAll("form[data-live-preview]").forEach(livePreview);
document.querySelectorAll("[data-poll]").forEach((element) => poll(element));
document.querySelectorAll("button[data-copy]").forEach(copyButton);
document.querySelector("[data-error-summary]")?.focus();
