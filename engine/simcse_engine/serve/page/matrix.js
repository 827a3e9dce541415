// Matrix: the cosines of several sentences, each with each.

const MOST_LINES = 12;

class Matrix extends Panel {
  constructor() {
    super("matrix");
    this.table = find("#grid");
    find("#lines").addEventListener("input", () => this.soon());
    this.table.addEventListener("focusin", ({ target }) => target.tagName === "TD" && this.choose(target));
    this.table.addEventListener("pointerover", ({ target }) => target.tagName === "TD" && this.tell(target));
    this.table.addEventListener("keydown", (event) => this.move(event));
  }

  async work(signal) {
    const lines = find("#lines").value.split("\n").filter((line) => line.trim());
    this.sentences = lines.slice(0, MOST_LINES);
    if (this.sentences.length < 2) {
      this.clear();
      this.timing.replaceChildren();
      return;
    }
    const { units, ...answer } = await embed(this.sentences, signal);
    this.cosines = units.map((one) => units.map((other) => cosine(one, other)));
    this.show();
    this.took(answer);
    if (lines.length > MOST_LINES) {
      this.timing.append(" ", make("span", {}, `the first ${MOST_LINES} of ${lines.length} lines`));
    }
  }

  clear() {
    this.table.replaceChildren();
    find("#chosen").replaceChildren();
  }

  show() {
    const count = this.sentences.length;
    this.table.classList.toggle("wide", count > 8);
    const numbers = this.sentences.map((_, i) => make("th", { scope: "col" }, `${i + 1}`));
    const corner = make("th", { scope: "col" }, make("span", { className: "unseen" }, "Sentence"));
    const columns = make("colgroup", {}, make("col", { className: "label" }));
    columns.append(...this.sentences.map(() => make("col", { className: "value" })));
    const rows = this.sentences.map((sentence, i) => {
      const words = [make("b", {}, `${i + 1}`), make("span", {}, sentence)];
      const label = make("th", { scope: "row", title: sentence }, ...words);
      return make("tr", {}, label, ...this.cosines[i].map((value, j) => this.cell(value, i, j)));
    });
    this.table.replaceChildren(
      columns, make("thead", {}, make("tr", {}, corner, ...numbers)), make("tbody", {}, ...rows),
    );
    this.tell(this.cellAt(...this.closest()));
  }

  cell(value, row, column) {
    const cell = make("td", { tabIndex: row || column ? -1 : 0 }, shown(value, 2));
    cell.dataset.row = row;
    cell.dataset.column = column;
    shade(cell, value);
    return cell;
  }

  cellAt(row, column) {
    return find(`td[data-row="${row}"][data-column="${column}"]`, this.table);
  }

  /** The two different sentences that are most alike. */
  closest() {
    let best = [0, 1];
    this.cosines.forEach((row, i) => row.forEach((value, j) => {
      if (i < j && value > this.cosines[best[0]][best[1]]) best = [i, j];
    }));
    return best;
  }

  choose(cell) {
    for (const other of this.table.querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
    cell.tabIndex = 0;
    this.tell(cell);
  }

  tell(cell) {
    if (cell?.dataset.row === undefined) return;
    const [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
    const text = (i) => make("q", {}, this.sentences[i]);
    const value = shown(this.cosines[row][column], 4);
    const which = `${row + 1} and ${column + 1}: ${value} `;
    find("#chosen").replaceChildren(which, make("br"), text(row), " — ", text(column));
  }

  move(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const { row, column } = event.target.dataset;
    if (step === undefined || row === undefined) return;
    event.preventDefault();
    this.cellAt(Number(row) + step[0], Number(column) + step[1])?.focus();
  }
}
