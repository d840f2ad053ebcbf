// The listing: a line for each value, a part of it for each step; what the product leaves out is grey.

const LETTERS = 64;  // letters of a line, if it has more than one term

function makeListing(product, terms, cases, go) {
  const own = new Map(product.steps.map((step, number) => [step.term, number]));
  const made = document.createDocumentFragment();
  const said = ["* elementwise" + (cases > 1 ? `, Σ over the ${cases} cases` : "")];
  if (product.listing.some(([id]) => !own.has(id))) said.unshift(element("span", { class: "out" }, "grey: only in Hv"), " · ");
  if (product.listing.some(([id]) => own.has(id) && terms[id].curvature)) said.unshift(element("span", { class: "curvature" }, "red: curvature rules, not in Gv"), " · ");
  made.append(element("p", { class: "key" }, ...said));
  for (const [once, heading] of [[true, "once for each θ and batch"], [false, "for each product"]]) {
    const list = element("ol");
    let line = null;
    for (const [id] of product.listing.filter(([, when]) => when === once)) {
      const term = terms[id];
      const out = !own.has(id);
      const adds = !out && product.steps[own.get(id)].adds;
      const full = line !== null && line.formula.textContent.length + term.text.length > LETTERS;
      if (line === null || line.target !== term.target || (line.out && !out) || full) {
        line = lineOf(term, out, adds || (out && wasBefore(product, terms, id)), list);
      }
      const shown = line.terms ? ` ${term.text}` : term.text.replace(/^\+ /, "");
      const span = element("span", { class: "term", "data-term": id }, shown);
      line.terms += 1;
      if (term.curvature) {
        span.classList.add("curvature");
        span.title = "a curvature rule: not in Gv";
      }
      if (out) {
        span.classList.add("out");
        span.title = "not in this product";
      } else {
        span.addEventListener("click", () => go(own.get(id)));
      }
      line.formula.append(span);
    }
    if (!once) {
      for (const formula of product.penalty) {
        list.append(element("li", {}, element("span", {}, formula), element("span", { class: "shape" }, "penalty")));
      }
    }
    if (list.children.length) made.append(element("h3", {}, heading), list);
  }
  return made;
}

function lineOf(term, out, adds, list) {
  const target = element("span", {}, `${term.target} ${adds ? "+=" : "="} `);
  if (out) target.className = "out";
  const formula = element("span", {}, target);
  list.append(element("li", { "data-target": term.target }, formula, element("span", { class: "shape" }, term.shape)));
  return { target: term.target, out, terms: 0, formula };
}

// Whether a line of the listing above has assigned to the same value.
function wasBefore(product, terms, id) {
  for (const [other] of product.listing) {
    if (other === id) return false;
    if (terms[other].target === terms[id].target) return true;
  }
  return false;
}

function drawListing(section, term) {
  let line = null;
  for (const span of section.querySelectorAll(".term")) {
    const now = Number(span.dataset.term) === term;
    span.classList.toggle("now", now);
    if (now) {
      span.setAttribute("aria-current", "step");
      line = span.closest("li");
    } else {
      span.removeAttribute("aria-current");
    }
  }
  for (const item of section.querySelectorAll("li")) item.classList.toggle("now", item === line);
  if (line) section.scrollTop = line.offsetTop - section.clientHeight / 2;
}
