// The cut between F and L: buttons that move it, a table of what becomes of G, and its eigenvalues.

const WIDE = 640;  // of the picture of eigenvalues, at most

// choose(number) tells which cut the reader wants.
function makeCuts(cutting, choose) {
  const buttons = element("div", { id: "cut-buttons", role: "group", "aria-label": "F ends at" }, "F ends at ");
  cutting.cuts.forEach((cut, number) => {
    const button = element("button", { type: "button", "data-cut": number }, cut.name);
    button.addEventListener("click", () => choose(number));
    buttons.append(button);
  });
  const cells = (row) => row.slice(1).map((cell) => element("td", {}, element("span", {}, cell)));
  const line = (row) => element("tr", {}, element("th", { scope: "row" }, row[0]), ...cells(row));
  const body = element("tbody", {}, ...[...cutting.cuts, cutting.H].map(({ row }) => line(row)));
  const heads = cutting.heads.map((head) => element("th", { scope: "col" }, head));
  const table = element("table", {}, element("caption", {}, "G for every cut, and H"), element("thead", {}, element("tr", {}, ...heads)), body);
  return [
    element("p", {}, "f and H are the same wherever F ends and L begins. G is not: it has the second derivatives of L, and takes F as linear in θ."),
    buttons,
    element("p", { id: "cut-said" }),
    element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Table of the cuts" }, table),
    element("div", { id: "eigenvalues", class: "scrolls", tabindex: 0, role: "region", "aria-label": "Eigenvalues" }),
  ];
}

function drawCuts(section, cutting, chosen) {
  for (const button of section.querySelectorAll("[data-cut]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.cut) === chosen));
  }
  [...section.querySelector("tbody").rows].forEach((row, number) => row.classList.toggle("now", number === chosen));
  const cut = cutting.cuts[chosen];
  $("cut-said").textContent = cut.said;
  $("eigenvalues").replaceChildren(eigenvaluesOf(cut, cutting.H));
}

// A mark for each eigenvalue of G and of H, on a scale that is linear near 0 and logarithmic beyond.
function eigenvaluesOf(cut, H) {
  const rows = [["G", cut.eigenvalues], ["H", H.eigenvalues]];
  const most = Math.max(...rows.flatMap(([, numbers]) => numbers.map(Math.abs))) || 1;
  const decades = 4;
  const top = Math.ceil(Math.log10(most) - 1e-9);
  const unit = 10 ** (top - decades);
  const place = (number) => Math.sign(number) * Math.min(Math.abs(number) / unit, 1 + Math.max(Math.log10(Math.abs(number) / unit), 0));
  const wide = Math.min(WIDE, $("eigenvalues").clientWidth || WIDE);
  const x = (number) => wide / 2 + (place(number) * (wide / 2 - 30)) / (decades + 1);
  const about = rows.map(([name, numbers]) => `Eigenvalues of ${name}: from ${text(numbers[0])} to ${text(numbers[numbers.length - 1])}`);
  const made = svg("svg", { width: wide, height: 128, viewBox: `0 0 ${wide} 128`, role: "img", "aria-label": about.join(". ") });
  for (const power of [top, top - 2, top - 4]) {
    for (const sign of [-1, 1]) {
      const at = x(sign * 10 ** power);
      made.append(svg("line", { class: "tick", x1: at, x2: at, y1: 22, y2: 102 }));
      made.append(svg("text", { class: "detail", x: at, y: 118 }, String(sign * Number(`1e${power}`))));
    }
  }
  made.append(svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 22, y2: 102 }), svg("text", { class: "detail", x: x(0), y: 118 }, "0"));
  rows.forEach(([name, numbers], k) => {
    const y = 40 + 46 * k;
    made.append(svg("text", { class: "start", x: 8, y: y - 12 }, `eigenvalues of ${name}`));
    for (const number of numbers) {
      made.append(svg("line", { class: number < -1e-10 * most ? "minus" : "plus", x1: x(number), x2: x(number), y1: y - 7, y2: y + 9 }));
    }
  });
  return made;
}

// The line between F and L in the picture of the graph, and the boxes beyond it.
function drawCut(picture, graph, cut, own) {
  const line = picture.querySelector(".cut");
  const box = graph.boxes.find((one) => one.name === cut.box);
  const after = box && [box.x + (cut.inside ? 0 : box.width / 2 + 8), box.y - box.height / 2, box.y + box.height / 2];
  const at = own && graph.cut ? graph.cut : after;
  const inside = new Set(cut.F);
  for (const part of picture.querySelectorAll(".cut, .side")) part.setAttribute("visibility", at ? "visible" : "hidden");
  for (const group of picture.querySelectorAll(".box")) group.classList.toggle("beyond", !inside.has(group.dataset.node) && !group.classList.contains("folded"));
  if (!at) return;
  const [x, top, bottom] = at;
  for (const [key, value] of Object.entries({ x1: x, x2: x, y1: top - 10, y2: bottom + 10 })) line.setAttribute(key, value);
  for (const side of picture.querySelectorAll(".side")) {
    side.setAttribute("x", x + (side.textContent === "F" ? -12 : 12));
    side.setAttribute("y", top - 14);
  }
}
