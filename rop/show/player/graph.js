// The graph: a box for each node, with a dot for each of a, Ra, da, Rda that is computed.

// The four values of a node, each with the prefix of its name.
const KINDS = { a: "", Ra: "R", da: "d", Rda: "Rd" };

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Makes the picture; pin(name) and hover(name or null) tell what the reader points at.
function makeGraph(graph, pin, hover) {
  const margin = 14;
  const width = graph.width + 2 * margin;
  const height = graph.height + 2 * margin + 16;
  const picture = svg("svg", {
    role: "group", "aria-label": "Graph of the model", width, height,
    viewBox: `${-margin} ${-margin - 16} ${width} ${height}`,
  });
  const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto-start-reverse" },
    svg("path", { d: "M0 0 L8 4 L0 8 z", fill: "context-stroke" }));
  picture.append(svg("defs", {}, arrow));
  for (const edge of graph.edges) {
    const line = svg("polyline", { points: edge.points.map((point) => point.join(",")).join(" "), "data-source": edge.source });
    if (edge.target !== null) {
      line.setAttribute("marker-end", "url(#arrow)");
      line.setAttribute("data-target", edge.target);
    }
    picture.append(line);
  }
  graph.boxes.forEach((box, number) => {
    const [left, top] = [box.x - box.width / 2, box.y - box.height / 2];
    const group = svg("g", {
      class: `box ${box.kind}`, "data-node": box.name, "data-number": number, tabindex: 0, role: "button",
      "aria-pressed": "false", "aria-label": `${box.name}, ${box.detail}`,
    },
    svg("rect", { x: left, y: top, width: box.width, height: box.height, rx: box.kind === "param" ? 12 : 3 }),
    svg("text", { x: box.x, y: box.y - 5 }, box.name),
    svg("text", { class: "detail", x: box.x, y: box.y + 7 }, box.detail));
    group.names = new Set([box.name, ...box.holds]);
    Object.keys(KINDS).forEach((kind, i) => group.append(svg("circle", { "data-kind": kind, cx: box.x + 9 * (i - 1.5), cy: top + box.height - 5, r: 3 })));
    group.addEventListener("click", () => pin(box.name));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        event.stopPropagation();
        pin(box.name);
      }
    });
    group.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hover(box.name));
    group.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hover(null));
    picture.append(group);
  });
  picture.append(svg("line", { class: "cut" }), svg("text", { class: "side" }, "F"), svg("text", { class: "side" }, "L"));
  return picture;
}

// Draws what a state adds: the node at work, its edges, and which values are there.
function drawGraph(picture, values, position, now, pinned, backwards) {
  const numbers = new Set();
  for (const group of picture.querySelectorAll(".box")) {
    const name = group.dataset.node;
    const own = values[name] ?? {};
    const active = group.names.has(now);
    group.classList.toggle("now", active);
    group.classList.toggle("pinned", name === pinned);
    group.setAttribute("aria-pressed", String(name === pinned));
    if (active) {
      numbers.add(group.dataset.number);
      centre(group.querySelector("rect"), picture.parentElement);
    }
    for (const dot of group.querySelectorAll("circle")) {
      const kind = dot.dataset.kind;
      dot.setAttribute("class", latest(own[kind], position) === null ? "" : kind);
      dot.setAttribute("visibility", own[kind] ? "visible" : "hidden");
    }
  }
  for (const line of picture.querySelectorAll("polyline")) {
    const target = line.dataset.target;
    line.classList.toggle("now", target !== undefined && numbers.has(target));
    if (target === undefined) continue;
    const active = numbers.has(target) && backwards;
    line.setAttribute(active ? "marker-start" : "marker-end", "url(#arrow)");
    line.removeAttribute(active ? "marker-end" : "marker-start");
  }
}

// The table that a value is after so many steps, or null.
function latest(history, position) {
  let found = null;
  for (const [since, table] of history ?? []) if (since <= position) found = table;
  return found;
}

// Scrolls the picture alone, not the page.
function centre(rect, frame) {
  const [box, view] = [rect.getBoundingClientRect(), frame.getBoundingClientRect()];
  frame.scrollLeft += box.x + box.width / 2 - view.x - frame.clientWidth / 2;
  frame.scrollTop += box.y + box.height / 2 - view.y - frame.clientHeight / 2;
}
