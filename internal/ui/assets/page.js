// What the pages do beside what the server says: count, show times in the reader's zone,
// say when the server is lost, and send a form once. Without it every page still works.
(() => {
  "use strict";
  const root = document.documentElement;
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } };

  const themes = ["auto", "light", "dark"];
  let theme = themes.includes(recall("theme")) ? recall("theme") : "auto";
  const dress = () => { if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme; };
  dress();

  // Without TLS a browser keeps six connections to a server, and a seventh page would hang:
  // there a page in the background lets its stream go.
  const config = document.querySelector("meta[name=htmx-config]");
  if (config && location.protocol === "http:") config.content = config.content.replace('"pauseOnBackground":false', '"pauseOnBackground":true');

  // The server's clock, carried on by one that nobody sets.
  let serverTime = 0;
  let heardAt = 0;
  const hear = (ms) => { serverTime = ms; heardAt = performance.now(); };
  const now = () => serverTime + performance.now() - heardAt;

  let local = recall("zone") === "local";
  const two = (n) => String(n).padStart(2, "0");
  const absolute = (ms) => {
    const t = new Date(ms);
    if (!local) return t.toISOString().slice(0, 19).replace("T", " ") + " UTC";
    const off = -t.getTimezoneOffset();
    const zone = (off < 0 ? "-" : "+") + two(Math.floor(Math.abs(off) / 60)) + ":" + two(Math.abs(off) % 60);
    return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())} ${zone}`;
  };
  const lasting = (s) => {
    const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
    let text = "";
    for (const [size, unit] of parts) {
      const n = Math.floor(s / size);
      s -= n * size;
      if (n > 0 && !(unit === "s" && /[dh]/.test(text)) && !(unit === "m" && text.includes("d"))) text += n + unit;
    }
    return text || "0s";
  };
  const relative = (ms) => {
    const s = Math.round((ms - now()) / 1000);
    return s === 0 ? "now" : s > 0 ? "in " + lasting(s) : lasting(-s) + " ago";
  };
  const countdown = (ms) => {
    const s = Math.max(Math.round((ms - now()) / 1000), 0);
    const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    if (d > 0) return `${d}d ${two(h)}:${two(m)}`;
    return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`;
  };
  const says = { abs: absolute, rel: relative, count: countdown, clock: () => absolute(now()) };

  let title = "";
  let shownTitle = "";
  const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const draw = () => {
    for (const t of document.querySelectorAll("time[datetime]")) {
      const say = says[t.className];
      const ms = Date.parse(t.dateTime);
      if (!say || Number.isNaN(ms)) continue;
      put(t, say(ms));
      if (t.className === "rel" || t.className === "count") t.title = absolute(ms);
    }
    for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = !navigator.clipboard;
    if (document.title !== shownTitle) title = document.title;
    const lead = document.querySelector("[data-lead] time.count");
    shownTitle = (lead ? lead.textContent + " " : "") + title;
    if (document.title !== shownTitle) document.title = shownTitle;
    const icon = document.querySelector("link[rel=icon]");
    const tone = document.querySelector("[data-tone]")?.dataset.tone || "quiet";
    if (icon && icon.dataset[tone] && icon.getAttribute("href") !== icon.dataset[tone]) icon.href = icon.dataset[tone];
  };

  // A stream that is silent for longer than this is lost: the server says every 5 s that
  // it is there.
  const silence = 12000;
  let connection = null;
  let cut = false; // the stream has ended, and another has not begun
  let stale = false;
  // A stream that never began is not begun again by itself: then the page is loaded anew,
  // once the server answers and nobody is typing.
  // A page that answers a form stands at the form's address: it is left for its own.
  let askedAt = 0;
  const own = () => document.getElementById("live").dataset.path;
  // What somebody has typed goes with the page: then it stays, says that it may be old, and
  // is loaded anew when they press for that.
  const typed = (field) => field.value !== field.defaultValue || field.name === "reason" && field.value !== "";
  const typing = () => [...document.querySelectorAll("input:not([type=hidden]), textarea")].some(typed);
  const leave = (to) => {
    if (!typing()) { location.replace(to); return; }
    document.getElementById("anew").hidden = false;
    put(document.getElementById("lost"), "What you see may be old. What you have typed stays until you load the page anew.");
  };
  const anew = () => {
    if (refused || performance.now() - askedAt < silence || document.hidden || document.activeElement?.value) return;
    askedAt = performance.now();
    fetch(own(), { method: "HEAD" }).then((answer) => { if (!over(answer.status) && answer.ok && !connection) leave(own()); }, () => {});
  };
  // What is refused for good will not be there by itself: the session has ended, or what the
  // page shows is gone. Its own address leads to where people sign in, or says what is wrong.
  // Once: where only the stream is refused, the page stays, and says that it is stale.
  let refused = false;
  const tried = (path) => {
    try { const before = sessionStorage.getItem("refused") === path; sessionStorage.setItem("refused", path); return before; } catch { return true; }
  };
  const over = (status) => {
    if (![401, 403, 404].includes(status)) return false;
    if (!refused && (typing() || !tried(own()))) leave(own());
    return refused = true;
  };
  const heardOf = () => { refused = false; document.getElementById("anew").hidden = true; try { sessionStorage.removeItem("refused"); } catch { /* nothing is kept */ } };
  const watch = () => {
    const badge = document.getElementById("badge");
    if (!badge) return;
    const quiet = performance.now() - heardAt;
    const lost = cut || quiet > silence;
    badge.hidden = false;
    badge.classList.toggle("stale", lost);
    root.classList.toggle("is-stale", lost);
    put(badge, lost ? "stale " + lasting(Math.round(quiet / 1000)) : "live");
    if (lost !== stale) {
      stale = lost;
      // Where the page waits to be loaded anew, it has said more than that.
      if (document.getElementById("anew").hidden) put(document.getElementById("lost"), stale ? "The server is not heard: what you see may be old." : "The server is heard again.");
    }
    if (!stale) return;
    if (!connection) { anew(); return; }
    if (!connection.delayCanceller) connection.reader?.cancel(); // else it is trying
  };
  document.addEventListener("htmx:sse:before:connection", (e) => { cut = e.detail.connection.attempt > 0; watch(); });
  document.addEventListener("htmx:sse:after:connection", (e) => { connection = e.detail.connection; cut = false; heardOf(); watch(); });
  document.addEventListener("htmx:sse:error", (e) => { over(e.detail.status); });
  document.addEventListener("htmx:response:error", (e) => { over(e.detail.ctx.response.status); }); // of a stream that never began
  document.addEventListener("htmx:sse:close", () => { connection = null; });
  document.addEventListener("htmx:sse:after:message", () => { draw(); watch(); });
  document.addEventListener("beat", (e) => { hear(Number(e.detail.data)); draw(); watch(); });
  // The session ended, or the server is another release: the page as it is cannot go on.
  document.addEventListener("anew", () => { leave(own()); });

  // One press is one action.
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => { delete form.dataset.sent; form.removeAttribute("aria-busy"); }, 5000);
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) { delete form.dataset.sent; form.removeAttribute("aria-busy"); }
  });

  document.addEventListener("DOMContentLoaded", () => {
    hear(Number(document.body.dataset.now));
    const themeButton = document.getElementById("theme");
    const zoneButton = document.getElementById("zone");
    const clock = document.getElementById("clock"); // stands still without this script
    if (clock) put(clock, "Server time");
    const label = () => {
      put(themeButton, { auto: "◐ auto", light: "○ light", dark: "● dark" }[theme]);
      themeButton.setAttribute("aria-label", "Colours: " + theme + ". Change");
      put(zoneButton, local ? "local time" : "UTC");
      zoneButton.setAttribute("aria-label", "Times are shown in " + (local ? "your time zone" : "UTC") + ". Change");
    };
    if (themeButton && zoneButton) {
      themeButton.hidden = zoneButton.hidden = false;
      themeButton.addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % themes.length]; keep("theme", theme); dress(); label(); });
      zoneButton.addEventListener("click", () => { local = !local; keep("zone", local ? "local" : "utc"); label(); draw(); });
      label();
    }
    document.addEventListener("click", (e) => {
      const button = e.target.closest("[data-copy]");
      if (button) navigator.clipboard?.writeText(button.dataset.copy).then(() => put(button, "copied"), () => put(button, "not copied"));
    });
    // A reason that was refused and is back in its form is as if it were typed here: the
    // page that comes next must not take it away.
    for (const input of document.querySelectorAll("input[name=reason][value]")) input.value = input.defaultValue;
    draw();
    watch();
    setInterval(() => { draw(); watch(); }, 1000);
  });
})();
