"use strict";
// Sorts and filters the event table, copies display filters, unfolds what is linked or printed. The page is whole without it.
(() => {
  const table = document.getElementById("event-table");
  if (table) {
    const body = table.tBodies[0];
    const all = Array.from(body.rows);
    const words = all.map((row) => row.textContent.toLowerCase());
    const controls = document.getElementById("event-controls");
    const search = document.getElementById("event-search");
    const kind = document.getElementById("event-kind");
    const tally = document.getElementById("event-tally");
    const show = () => {
      const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      all.forEach((row, at) => {
        const fits =
          (!kind.value || row.dataset.kind === kind.value) &&
          wanted.every((word) => words[at].includes(word));
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      tally.textContent = `${shown} of ${all.length} events shown`;
    };
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(show, 80);
    });
    kind.addEventListener("change", show);
    controls.hidden = false;
    show();

    const order = new Intl.Collator("en", { numeric: true });
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = all.map((row, at) => [row.cells[column].textContent, at, row]);
        keyed.sort((a, b) => (order.compare(a[0], b[0]) || a[1] - b[1]) * (down ? -1 : 1));
        body.append(...keyed.map((entry) => entry[2]));
      });
    });
  }

  // Paper cannot be unfolded, and a link must not lead into a closed fold.
  const folds = Array.from(document.querySelectorAll("details"));
  addEventListener("beforeprint", () => folds.forEach((fold) => (fold.open = true)));
  const unfold = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const fold = target && target.closest("details");
    if (fold) fold.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  const note = document.getElementById("copied");
  document.addEventListener("click", async (event) => {
    const filter = event.target.closest("code.filter");
    if (!filter) return;
    getSelection().selectAllChildren(filter);
    try {
      await navigator.clipboard.writeText(filter.textContent);
      note.textContent = `Copied: ${filter.textContent}`;
    } catch {
      note.textContent = "Selected; copy with the keyboard.";
    }
    clearTimeout(note.timer);
    note.timer = setTimeout(() => (note.textContent = ""), 2500);
  });
})();
