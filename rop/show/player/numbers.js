// Numbers: tables with the heat of their cells, and how a cell comes from other cells.

const DIGITS = 4;
const WRITTEN = 6;  // terms of a sum that are written out
const LOOPS = 2e6;  // the longest nest of loops that is searched for a cell's terms

function text(number) {
  if (typeof number !== "number") return number;
  if (number === 0) return "0";
  const size = Math.abs(number);
  return size < 1e-3 || size >= 1e5 ? number.toExponential(DIGITS - 1) : number.toPrecision(DIGITS);
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Words, with the formulas that backticks enclose in a type of their own.
function prose(words) {
  return words.split("`").map((part, number) => (number % 2 ? element("code", {}, part) : part));
}

function numberAt(table, row, column) {
  return table.numbers[row]?.[column];
}

// "case 2", "row 3": what a row of a table is.
function rowName(table, row) {
  const leading = table.leading;
  if (!leading.length) return "";
  let rest = row;
  const parts = [];
  for (let i = leading.length - 1; i > 0; i--) {
    parts.unshift(rest % leading[i]);
    rest = Math.floor(rest / leading[i]);
  }
  if (leading[0] === "N") return ["case " + (rest + 1), ...parts.map((part) => part + 1)].join(", ");
  return [rest, ...parts].map((part) => part + 1).join(", ");
}

function cellName(name, table, row, column) {
  const where = [rowName(table, row), String(column + 1)].filter(Boolean);
  return `${name}[${where.join(", ")}]`;
}

// A table. choose(row, column) makes its cells buttons; used holds "row,column" of marked cells.
function numbersTable(name, shape, table, { cell = null, used = new Set(), choose = null, veiled = false, dot = null } = {}) {
  const caption = element("caption", {}, name + " ", element("span", { class: "shape" }, shape));
  if (dot) caption.prepend(element("span", { class: `dot ${dot}`, "aria-hidden": "true" }));
  const kept = table.numbers;
  const columns = kept.length ? kept[0].length : 0;
  const finite = kept.flat().filter((number) => typeof number === "number");
  const most = Math.max(...finite.map(Math.abs), Number.MIN_VALUE);
  const head = element("tr", {}, element("td", { class: "corner" }));
  for (let j = 0; j < columns; j++) head.append(element("th", { scope: "col" }, String(j + 1)));
  const body = element("tbody");
  kept.forEach((row, i) => {
    const line = element("tr", {}, element("th", { scope: "row" }, rowName(table, i) || "all"));
    row.forEach((number, j) => {
      const shown = veiled ? "?" : text(number);
      const td = element("td", { "data-cell": i + "," + j });
      if (!veiled && typeof number === "number") {
        const heat = (0.55 * Math.abs(number)) / most;
        td.style.background = `rgba(var(--${number < 0 ? "minus" : "plus"}), ${heat.toFixed(3)})`;
        td.title = cellName(name, table, i, j) + " = " + number;
      }
      if (used.has(i + "," + j)) td.classList.add("used");
      if (cell && cell[0] === i && cell[1] === j) td.classList.add("cell");
      if (choose) {
        const button = element("button", { type: "button", "aria-pressed": String(td.classList.contains("cell")) }, shown);
        button.addEventListener("click", () => choose(i, j));
        td.append(button);
      } else {
        td.append(element("span", {}, shown));
      }
      line.append(td);
    });
    body.append(line);
  });
  const made = element("div", { "data-name": name }, element("table", {}, caption, element("thead", {}, head), body));
  const rows = table.rows - kept.length;
  const others = table.columns - columns;
  if (rows > 0 || others > 0) {
    const parts = [];
    if (rows > 0) parts.push(`${rows} more rows`);
    if (others > 0) parts.push(`${others} more columns`);
    made.append(element("p", { class: "shape" }, `… ${parts.join(" and ")} not shown`));
  }
  return made;
}

// The terms that a step adds to a cell of its result: for each, the cells of the operands.
function termsOf(kernel, cases, row, column) {
  const [target, ...operands] = kernel.walks ?? [];
  const flat = row * kernel.columns[0] + column;
  const ownCase = kernel.perCase[0] ? Math.floor(flat / kernel.sizes[0]) : null;
  const wanted = kernel.perCase[0] ? flat % kernel.sizes[0] : flat;
  const place = (operand, index, n) => {
    const whole = kernel.perCase[operand] ? n * kernel.sizes[operand] + index : index;
    return [Math.floor(whole / kernel.columns[operand]), whole % kernel.columns[operand]];
  };
  if (kernel.text !== undefined) {
    return [kernel.sizes.slice(1).map((_, i) => place(i + 1, wanted, ownCase ?? 0))];
  }
  const nest = kernel.extents.reduce((product, extent) => product * extent, 1);
  if (nest > LOOPS) return null;
  const one = [];
  const at = kernel.extents.map(() => 0);
  for (let i = 0; i < nest; i++) {
    const offset = ([start, ...strides]) => strides.reduce((sum, stride, k) => sum + stride * at[k], start);
    if (offset(target) === wanted) one.push(operands.map(offset));
    for (let k = at.length - 1; k >= 0 && ++at[k] === kernel.extents[k]; k--) at[k] = 0;
  }
  const summed = ownCase === null && kernel.perCase.some(Boolean);
  const found = [];
  for (let n = summed ? 0 : ownCase ?? 0; n < (summed ? cases : (ownCase ?? 0) + 1); n++) {
    for (const indices of one) found.push(indices.map((index, i) => place(i + 1, index, n)));
  }
  return found;
}

// A cell's arithmetic in words: the terms, what was there before, and the result.
function written(term, terms, operands, before, result, row, column, veiled) {
  const name = cellName(term.target, result, row, column);
  const end = veiled ? "?" : text(numberAt(result, row, column));
  const parts = [];
  if (before) parts.push(`${text(numberAt(before, row, column))} (before)`);
  for (const places of terms.slice(0, WRITTEN)) {
    const factors = places.map(([i, j], k) => {
      const number = numberAt(operands[k], i, j);
      return number === undefined ? cellName(term.operands[k][0], operands[k], i, j) : text(number);
    });
    const { kernel } = term;
    if (kernel.text !== undefined) {
      parts.push(kernel.text.replace(/\{(\d)\}/g, (_, k) => factors[k]));
    } else {
      const coefficient = kernel.coefficient === 1 ? [] : [text(kernel.coefficient)];
      parts.push([...coefficient, ...factors].map((factor) => (factor.startsWith("-") ? `(${factor})` : factor)).join(" × "));
    }
  }
  const more = terms.length - WRITTEN;
  if (more > 0) parts.push(`… ${more} more terms`);
  if (!terms.length) parts.push(before ? "nothing from this step" : "0");
  return `${name} = ${parts.join(" + ")} = ${end}`;
}
