"use strict";
// The table of cells: search, filters and sorting. Without scripts it is a plain table.
(function () {
  const table = document.getElementById("cell-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const find = document.getElementById("find");
  const of = document.getElementById("of");
  const by = document.getElementById("by");
  const shown = document.getElementById("shown");
  const texts = rows.map((row) => row.textContent.toLowerCase());

  function show() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      const fits =
        words.every((word) => texts[i].includes(word)) &&
        (!of.value || row.dataset.attribute === of.value) &&
        (!by.value || row.dataset.trust === by.value);
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = count + " of " + rows.length + " rows shown";
  }

  // The value of a number, not its text: "> 99.9 %" comes after "99.5 %".
  function key(row, column) {
    const figure = row.cells[column].querySelector("data");
    return figure ? Number(figure.value) : row.cells[column].textContent;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  }

  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const order = Array.from(body.rows);
      order.sort((a, b) => sign * compare(key(a, column), key(b, column)));
      body.append(...order);
    });
  });

  const controls = document.querySelector(".controls");
  controls.addEventListener("input", show);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    body.append(...rows);
    setTimeout(show); // after the browser has emptied the fields
  });
  controls.hidden = false;
  show();

  // What is folded away is printed, too.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => (one.open = true));
  });
})();
