// The player. The state is one integer, the step among those of all products, with the marks that
// the reader has set; draw(state) shows it, and nothing else changes the page.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TALL = 150;  // pixels of a graph, beyond which it takes room from the listing
const $ = (id) => document.getElementById(id);
const STARTS = [];
let total = 0;
for (const product of DATA.products) {
  STARTS.push(total);
  total += product.steps.length;
}

const state = { at: DATA.start, cell: [0, 0], pinned: null, hovered: null, predict: false, known: new Set(), cut: DATA.cutting.own ?? null, about: "step" };
const listings = new Map();
let playing = null;

function where(at) {
  let number = STARTS.length - 1;
  while (STARTS[number] > at) number -= 1;
  const product = DATA.products[number];
  const index = at - STARTS[number];
  const step = product.steps[index];
  return { number, product, index, step, term: DATA.terms[step.term] };
}

function change(changes) {
  Object.assign(state, { about: "step" }, changes);
  const { product, index, step } = where(state.at);
  const result = DATA.tables[step.result];
  if (numberAt(result, ...state.cell) === undefined) state.cell = [0, 0];
  draw(state);
  try {
    const cut = state.cut === (DATA.cutting.own ?? null) ? "" : `/${encodeURIComponent(DATA.cutting.cuts[state.cut].name)}`;
    history.replaceState(null, "", `#${product.name}/${index + 1}/${state.cell.map((i) => i + 1).join(",")}${cut}`);
  } catch {
    // A frame in a notebook has no address.
  }
}

function goTo(at) {
  change({ at: Math.min(Math.max(at, 0), total - 1), cell: [0, 0] });
}

function move(by) {
  const { number, product, index } = where(state.at);
  const next = Math.min(Math.max(index + by, 0), product.steps.length - 1);
  if (next !== index) goTo(STARTS[number] + next);
  return next !== index;
}

// The other product at the same term, or at the last one before that it has too.
function switchTo(number) {
  const here = where(state.at);
  const terms = DATA.products[number].steps.map((step) => step.term);
  let index = here.index;
  while (index > 0 && !terms.includes(here.product.steps[index].term)) index -= 1;
  goTo(STARTS[number] + Math.max(terms.indexOf(here.product.steps[index].term), 0));
}

function pause() {
  clearTimeout(playing);
  playing = null;
  $("play").textContent = "Play";
}

function tick() {
  playing = setTimeout(() => {
    if (move(1) && !veiled(state)) tick();
    else pause();
  }, Number($("speed").value));
}

function play() {
  if (playing !== null) {
    pause();
    draw(state);
    return;
  }
  const { number, product, index } = where(state.at);
  if (index === product.steps.length - 1) goTo(STARTS[number]);
  $("play").textContent = "Pause";
  tick();
}

// Whether the result is hidden until the reader has guessed it.
function veiled({ predict, known, at }) {
  return predict && !known.has(at);
}

function beforeOf(product, index) {
  const { term } = product.steps[index];
  if (!product.steps[index].adds) return null;
  for (let i = index - 1; i >= 0; i--) {
    if (valueName(DATA.terms[product.steps[i].term].target) === valueName(DATA.terms[term].target)) {
      return DATA.tables[product.steps[i].result];
    }
  }
  return null;
}

// A line's target may be a part of a value, as dy2[:3].
function valueName(target) {
  return target.replace(/\[[^\]]*\]$/, "");
}

function draw(now) {
  const { number, product, index, step, term } = where(now.at);
  const last = product.steps.length;
  const hides = veiled(now);
  const before = beforeOf(product, index);
  const formula = `${term.target} ${step.adds ? "+=" : "="} ${term.text.replace(/^\+ /, "")}`;

  $("title").textContent = product.title;
  for (const button of $("products").children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.number) === number));
  }
  $("formula").textContent = formula;
  $("rule").textContent = [`${step.sweep} sweep`.replace("loss sweep", "loss"), term.rule, term.law, term.source].filter(Boolean).join(" · ");
  $("reason").replaceChildren(...prose(step.reason));
  $("note").textContent = index === last - 1 && product.left > 0
    ? `The first ${last} steps are here; ${product.left} more follow. rop.step has them all.` : "";

  if (!listings.has(number)) listings.set(number, makeListing(product, DATA.terms, DATA.cases, (i) => goTo(STARTS[number] + i)));
  const listing = $("listing");
  if (listing.dataset.product !== String(number)) {
    const shown = listings.get(number);
    if (shown instanceof DocumentFragment) listings.set(number, [...shown.childNodes]);
    listing.replaceChildren(...listings.get(number));
    listing.dataset.product = String(number);
  }
  drawListing(listing, step.term);

  const focus = now.hovered ?? now.pinned ?? term.owner;
  drawGraph(picture, product.values, index + 1, term.node, now.pinned, step.sweep.endsWith("reverse"));
  drawStep(term, step, before, now, hides);
  const { cutting } = DATA;
  if (cutting.cuts.length) {
    drawCuts($("cutting"), cutting, now.cut);
    drawCut(picture, DATA.graph, cutting.cuts[now.cut], now.cut === cutting.own);
  } else {
    drawCut(picture, DATA.graph, { F: DATA.graph.F }, true);
  }
  drawNode(product, index + 1, focus, hides ? step.result : null, now.pinned);

  $("slider").max = last;
  $("slider").value = index + 1;
  $("slider").setAttribute("aria-valuetext", `step ${index + 1}: ${formula}`);
  $("count").textContent = `step ${index + 1} of ${last}`;
  $("first").disabled = $("back").disabled = index === 0;
  $("next").disabled = $("last").disabled = index === last - 1;
  $("predict").checked = now.predict;
  if (playing === null || Number($("speed").value) >= 1500) {
    $("live").textContent = now.about === "cut" ? cutting.cuts[now.cut].said : `${product.short}, step ${index + 1} of ${last}: ${formula}. ${step.reason.replaceAll("`", "")}`;
  }
}

function drawStep(term, step, before, now, hides) {
  const operands = step.operands.map((i) => DATA.tables[i]);
  const result = DATA.tables[step.result];
  const [row, column] = now.cell;
  const terms = term.kernel ? termsOf(term.kernel, DATA.cases, row, column) : null;
  const used = term.operands.map((_, k) => new Set((terms ?? []).map((places) => places[k].join(","))));
  const focused = document.activeElement?.closest("#operands td")?.dataset.cell;
  $("operands").replaceChildren(
    ...term.operands.map(([name, shape], k) => numbersTable(name, shape, operands[k], { used: used[k] })),
    element("div", { class: "result" },
      element("span", { class: "sign", "aria-hidden": "true" }, step.adds ? "+=" : "="),
      numbersTable(term.target, term.shape, result, {
        cell: now.cell, veiled: hides, choose: (i, j) => change({ cell: [i, j] }),
      })),
  );
  if (focused) $("operands").querySelector(`td.cell[data-cell="${focused}"] button`)?.focus();
  const line = terms && result.numbers.length
    ? written(term, terms, operands, before, result, row, column, hides)
    : "This step is a function that is not written out cell by cell.";
  $("written").replaceChildren(line, element("span", { class: "hint" }, "  Choose a cell of the result to see where it comes from."));
  drawGuess(term, result, now, hides);
}

function drawGuess(term, result, now, hides) {
  const place = $("guess");
  if (!now.predict) {
    place.replaceChildren();
    return;
  }
  const name = cellName(term.target, result, ...now.cell);
  const true_ = numberAt(result, ...now.cell);
  if (!hides) {
    const { guess } = now;
    const about = guess === undefined || guess.at !== now.at ? ""
      : Math.abs(guess.number - true_) <= 0.05 * Math.abs(true_) + 1e-9
        ? `Right: you said ${guess.number}. ` : `You said ${guess.number}. `;
    place.replaceChildren(element("span", { role: "status" }, `${about}${name} = ${text(true_)}`));
    return;
  }
  const input = element("input", { type: "text", inputmode: "decimal", "aria-label": `Your guess of ${name}`, autocomplete: "off" });
  const form = element("form", {}, `What is ${name}? `, input, " ", element("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const number = Number(input.value.replace(",", "."));
    if (input.value.trim() === "" || Number.isNaN(number)) {
      input.setAttribute("aria-invalid", "true");
      input.placeholder = "a number";
      return;
    }
    change({ known: new Set([...state.known, state.at]), guess: { at: state.at, number } });
  });
  place.replaceChildren(form);
}

function drawNode(product, position, name, hidden, pinned) {
  const values = product.values[name];
  const folded = DATA.graph.boxes.some((box) => box.name === name && box.holds.length);
  const mark = name === pinned ? " (pinned)" : "";
  $("node-title").textContent = folded ? name + mark : `Node ${name}${mark}: a, Ra, da, Rda so far`;
  const tables = [];
  for (const [kind, prefix] of Object.entries(KINDS)) {
    if (!values?.[kind]) continue;
    const found = latest(values[kind], position);
    const title = prefix + name;
    tables.push(found === null
      ? element("div", { "data-name": title }, element("p", {}, element("span", { class: `dot ${kind}`, "aria-hidden": "true" }), `${title}: not computed yet`))
      : numbersTable(title, "", DATA.tables[found], { veiled: found === hidden, dot: kind }));
  }
  const absent = Object.keys(KINDS).filter((kind) => values && !values[kind]).map((kind) => KINDS[kind] + name);
  if (tables.length && absent.length) tables.push(element("p", { class: "absent" }, `Not computed on its own in ${product.short}: ${absent.join(", ")}`));
  const none = folded ? "It stands for nodes that the picture leaves out; the listing has them."
    : "No value of its own: it is a term of another node's value, or a part of the loss.";
  $("values").replaceChildren(...(tables.length ? tables : [none]));
}

function fromAddress() {
  const [name, step, cell, ...cut] = decodeURIComponent(location.hash.slice(1)).split("/");
  const number = DATA.products.findIndex((product) => product.name === name);
  const index = Number(step) - 1;
  if (number < 0 || !(index >= 0 && index < DATA.products[number].steps.length)) return false;
  const places = (cell ?? "1,1").split(",").map((part) => Number(part) - 1);
  const chosen = DATA.cutting.cuts.findIndex((one) => one.name === cut.join("/"));
  change({
    at: STARTS[number] + index, cell: places.length === 2 ? places : [0, 0],
    cut: chosen < 0 ? DATA.cutting.own ?? null : chosen,
  });
  return true;
}

const picture = makeGraph(DATA.graph,
  (name) => change({ pinned: state.pinned === name ? null : name }),
  (name) => change({ hovered: name }));
$("graph").append(picture);
$("picture").classList.toggle("tall", DATA.graph.height > TALL);
const sign = (kind, meaning) => element("span", { class: "sign" }, element("span", { class: kind }), meaning);
$("legend").append(
  ...[["a", "value"], ["Ra", "its change along v"], ["da", "adjoint"], ["Rda", "the adjoint's change along v"]]
    .map(([kind, meaning]) => sign(`dot ${kind}`, `${kind}: ${meaning}`)),
  sign("dot none", "not computed yet"),
  ...(DATA.graph.cut || DATA.cutting.cuts.length ? [sign("dash", "between the net F and the loss L")] : []),
  ...(DATA.graph.hidden ? [` · ${DATA.graph.hidden} nodes not shown`] : []));

$("cutting").append(...(DATA.cutting.cuts.length
  ? makeCuts(DATA.cutting, (number) => change({ cut: number, about: "cut" })) : [DATA.cutting.note]));

DATA.products.forEach((product, number) => {
  const button = element("button", { type: "button", "data-number": number, title: `${product.title} (${number + 1})` }, product.short);
  button.addEventListener("click", () => switchTo(number));
  $("products").append(button);
});

const switching = DATA.products.length > 1 ? `1 to ${DATA.products.length} switch the product, ` : "";
$("keys").textContent = `Keys: ← → step, space plays, Home and End, ${switching}p predicts.`;
for (const [id, by] of [["first", -Infinity], ["back", -1], ["next", 1], ["last", Infinity]]) {
  $(id).addEventListener("click", () => { pause(); move(by); });
}
$("play").addEventListener("click", play);
$("slider").addEventListener("input", () => {
  pause();
  goTo(STARTS[where(state.at).number] + Number($("slider").value) - 1);
});
$("predict").addEventListener("change", () => change({ predict: $("predict").checked }));
window.addEventListener("hashchange", fromAddress);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const own = event.target.closest?.("input, select, textarea");
  if (own && !(own.type === "checkbox" && event.key !== " ")) return;
  if (event.key === " " && event.target.closest?.("button, [role=button]")) return;
  const keys = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: () => move(-Infinity), End: () => move(Infinity),
    " ": play, p: () => change({ predict: !state.predict }),
  };
  DATA.products.forEach((_, number) => { keys[number + 1] = () => switchTo(number); });
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  if (event.key !== " ") pause();
  keys[event.key]();
});

if (!fromAddress()) draw(state);
