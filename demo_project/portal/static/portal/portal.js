"use strict";
// The page without this script works too: every button is a form. With it, the bar runs down,
// the history grows, and answers appear without a reload.

const page = document.getElementById("page");
const byId = (id) => document.getElementById(id);
const JSON_ONLY = { Accept: "application/json" };
let known = null; // the last status and when it came
let calls = 0; // answers that are still on their way

const EXPLAINED = {
  fresh: "Fresh: calls use the token as it is. From the first dashed line on it is refreshed ahead, from the second it is not sent any more.",
  stale: "Stale: calls still use the token, and it is refreshed ahead in the background.",
  expired: "Expired: it is not sent any more. The next call refreshes first, once, however many there are.",
  unknown: "Nothing is known of the token's life: it is used until billing refuses it.",
  missing: "No pair is stored: connect your account at billing first.",
  refused: "Billing has refused the refresh token: only a new login helps.",
  revoked: "The pair was revoked: only a new login helps.",
};

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function toLogin(why) {
  const target = new URL(page.dataset.loginUrl, location.origin);
  target.searchParams.set("next", page.dataset.homeUrl);
  if (why) sessionStorage.setItem("why", why);
  location.assign(target);
}

// ---- the pair's state

function freshness(pair, left) {
  if (!["fresh", "stale", "expired"].includes(pair.state)) return pair.state;
  if (pair.state === "expired" || left <= pair.expired_at) return "expired";
  return left <= pair.stale_at ? "stale" : "fresh";
}

function drawGauge() {
  if (known) {
    const { pair } = known.status;
    const left = Math.max(0, pair.left - (performance.now() - known.at) / 1000);
    const state = freshness(pair, left);
    const share = (seconds) => (pair.lifetime ? `${Math.min(100, (100 * seconds) / pair.lifetime)}%` : "0");
    byId("gauge").classList.toggle("empty", !pair.lifetime);
    const bar = document.querySelector(".gauge .left");
    bar.style.width = share(left);
    bar.className = `left ${state}`;
    document.querySelector(".zone.stale").style.width = share(pair.stale_at);
    document.querySelector(".zone.expired").style.width = share(pair.expired_at);
    byId("left").textContent = `${left.toFixed(1)} s`;
    byId("state").textContent = state;
    byId("state").className = `badge ${state}`;
    if (byId("explained").textContent !== EXPLAINED[state]) byId("explained").textContent = EXPLAINED[state];
  }
  requestAnimationFrame(drawGauge);
}

let drawn = "";
function drawHistory(events) {
  if (drawn === JSON.stringify(events)) return; // leaves the list where it was scrolled to
  drawn = JSON.stringify(events);
  byId("history").replaceChildren(
    ...events.map((event) => {
      const line = element("li", undefined, event.kind);
      const took = event.duration_ms === null ? "" : `, ${event.duration_ms} ms`;
      line.append(element("b", event.what));
      line.append(element("span", `${new Date(event.at).toLocaleTimeString()}, generation ${event.generation}${took}`));
      if (event.why) line.append(element("span", event.why));
      return line;
    }),
  );
}

function drawStatus(status) {
  const { pair, billing } = status;
  byId("generation").textContent = pair.generation ?? "–";
  byId("refreshed").textContent = pair.refreshed;
  byId("requests").textContent = billing ? billing.refresh_requests : "?";
  byId("endpoint").textContent = !billing ? "unreachable" : billing.down_for > 0 ? `down, ${Math.ceil(billing.down_for)} s` : "up";
  drawHistory(status.history);
}

async function poll() {
  try {
    const answer = await fetch(page.dataset.statusUrl, { headers: JSON_ONLY });
    // A call that is on its way knows better why the session has ended.
    if (answer.status === 401 && calls === 0) return toLogin((await answer.json()).detail);
    if (answer.ok) {
      known = { status: await answer.json(), at: performance.now() };
      drawStatus(known.status);
    }
  } catch {
    byId("endpoint").textContent = "the portal does not answer";
  }
  setTimeout(poll, 1000);
}

// ---- the buttons

function drawAnswer(chip, headline, good, invoices) {
  const line = element("li", undefined, good ? "" : "poor");
  const text = element("p");
  text.append(element("span", chip, "chip"), element("span", headline), element("time", new Date().toLocaleTimeString()));
  line.append(text);
  if (invoices.length) {
    const table = element("table");
    for (const { number, customer, amount } of invoices) {
      const row = table.insertRow();
      for (const value of [number, customer, amount]) row.append(element("td", value));
    }
    line.append(table);
  }
  byId("answers").prepend(line);
  announce(`${chip} · ${headline}`);
  while (byId("answers").children.length > 8) byId("answers").lastChild.remove();
}

let fading;
function announce(text) {
  byId("latest").textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => byId("latest").replaceChildren(), 6000);
}

async function bodyOf(answer) {
  return (answer.headers.get("Content-Type") || "").includes("json") ? answer.json() : {};
}

async function show(answer) {
  const body = await bodyOf(answer);
  if (answer.ok) return drawAnswer(body.status ?? (body.good ? "done" : "mixed"), body.headline, body.good, body.invoices);
  if (answer.status === 401) return toLogin(body.detail);
  if (body.code === "connect_required") return location.assign(`${page.dataset.connectUrl}?next=${page.dataset.homeUrl}`);
  const again = answer.headers.get("Retry-After");
  const what = { 500: "The view failed after its call; what it wrote was rolled back.", 503: "Temporarily unavailable; you stay logged in." };
  const when = again ? ` (Retry-After: ${again} s)` : "";
  drawAnswer(answer.status, (body.detail || what[answer.status] || "The portal could not do it.") + when, false, []);
}

async function press(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  button.disabled = true;
  calls += 1;
  try {
    await show(await fetch(form.action, { method: "POST", body: new FormData(form), headers: JSON_ONLY }));
  } catch {
    drawAnswer("none", "The portal does not answer.", false, []);
  } finally {
    calls -= 1;
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-action]")) form.addEventListener("submit", press);
poll();
drawGauge();
