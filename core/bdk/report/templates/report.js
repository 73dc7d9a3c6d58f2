"use strict";
(() => {
  const best = { up: "descending", down: "ascending" };

  // Theme: follows the system until the reader chooses.
  const theme = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const showTheme = (isDark) => {
    theme.setAttribute("aria-pressed", String(isDark));
  };
  theme.hidden = false;
  showTheme(dark.matches);
  dark.addEventListener("change", (event) => {
    if (!document.documentElement.dataset.theme) showTheme(event.matches);
  });
  theme.addEventListener("click", () => {
    const isDark = theme.getAttribute("aria-pressed") !== "true";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    showTheme(isDark);
  });

  // Values of a table's cells: numbers where there are, else the words.
  const plainValue = (row, place) => {
    const cell = row.cells[place];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.classList.contains("word") || cell.tagName === "TH" ? cell.textContent.trim() : null;
  };

  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);

  // Rows without a value come last in either direction; equal ones keep their first order.
  const sortRows = (body, order, valueOf) => {
    const rows = body.initial.map((row, place) => ({ row, place, value: valueOf(row) }));
    const turn = order === "descending" ? -1 : 1;
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.place - b.place;
      return turn * compare(a.value, b.value) || a.place - b.place;
    });
    body.append(...rows.map((entry) => entry.row));
  };

  const makeSortable = (table) => {
    const gridData = document.getElementById(`${table.id}-data`);
    const grid = table.id && gridData ? JSON.parse(gridData.textContent) : null;
    const picker = grid && document.querySelector(`select[data-grid="${table.id}"]`);
    const status = table.closest(".scroll").nextElementSibling;
    const bodies = [...table.tBodies].filter((body) => body.dataset.fixed === undefined);
    for (const body of bodies) body.initial = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const metric = () => grid.metrics[picker ? Number(picker.value) : grid.first];

    const valueOf = (head, place) => (row) => {
      if (grid && head.dataset.row !== undefined) {
        if (!grid.metrics.length) return null;
        return grid.scores[metric().key][Number(head.dataset.row)][Number(row.dataset.position)];
      }
      return plainValue(row, place);
    };
    const firstOrder = (head) => {
      if (grid && head.dataset.row !== undefined) return grid.metrics.length && !metric().up ? "ascending" : "descending";
      return best[head.dataset.direction] || "ascending";
    };
    const apply = (head, order) => {
      for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      for (const body of bodies) sortRows(body, order, valueOf(head, heads.indexOf(head)));
      const by = grid && head.dataset.row !== undefined && grid.metrics.length ? `${metric().label} of ` : "";
      status.textContent = `Sorted by ${by}${head.querySelector(".sort").textContent.trim()}, ${order}.`;
    };

    for (const head of heads) {
      const button = head.querySelector("button.sort");
      if (!button) continue;
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const flipped = now === "descending" ? "ascending" : "descending";
        apply(head, now === "none" ? firstOrder(head) : flipped);
      });
    }

    if (!picker) return;
    picker.addEventListener("change", () => {
      const { key, digits } = metric();
      for (const row of bodies.flatMap((body) => body.initial)) {
        row.querySelectorAll(".score").forEach((label, place) => {
          const value = grid.scores[key][place][Number(row.dataset.position)];
          label.textContent = value === null ? "–" : value.toFixed(digits).replace("-", "\u2212");
        });
      }
      const sorted = heads.find((head) => head.dataset.row !== undefined && head.getAttribute("aria-sort") !== "none");
      if (sorted) apply(sorted, firstOrder(sorted));
      else status.textContent = `Scores are now ${metric().label}.`;
    });
  };

  document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
})();
