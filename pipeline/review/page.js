"use strict";
const start = JSON.parse(document.getElementById("start").textContent);
const SHEET = 24;
const LETTERS = "abcdefghijklmnopqrstuvwx";
const CANT_TELL = "?";
const SECONDS = 4;  // of a look, until this person's own are known
const EVIDENCE = {
  "picture+labels": "the picture and the image's other labels",
  "picture": "the picture",
  "prior": "how often each value occurs: nothing tells of this attribute",
  "one-class": "all known labels are alike",
};
const $ = (id) => document.getElementById(id);

// What outlasts a reload of this window: its place, what it skipped, what it can take back.
const KEY = `review-${start.file ?? start.token}`;
const kept = Object.assign(
  { queue: start.queues.find((one) => one.left)?.name ?? start.queues[0].name, attribute: "", value: "",
    image: "", mode: "single", skipped: {}, history: [], looks: [] },
  JSON.parse(sessionStorage.getItem(KEY) ?? "{}"),
);
const keep = () => sessionStorage.setItem(KEY, JSON.stringify(kept));

let cells = [];         // of the queue, without an answer, in order
let left = 0;
let expected = start.expected;
let busy = false;
let loads = 0;          // answers to earlier questions are out of date
let shown = 0;          // when the cells on the screen appeared
let wrong = new Set();  // keys of the marked cells of the sheet
let detour = new Set(); // cells of a sheet to look at one by one: what else are they?

const server = {
  headers: { "X-Token": start.token },
  async ask(path, options = {}) {
    let reply;
    try {
      reply = await fetch(path, { ...options, headers: { ...this.headers, ...options.headers } });
    } catch {
      throw { error: "the server does not answer; is `python -m pipeline.review` still running?" };
    }
    const content = await reply.json().catch(() => ({ error: `the server says ${reply.status}` }));
    if (!reply.ok) throw content;
    return content;
  },
  cells() {
    const { queue, attribute, value, image } = kept;
    return this.ask(`/cells?${new URLSearchParams({ run: start.run, queue, attribute, value, image })}`);
  },
  put(answers) {
    return this.ask(`/answers?${new URLSearchParams({ run: start.run })}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ answers }),
    });
  },
  picture(cell, large) {
    const asked = { token: start.token, run: start.run, ...(large ? { large: 1 } : {}) };
    return `/pictures/${cell.row}?${new URLSearchParams(asked)}`;
  },
};

const key = (cell) => `${cell.image}\n${cell.attribute}`;
const skipped = () => new Set(kept.skipped[kept.queue] ?? []);
const valuesOf = (attribute) => start.attributes.find((one) => one.name === attribute).values;
const binary = (attribute) => valuesOf(attribute).join() === "1,0";
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const probability = (p) => (p === null || p === undefined ? "unknown" : p.toFixed(3));

function element(name, properties = {}, ...children) {
  const { data, aria, ...own } = properties;
  const made = Object.assign(document.createElement(name), own);
  for (const [part, value] of Object.entries(aria ?? {})) made.setAttribute(`aria-${part}`, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function picture(cell, large, alt) {
  const image = element("img", { src: source.picture(cell, large), alt });
  image.addEventListener("error", () => image.replaceWith(
    element("span", { className: "lost" }, `${cell.image} can't be shown`)));
  return image;
}

const say = (text) => { $("said").textContent = text; };
const trouble = (text) => { $("trouble").textContent = text; };

// A page without a server keeps the answers in the browser and hands them back as a file.
const FURTHER = ["guess", "queue", "expected_correctness", "listed_probability"];
const file = {
  said: start.file ? JSON.parse(localStorage.getItem(`review-${start.file}`) ?? "{}") : {},
  async cells() {
    const named = (cell) => ["attribute", "value", "image"].every((one) => !kept[one] || cell[one] === kept[one]);
    const given = start.cells.some((cell) => cell.queue === kept.queue);
    let own = start.cells.filter((cell) => (!given || cell.queue === kept.queue) && named(cell));
    const unique = new Map(own.map((cell) => [key(cell), cell]));
    own = [...unique.values()].filter((cell) => !(key(cell) in this.said));
    if (kept.queue === "attribute") own.sort((a, b) => a.expected - b.expected);
    if (kept.queue === "image") own.sort((a, b) => a.row - b.row || a.expected - b.expected);
    // Sorted by another rule, it is no draw of that queue any more.
    own = own.map((cell) => (given ? { ...cell } : { ...cell, queue: kept.queue, listed: null }));
    return { cells: own, left: own.length, expected: this.expected() };
  },
  async put(answers) {
    const cellOf = new Map(start.cells.map((cell) => [key(cell), cell]));
    const before = JSON.stringify(this.said);
    for (const one of answers) {
      const name = key(one);
      if (one.value === null) delete this.said[name];
      else this.said[name] = { value: one.value, queue: one.queue, listed: one.queue === cellOf.get(name).queue };
    }
    try {
      localStorage.setItem(`review-${start.file}`, JSON.stringify(this.said));
    } catch {
      this.said = JSON.parse(before);
      throw { error: "this browser has no room for it" };
    }
    countLeft();
    return { expected: this.expected() };
  },
  expected() {
    if (start.expected === null) return null;
    let gain = 0;
    for (const [name, cell] of new Map(start.cells.map((one) => [key(one), one]))) {
      const said = this.said[name];
      if (said && said.value !== CANT_TELL && !cell.known) gain += 1 - cell.expected;
    }
    return start.expected + gain / start.filled;
  },
  picture(cell) {
    return start.pictures[cell.row] || "data:,";
  },
  // The file of corrections: what it was, and the answers given here.
  csv() {
    const header = [...(start.earlier[0] ?? ["image", "attribute", "value"])];
    const names = header.map((one) => one.toLowerCase());
    const width = names.length;
    for (const name of FURTHER) if (!names.includes(name)) { names.push(name); header.push(name); }
    const value = names.includes("correct_value") ? "correct_value" : "value";
    const at = (row, name) => row[names.indexOf(name)];
    const rows = start.earlier.slice(1)
      .filter((row) => row.length === width && !(key({ image: at(row, "image"), attribute: at(row, "attribute") }) in this.said))
      .map((row) => [...row, ...Array(names.length - width).fill("")]);
    const done = new Set();
    for (const cell of start.cells) {
      const said = this.said[key(cell)];
      if (!said || done.has(key(cell))) continue;
      done.add(key(cell));
      const own = { image: cell.image, attribute: cell.attribute, [value]: said.value };
      if (!cell.known) Object.assign(own, { guess: cell.value, queue: said.queue, expected_correctness: cell.expected,
        listed_probability: said.listed ? cell.listed ?? "" : "" });
      rows.push(names.map((name) => own[name] ?? ""));
    }
    const quoted = (text) => (/[",\n\r;\t ]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return [header, ...rows].map((row) => row.map((cell) => quoted(String(cell))).join(",") + "\n").join("");
  },
  save() {
    const url = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
    const link = element("a", { href: url, download: "corrections.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say("corrections.csv is where your browser keeps downloads; send it back");
  },
};
const source = start.file ? file : server;
if (start.file) {
  $("save").hidden = false;
  $("save").addEventListener("click", () => file.save());
  countLeft();
}

function countLeft() {
  for (const queue of start.queues) {
    const given = start.cells.some((cell) => cell.queue === queue.name);
    const own = start.cells.filter((cell) => !given || cell.queue === queue.name).map(key);
    queue.left = [...new Set(own)].filter((name) => !(name in file.said)).length;
  }
  $("save").textContent = `Save corrections.csv (${Object.keys(file.said).length})`;
}


// ---- what is to be done

async function load(announce = true) {
  const mine = ++loads;
  try {
    const found = await source.cells();
    if (mine !== loads) return;
    const later = skipped();
    cells = found.cells.filter((cell) => !later.has(key(cell)));
    left = found.left;
    expected = found.expected;
    const one = start.queues.find((queue) => queue.name === kept.queue);
    if (!kept.attribute && !kept.value && !kept.image) one.left = left;
    trouble("");
  } catch (problem) {
    if (mine === loads) trouble(problem.error ?? String(problem));
  }
  wrong = new Set();
  draw();
  if (announce) announceCell();
}

function sheetCells() {
  const first = cells.find((cell) => cell.value !== "");
  if (!first) return [];
  return cells.filter((cell) => cell.value === first.value && cell.attribute === first.attribute).slice(0, SHEET);
}

const inSheet = () => kept.mode === "sheet" && !(cells.length && detour.has(key(cells[0]))) && sheetCells().length > 0;

function choose(change) {
  Object.assign(kept, change);
  keep();
  detour = new Set();
  $("work").focus({ preventScroll: true });  // Enter is the sheet's again, not the button's
  load();
}

// Write the answers [cell, value]; true when they are on the disk.
async function write(pairs, undoing = false) {
  if (busy || !pairs.length) return false;
  busy = true;
  try {
    const answers = pairs.map(([cell, value]) => (
      { image: cell.image, attribute: cell.attribute, value, before: cell.answer ?? null, queue: cell.queue ?? kept.queue }));
    const result = await source.put(answers);
    expected = result.expected;
    if (!undoing) {
      const seconds = (Date.now() - shown) / 1000 / pairs.length;
      if (seconds < 60) kept.looks = [...kept.looks.slice(-19), seconds];
      kept.history.push(pairs.map(([cell, value]) => ({ cell: { ...cell, queue: cell.queue ?? kept.queue }, value })));
      kept.history = kept.history.slice(-200);
    }
    keep();
    trouble("");
    return true;
  } catch (problem) {
    const current = problem.current;
    if (current) {
      for (const [cell] of pairs) {
        if (cell.image === current.image && cell.attribute === current.attribute) cell.answer = current.answer;
      }
      trouble(`Not written: another window ${current.answer === null ? "took its answer on" : `answered ${current.answer} for`} `
        + `${current.image}, ${current.attribute}${current.answer === null ? " back" : ""}. Answer again to replace that, or skip.`);
    } else {
      trouble(`Not written: ${problem.error ?? problem}. Your answers so far are safe; answer again to try once more.`);
    }
    return false;
  } finally {
    busy = false;
  }
}

async function answer(value) {
  const cell = cells[0];
  if (!cell || !(await write([[cell, value]]))) return;
  say(`${cell.attribute} of ${cell.image}: ${value === CANT_TELL ? "can't tell" : value}, saved`);
  detour.delete(key(cell));
  done([cell]);
}

async function confirmSheet() {
  const sheet = sheetCells();
  const flip = binary(sheet[0].attribute);
  const marked = sheet.filter((cell) => wrong.has(key(cell)));
  const pairs = sheet.filter((cell) => flip || !wrong.has(key(cell)))
    .map((cell) => [cell, wrong.has(key(cell)) ? (cell.value === "1" ? "0" : "1") : cell.value]);
  if (pairs.length && !(await write(pairs))) return draw();
  say(`${sheet.length - marked.length} right and ${marked.length} wrong, saved`);
  if (!flip && marked.length) {
    detour = new Set(marked.map(key));
    const rest = cells.filter((cell) => !detour.has(key(cell)));
    cells = [...marked, ...rest];
  }
  done(pairs.map(([cell]) => cell));
}

// These have their answer: on to the next.
function done(answered) {
  const gone = new Set(answered.map(key));
  cells = cells.filter((cell) => !gone.has(key(cell)));
  left = Math.max(0, left - answered.length);
  const one = start.queues.find((queue) => queue.name === kept.queue);
  if (!kept.attribute && !kept.value && !kept.image) one.left = left;
  wrong = new Set();
  if (!cells.length && left) return load();
  draw();
  announceCell();
}

function skip() {
  const going = inSheet() ? sheetCells() : cells.slice(0, 1);
  if (!going.length || busy) return;
  const names = going.map(key);
  kept.skipped[kept.queue] = [...(kept.skipped[kept.queue] ?? []), ...names];
  kept.history.push({ skipped: going, queue: kept.queue });
  keep();
  names.forEach((name) => detour.delete(name));
  const gone = new Set(names);
  cells = cells.filter((cell) => !gone.has(key(cell)));
  wrong = new Set();
  say(going.length > 1 ? `${going.length} cells skipped` : `${going[0].image} skipped`);
  trouble("");
  if (!cells.length && left > skipped().size) return load();
  draw();
  announceCell();
}

async function undo() {
  const last = kept.history.at(-1);
  if (!last) return say("nothing to take back");
  if (busy) return;
  let back;
  if (last.skipped) {
    const again = new Set(last.skipped.map(key));
    kept.skipped[last.queue] = (kept.skipped[last.queue] ?? []).filter((name) => !again.has(name));
    back = last.skipped;
  } else {
    const pairs = last.map(({ cell, value }) => [{ ...cell, answer: value }, cell.answer ?? null]);
    if (!(await write(pairs, true))) return;
    back = last.map(({ cell }) => cell);
    left += kept.queue === back[0].queue ? back.length : 0;
  }
  kept.history.pop();
  keep();
  const again = new Set(back.map(key));
  cells = [...back, ...cells.filter((cell) => !again.has(key(cell)))];
  if (back.length === 1) detour = new Set(kept.mode === "sheet" ? again : []);
  wrong = new Set();
  say(back.length > 1 ? `${back.length} cells taken back` : `${back[0].attribute} of ${back[0].image} taken back`);
  draw();
}

// ---- what is to be seen

function draw() {
  drawQueues();
  drawChoices();
  const work = $("work");
  const focused = document.activeElement?.dataset?.letter;
  if (!cells.length) work.replaceChildren(end());
  else work.replaceChildren(inSheet() ? sheet() : single(cells[0]));
  if (focused) work.querySelector(`[data-letter="${focused}"]`)?.focus();
  shown = Date.now();
  drawProgress();
}

function drawProgress() {
  const looks = [...kept.looks].sort((a, b) => a - b);
  const each = looks.length >= 5 ? looks[looks.length >> 1] : SECONDS;
  const minutes = (left * each) / 60;
  const time = minutes < 1 ? "less than a minute" : `about ${Math.round(minutes)} min`;
  const right = expected === null ? "" : `; ${percent(expected)} of the filled cells are expected to be right now`;
  $("progress").textContent = left ? `${left} to go, ${time}${right}` : `Nothing to go${right}`;
}

function drawQueues() {
  $("queues").replaceChildren(...start.queues.map((queue) => {
    const button = element("button", { type: "button", title: queue.about, aria: { current: queue.name === kept.queue } },
      `${queue.title} (${queue.left})`);
    button.addEventListener("click", () => choose({ queue: queue.name }));
    return button;
  }));
}

function drawChoices() {
  const fill = (select, options, chosen) => {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)));
  };
  fill($("attribute"), [["", "all"], ...start.attributes.map((one) => [one.name, one.name])], kept.attribute);
  const values = kept.attribute ? valuesOf(kept.attribute) : ["1", "0"];
  fill($("value"), [["", "any value"], ...values.map((one) => [one, one])], kept.value);
  if (document.activeElement !== $("image")) $("image").value = kept.image;
  $("single").setAttribute("aria-pressed", kept.mode === "single");
  $("sheet").setAttribute("aria-pressed", kept.mode === "sheet");
}

function moves(extra = []) {
  const button = (text, name, act, disabled = false) => {
    const made = element("button", { type: "button", disabled }, text, element("kbd", {}, name));
    made.addEventListener("click", act);
    return made;
  };
  return element("div", { className: "moves" }, ...extra.map((one) => button(...one)),
    button("Skip", inSheet() ? "Esc" : "s", skip), button("Undo", "z", undo, !kept.history.length));
}

function single(cell) {
  const values = valuesOf(cell.attribute);
  const pair = binary(cell.attribute);
  const buttons = values.map((value, i) => {
    const name = pair ? value : i < 9 ? String(i + 1) : "";
    const button = element("button", { type: "button", className: value === cell.value ? "filled" : "" },
      pair ? `${value} ${value === "1" ? "yes" : "no"}` : value, name && !pair ? element("kbd", {}, name) : null);
    if (name) button.setAttribute("aria-keyshortcuts", name);
    button.addEventListener("click", () => answer(value));
    return button;
  });
  const said = cell.answer !== null && cell.answer !== undefined
    ? element("p", { className: "small" }, "answered ", element("b", {}, cell.answer), " before") : null;
  const guess = cell.value === ""
    ? element("p", { className: "guess" }, "left empty")
    : element("p", { className: "guess" }, cell.known ? "labelled " : "filled with ", element("b", {}, cell.value),
      cell.known ? "" : `, ${pair ? "probability of 1:" : "probability"} ${probability(cell.probability)}`);
  const others = cell.others.map((one) => element("tr", {}, element("th", { scope: "row" }, one.attribute),
    element("td", {}, one.value || "unknown"), element("td", { className: "faint" }, one.known ? "known" : "filled in")));
  return element("div", { className: "cell" },
    element("figure", { className: "picture" }, picture(cell, true, `${cell.image}`)),
    element("section", { className: "panel", aria: { label: "Question" } },
      element("h2", {}, `${cell.attribute}?`), guess, said,
      element("div", { className: "answers" }, ...buttons),
      moves([["Can't tell", "u", () => answer(CANT_TELL)]]),
      element("p", { className: "small" }, `Why this one: ${cell.reason}.`,
        cell.expected === null ? "" : ` ${percent(cell.expected)} likely to be right.`),
      cell.evidence ? element("p", { className: "small faint" }, `Rests on ${EVIDENCE[cell.evidence] ?? cell.evidence}.`) : null,
      element("p", { className: "small faint" }, cell.image),
      others.length ? element("table", {}, element("caption", {}, "The image's other labels"), element("tbody", {}, ...others)) : null));
}

function sheet() {
  const own = sheetCells();
  const first = own[0];
  const tiles = own.map((cell, i) => {
    const pressed = wrong.has(key(cell));
    const button = element("button", { type: "button", className: "tile", aria: { pressed, keyshortcuts: LETTERS[i] } },
      picture(cell, false, ""),
      element("span", { className: "name", title: cell.image }, element("kbd", {}, LETTERS[i]),
        `${cell.expected === null ? "" : percent(cell.expected)} ${cell.image}`));
    button.dataset.letter = LETTERS[i];
    button.addEventListener("click", () => mark(cell, button));
    return element("li", {}, button);
  });
  const go = element("button", { type: "button", className: "go", id: "confirm" });
  go.addEventListener("click", confirmSheet);
  const made = element("section", { aria: { label: "Sheet" } },
    element("div", { className: "bar" },
      element("h2", {}, `${first.attribute}: all ${own.length} ${first.known ? "labelled" : "filled with"} ${first.value}`),
      go, moves()),
    element("p", { className: "small faint" }, "Mark the wrong ones by a click or their letter; Enter saves: the others are right. Under a picture: how likely the value is right."),
    element("ol", { className: "tiles" }, ...tiles));
  nameGo(go, own);
  return made;
}

function nameGo(go, own) {
  const count = own.filter((cell) => wrong.has(key(cell))).length;
  const rest = count ? `Save: ${own.length - count} right, ${count} wrong` : `All ${own.length} are right`;
  go.replaceChildren(rest, element("kbd", {}, "Enter"));
}

function mark(cell, button) {
  const name = key(cell);
  if (!wrong.delete(name)) wrong.add(name);
  button.setAttribute("aria-pressed", wrong.has(name));
  nameGo($("confirm"), sheetCells());
}

function end() {
  const later = skipped().size;
  const parts = [element("h2", {}, left && later ? "Only skipped cells are left here" : "Nothing is left in this queue")];
  if (left && later) {
    const again = element("button", { type: "button", className: "go" }, `Look at the ${later} skipped ones again`);
    again.addEventListener("click", () => { kept.skipped[kept.queue] = []; choose({}); });
    parts.push(element("p", {}, again));
  }
  parts.push(element("p", {}, ...(start.file
    ? ["Save corrections.csv above and send it back; it goes into the project with ", element("code", {}, "python -m pipeline.review --merge corrections.csv"), "."]
    : ["Your answers count from the next run on: ", element("code", {}, "dvc repro"), "."])));
  const others = start.queues.filter((queue) => queue.left && queue.name !== kept.queue);
  if (others.length) parts.push(element("p", { className: "faint" }, "Other queues are above."));
  return element("section", { className: "end", aria: { label: "End" } }, ...parts, moves());
}

function announceCell() {
  if (!cells.length) return;
  const cell = cells[0];
  document.title = inSheet() ? `${cell.attribute} ${cell.value}: sheet` : `${cell.attribute}? ${cell.image}`;
  for (const next of cells.slice(1, 4)) if (!inSheet()) new Image().src = source.picture(next, true);
}

// ---- keys

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea");
  if (typing || event.repeat || event.altKey) return;
  const letter = event.key.toLowerCase();
  const withControl = event.ctrlKey || event.metaKey;
  let act = null;
  if (letter === "z" || letter === "backspace") act = undo;
  else if (withControl) return;
  else if (!cells.length) return;
  else if (inSheet()) {
    const onButton = event.target.closest?.("button:not(.tile)");
    const tile = document.querySelector(`[data-letter="${CSS.escape(letter)}"]`);
    if (letter === "enter" && !onButton) act = confirmSheet;
    else if (letter === "escape") act = skip;
    else if (letter.length === 1 && tile) act = () => tile.click();
  } else {
    const values = valuesOf(cells[0].attribute);
    const pair = binary(cells[0].attribute);
    const number = /^[0-9]$/.test(letter) ? letter : "";
    const value = pair ? values.find((one) => one === number) : values[Number(number || 0) - 1];
    if (value !== undefined) act = () => answer(value);
    else if (letter === "u" || letter === "?") act = () => answer(CANT_TELL);
    else if (letter === "s" || letter === "escape") act = skip;
  }
  if (!act) return;
  event.preventDefault();
  act();
});

$("choices").addEventListener("submit", (event) => event.preventDefault());
$("attribute").addEventListener("change", (event) => choose({ attribute: event.target.value, value: "" }));
$("value").addEventListener("change", (event) => choose({ value: event.target.value }));
$("image").addEventListener("change", (event) => choose({ image: event.target.value.trim() }));
$("single").addEventListener("click", () => choose({ mode: "single" }));
$("sheet").addEventListener("click", () => choose({ mode: "sheet" }));
// Another window may have answered some of these.
window.addEventListener("focus", () => { if (!busy && !wrong.size && !detour.size) load(false); });
load();
