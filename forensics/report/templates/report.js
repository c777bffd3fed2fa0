"use strict";
// Sorts and filters the event table, links it with a time brush, copies display filters, unfolds what is linked or printed. The page is whole without it.
(() => {
  const chosen = { from: -Infinity, to: Infinity };
  const followers = [];
  const table = document.getElementById("event-table");
  if (table) {
    const body = table.tBodies[0];
    const all = Array.from(body.rows);
    const words = all.map((row) => row.textContent.toLowerCase());
    const moments = all.map((row) => Number(row.dataset.at));
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
          moments[at] >= chosen.from && moments[at] <= chosen.to &&
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
    followers.push(show);
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

  for (const box of document.querySelectorAll(".instants")) {
    const states = Array.from(box.children);
    const told = box.previousElementSibling.querySelector(".follows");
    followers.push(() => {
      // The last state that began by the end of the chosen time; all of them when none is chosen.
      const all = chosen.to === Infinity;
      let last = 0;
      states.forEach((state, at) => (last = Number(state.dataset.at) <= chosen.to ? at : last));
      states.forEach((state, at) => (state.hidden = !all && at !== last));
      told.hidden = all;
    });
  }

  const brush = document.getElementById("brush");
  const drawing = document.querySelector("svg.chart");
  if (brush && drawing) {
    const scale = Object.fromEntries(
      ["from", "to", "left", "right", "bottom"].map((name) => [name, Number(drawing.dataset[name])]),
    );
    const lookups = brush.dataset.bins.split(";").filter(Boolean).map((bin) => bin.split(":").map(Number));
    const from = document.getElementById("brush-from");
    const to = document.getElementById("brush-to");
    const tally = document.getElementById("brush-tally");
    const shade = document.createElementNS(drawing.namespaceURI, "rect");
    shade.setAttribute("class", "brush-shade");
    shade.setAttribute("y", "20");
    shade.setAttribute("height", String(scale.bottom - 58));
    const length = scale.to - scale.from;
    const clock = (time) => new Date(time).toISOString().slice(11, length < 600000 ? 23 : 19);
    const apply = () => {
      const low = Math.min(from.valueAsNumber, to.valueAsNumber);
      const high = Math.max(from.valueAsNumber, to.valueAsNumber);
      const whole = low === 0 && high === 1000;
      chosen.from = whole ? -Infinity : scale.from + (length * low) / 1000;
      chosen.to = whole ? Infinity : scale.from + (length * high) / 1000;
      for (const [slider, time] of [[from, chosen.from], [to, chosen.to]])
        slider.setAttribute("aria-valuetext", whole ? "whole time" : `${clock(time)} UTC`);
      if (whole) {
        shade.remove();
        tally.textContent = "";
      } else {
        const wide = (scale.right - scale.left) / 1000;
        shade.setAttribute("x", String(scale.left + low * wide));
        shade.setAttribute("width", String(Math.max((high - low) * wide, 1)));
        drawing.append(shade);
        let answered = 0;
        let failed = 0;
        for (const [begin, end, good, bad] of lookups)
          if (end > chosen.from && begin < chosen.to) {
            answered += good;
            failed += bad;
          }
        tally.textContent = `${clock(chosen.from)} to ${clock(chosen.to)} UTC: ${answered} lookups answered, ${failed} failed`;
      }
      followers.forEach((follow) => follow());
    };
    from.addEventListener("input", apply);
    to.addEventListener("input", apply);
    brush.addEventListener("reset", () => setTimeout(apply));
    const share = (event) => {
      const box = drawing.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
      return Math.round(Math.min(Math.max((x - scale.left) / (scale.right - scale.left), 0), 1) * 1000);
    };
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType === "touch") return;
      event.preventDefault();
      drawing.setPointerCapture(event.pointerId);
      const start = share(event);
      const drag = (now) => {
        from.value = String(Math.min(start, share(now)));
        to.value = String(Math.max(start, share(now)));
        if (from.value === to.value) brush.reset();
        else apply();
      };
      drawing.addEventListener("pointermove", drag);
      drawing.addEventListener("pointerup", () => drawing.removeEventListener("pointermove", drag), { once: true });
    });
    brush.addEventListener("submit", (event) => event.preventDefault());
    brush.hidden = false;
    document.getElementById("brush-help").hidden = false;
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
