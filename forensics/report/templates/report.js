"use strict";
// Sorts and filters the event table, lets tables and chains of trust follow a time brush, copies display filters, unfolds what is linked or printed. The page is whole without it.
(() => {
  const chosen = { from: -Infinity, to: Infinity };
  const followers = [];
  const table = document.getElementById("event-table");
  if (table) {
    const PAGE = 500;
    const body = table.tBodies[0];
    const controls = document.getElementById("event-controls");
    const search = document.getElementById("event-search");
    const kind = document.getElementById("event-kind");
    const tally = document.getElementById("event-tally");
    const pages = document.getElementById("event-pages");
    const back = document.getElementById("event-back");
    const on = document.getElementById("event-on");
    const data = document.getElementById("event-data");
    // One entry an event: those that stand as rows, then the lines of text behind them.
    const all = Array.from(body.rows, (row) => ({
      row, at: Number(row.dataset.at), kind: row.dataset.kind,
      texts: Array.from(row.cells, (cell) => cell.textContent),
    }));
    for (const line of data ? data.textContent.split("\n") : []) {
      const [at, time, local, kind, phrase, bad, zone, place, text, frame, capture] = line.split("\t");
      if (capture === undefined) continue;
      const filter = frame && `frame.number == ${frame}`;
      all.push({ at: Number(at), kind, bad, time, local, filter, capture, texts: [time + local, phrase, zone, place, text, filter + capture] });
    }
    if (data) data.remove();
    const element = (name, className, text) => {
      const made = document.createElement(name);
      if (className) made.className = className;
      made.textContent = text;
      return made;
    };
    const rowOf = (event) => {
      if (event.row) return event.row;
      const row = document.createElement("tr");
      row.dataset.at = event.at;
      row.dataset.kind = event.kind;
      event.texts.forEach((text, column) => row.append(element("td", column === 1 && event.bad ? "k-bad" : "", column % 5 ? text : "")));
      row.cells[0].append(event.time);
      if (event.local) row.cells[0].append(document.createElement("br"), element("span", "local", event.local));
      if (event.filter) row.cells[5].append(element("code", "filter", event.filter), document.createElement("br"));
      row.cells[5].append(element("span", "local", event.capture));
      return (event.row = row);
    };
    let found = all;
    let page = 0;
    const draw = () => {
      const last = Math.max(Math.ceil(found.length / PAGE) - 1, 0);
      page = Math.min(page, last);
      body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(rowOf));
      pages.hidden = last === 0;
      back.disabled = page === 0;
      on.disabled = page === last;
      const part = last ? `, rows ${page * PAGE + 1} to ${Math.min((page + 1) * PAGE, found.length)} here` : "";
      tally.textContent = `${found.length} of ${all.length} events shown${part}`;
    };
    const show = () => {
      const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      found = all.filter(
        (event) =>
          (!kind.value || event.kind === kind.value) &&
          event.at >= chosen.from && event.at <= chosen.to &&
          (!wanted.length || ((event.words ??= event.texts.join(" ").toLowerCase()), wanted.every((word) => event.words.includes(word)))),
      );
      page = 0;
      draw();
    };
    const turn = (by) => {
      page += by;
      draw();
      table.parentNode.scrollTop = 0;
    };
    back.addEventListener("click", () => turn(-1));
    on.addEventListener("click", () => turn(1));
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(show, 80);
    });
    kind.addEventListener("change", show);
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.hidden = false;
    followers.push(show);
    show();

    const order = new Intl.Collator("en", { numeric: true });
    all.forEach((event, at) => (event.order = at));
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        // Each text is compared once with each other, however often it stands there.
        const texts = Array.from(new Set(all.map((event) => event.texts[column]))).sort(order.compare);
        const rank = new Map(texts.map((text, at) => [text, at]));
        const sign = down ? -1 : 1;
        all.sort((a, b) => (rank.get(a.texts[column]) - rank.get(b.texts[column]) || a.order - b.order) * sign);
        show();
      });
    });
  }

  const brush = document.getElementById("brush");
  const scale = { start: Number(brush?.dataset.start), step: Number(brush?.dataset.step) };
  const pairs = (text) => {
    const numbers = text ? text.split(",").map(Number) : [];
    return numbers.filter((_, at) => at % 2 === 0).map((bin, at) => [bin, numbers[2 * at + 1]]);
  };
  // A bin counts that touches the chosen time.
  const within = ([bin]) => {
    const begin = scale.start + bin * scale.step;
    return begin < chosen.to && begin + scale.step > chosen.from;
  };
  const sum = (counts) => counts.filter(within).reduce((all, [, count]) => all + count, 0);
  const written = (count) => count.toLocaleString("en");
  const follow = (cell, told) => {
    const whole = { text: cell.textContent, name: cell.className };
    followers.push(() => {
      const found = chosen.to === Infinity ? whole : told();
      if (found.name !== undefined) cell.className = found.name;
      cell.textContent = found.text;
    });
  };
  if (scale.step) {
    for (const cell of document.querySelectorAll("[data-over]")) {
      const counts = pairs(cell.dataset.over);
      follow(cell, () => ({ text: written(sum(counts)) }));
    }
    for (const cell of document.querySelectorAll("[data-distinct]")) {
      const seen = pairs(cell.dataset.distinct);
      follow(cell, () => ({ text: written(new Set(seen.filter(within).map(([, thing]) => thing)).size) }));
    }
    for (const cell of document.querySelectorAll("[data-good]")) {
      const counts = [pairs(cell.dataset.good), pairs(cell.dataset.bad)];
      follow(cell, () => {
        const [good, bad] = counts.map(sum);
        if (!good && !bad) return { text: "–", name: "" };
        if (!bad) return { text: `● ${written(good)}`, name: "cell-good" };
        if (!good) return { text: `✕ ${written(bad)}`, name: "cell-bad" };
        return { text: `◐ ${written(good)} / ${written(bad)}`, name: "cell-mixed" };
      });
    }
    // Serials and servers that were not seen then make room for those that were.
    const lines = Array.from(document.querySelectorAll(".cells tbody tr"), (line) => [line, Array.from(line.cells).slice(1)]);
    followers.push(() => {
      const whole = chosen.to === Infinity;
      for (const [line, cells] of lines) line.hidden = !whole && cells.every((cell) => cell.textContent === "–");
    });
    const notes = document.querySelectorAll(".follows");
    followers.push(() => notes.forEach((note) => (note.hidden = chosen.to === Infinity)));
  }

  const made = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.textContent = text;
    return element;
  };
  const drawing = document.querySelector("svg.chart");
  for (const form of document.querySelectorAll("form.course")) {
    const links = [];
    const states = [];
    const data = form.querySelector(".course-data");
    const lines = data.textContent.split("\n");
    const size = { L: 9, S: 5 };
    for (let line = 0; line < lines.length; line += 1 + (size[lines[line]] || 0)) {
      const kind = lines[line];
      const fields = lines.slice(line + 1, line + 1 + (size[kind] || 0));
      if (kind === "L") links.push(fields);
      if (kind === "S") {
        const [at, time, status, reason, numbers] = fields;
        states.push({ at: Number(at), time, status, reason, links: numbers.split(",").filter(Boolean).map(Number) });
      }
    }
    data.remove();
    if (!states.length || !drawing) continue;
    const start = Number(drawing.dataset.from);
    const length = Number(drawing.dataset.to) - start;
    const slider = form.querySelector(".course-at");
    const back = form.querySelector(".course-back");
    const on = form.querySelector(".course-on");
    const told = form.querySelector("output");
    const box = form.querySelector(".course-chain");
    let shown = -1;
    const draw = (instant) => {
      let now = 0;
      states.forEach((state, at) => (now = state.at <= instant ? at : now));
      const state = states[now];
      const from = new Date(Math.max(instant, start)).toISOString().replace("T", " ").slice(0, 23);
      const why = state.reason ? `, ${state.reason}` : "";
      told.textContent = `At ${from} UTC: ${state.status}${why}, since ${state.time}`;
      slider.setAttribute("aria-valuetext", `${from} UTC, ${state.status}${why}`);
      back.disabled = now === 0;
      on.disabled = now === states.length - 1;
      if (now === shown) return;
      shown = now;
      const list = made("ol", "chain", "");
      for (const [zone, link, status, reason, keys, time, frame, capture, until] of state.links.map((at) => links[at]).filter(Boolean)) {
        const item = made("li", status, "");
        item.append(made("b", "link-zone", zone), " ", made("b", "", link), made("span", "link-status", reason ? `${status}: ${reason}` : status));
        if (keys) item.append(made("span", "", `key ${keys}`));
        if (time) item.append(made("span", "", `seen ${time} UTC`));
        if (until) item.append(made("span", "", `signed until ${until} UTC`));
        if (frame) {
          const place = made("span", "", "");
          place.append(made("code", "filter", `frame.number == ${frame}`));
          item.append(place);
          if (capture) item.append(made("span", "local", capture));
        }
        list.append(item);
      }
      box.replaceChildren(list);
    };
    // Rounded up, so that a change which is jumped to has happened.
    const move = (instant) => {
      slider.value = String(Math.min(Math.max(((instant - start) / length) * 1000, 0), 1000));
      draw(instant);
    };
    slider.addEventListener("input", () => draw(start + (length * slider.valueAsNumber) / 1000));
    back.addEventListener("click", () => move(states[shown - 1].at));
    on.addEventListener("click", () => move(states[shown + 1].at));
    form.addEventListener("submit", (event) => event.preventDefault());
    const first = Number(form.dataset.from) >= 0 ? Number(form.dataset.from) + 1 : states[0].at;
    followers.push(() => move(chosen.to === Infinity ? first : chosen.to));
    form.hidden = false;
    form.previousElementSibling.classList.add("on-paper");
    move(first);
  }

  if (brush && drawing) {
    const sheet = Object.fromEntries(
      ["from", "to", "left", "right", "bottom"].map((name) => [name, Number(drawing.dataset[name])]),
    );
    const lookups = brush.dataset.bins.split(";").filter(Boolean).map((bin) => bin.split(":").map(Number));
    const from = document.getElementById("brush-from");
    const to = document.getElementById("brush-to");
    const tally = document.getElementById("brush-tally");
    const shade = document.createElementNS(drawing.namespaceURI, "rect");
    shade.setAttribute("class", "brush-shade");
    shade.setAttribute("y", "20");
    shade.setAttribute("height", String(sheet.bottom - 58));
    const length = sheet.to - sheet.from;
    const clock = (time) => new Date(time).toISOString().slice(11, length < 600000 ? 23 : 19);
    const apply = () => {
      const low = Math.min(from.valueAsNumber, to.valueAsNumber);
      const high = Math.max(from.valueAsNumber, to.valueAsNumber);
      const whole = low === 0 && high === 1000;
      chosen.from = whole ? -Infinity : sheet.from + (length * low) / 1000;
      chosen.to = whole ? Infinity : sheet.from + (length * high) / 1000;
      for (const [slider, time] of [[from, chosen.from], [to, chosen.to]])
        slider.setAttribute("aria-valuetext", whole ? "whole time" : `${clock(time)} UTC`);
      if (whole) {
        shade.remove();
        tally.textContent = "";
      } else {
        const wide = (sheet.right - sheet.left) / 1000;
        shade.setAttribute("x", String(sheet.left + low * wide));
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
      return Math.round(Math.min(Math.max((x - sheet.left) / (sheet.right - sheet.left), 0), 1) * 1000);
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
