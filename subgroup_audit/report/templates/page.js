"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // A button copies the words of another part of the page; without a script or a clipboard it stays hidden.
  for (const button of all("button[data-copy]")) {
    const part = document.getElementById(button.dataset.copy);
    if (!part || !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const lines = part.matches("pre") ? [part] : all("p", part);
      const words = lines.map((line) => line.textContent.trim()).join("\n\n");
      const said = button.parentElement.querySelector("[role='status']") ?? document.getElementById("copy-status");
      try {
        await navigator.clipboard.writeText(words);
        said.textContent = "Copied.";
      } catch {
        said.textContent = "The browser refused to copy; select the text instead.";
      }
    });
  }

  // A long table shows its first rows; a button shows the rest. Without a script every row is shown.
  const unfold = (table) => {
    all("tr.folded", table).forEach((row) => row.classList.remove("folded"));
    if (table.nextElementSibling?.classList.contains("fold")) table.nextElementSibling.remove();
  };
  for (const table of all("table[data-shown]")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length <= Number(table.dataset.shown) + 3) continue;
    rows.slice(Number(table.dataset.shown)).forEach((row) => row.classList.add("folded"));
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fold";
    button.textContent = `Show all ${rows.length} rows`;
    button.addEventListener("click", () => unfold(table));
    table.after(button);
  }

  // Choosers: one panel of several. Without a script every panel is shown.
  for (const select of all("[data-chooser]")) {
    const panels = all(`[data-panel="${select.dataset.chooser}"]`);
    const show = () => panels.forEach((panel) => { panel.hidden = panel.dataset.key !== select.value; });
    // Choosers of the same thing go together: one finding is looked at in every section.
    select.addEventListener("change", () => {
      all("[data-chooser]").filter((other) => other.dataset.chooser === select.dataset.chooser)
        .forEach((other) => { other.value = select.value; });
      show();
    });
    show();
  }

  // Facets: choosers that pick together; a panel is shown where it agrees with all of them.
  for (const facets of all("[data-facets]")) {
    const panels = all(`[data-panel="${facets.dataset.facets}"]`);
    const selects = all("[data-facet]", facets);
    const nothing = facets.querySelector("[data-nothing]");
    // A panel that does not know a chooser's matter agrees with it, and so does every panel with "all".
    const agrees = (panel) => selects.every(({ value, dataset }) => [value, undefined].includes(panel.dataset[dataset.facet]) || value === "");
    const show = () => {
      panels.forEach((panel) => { panel.hidden = !agrees(panel); });
      if (nothing) nothing.hidden = panels.some((panel) => !panel.hidden);
    };
    selects.forEach((select) => select.addEventListener("change", show));
    show();
  }

  // A wide matrix shows its AUCs alone; a button opens its cells.
  for (const button of all("[data-dense]")) {
    const table = button.closest("[data-panel]").querySelector(".dense");
    button.hidden = false;
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(table.classList.toggle("open")));
    });
  }

  // Tables sort by a column's values; rows without a value stay last.
  const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b, kind) => (kind === "text" ? a.localeCompare(b) : Number(a) - Number(b));
  const sortBy = (table, column, kind, sign) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    rows.sort((a, b) => {
      if (a.value === "" || b.value === "") return (a.value === "") - (b.value === "");
      return sign * compare(a.value, b.value, kind);
    });
    rows.forEach(({ row }) => body.append(row));
  };
  for (const button of all("table[data-sortable] .sort")) {
    button.addEventListener("click", () => {
      unfold(button.closest("table"));
      const heading = button.closest("th");
      const table = heading.closest("table");
      const rises = heading.getAttribute("aria-sort") !== "ascending";
      all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", rises ? "ascending" : "descending");
      sortBy(table, heading.cellIndex, button.dataset.kind, rises ? 1 : -1);
    });
  }

  // A word filters the rows of all tables that belong to it.
  for (const field of all("[data-filter]")) {
    const rows = all(`table[data-filtered="${field.dataset.filter}"] tbody tr`);
    field.addEventListener("input", () => {
      all(`table[data-filtered="${field.dataset.filter}"]`).forEach(unfold);
      const word = field.value.trim().toLowerCase();
      rows.forEach((row) => { row.hidden = word !== "" && !row.textContent.toLowerCase().includes(word); });
      const shown = rows.filter((row) => !row.hidden).length;
      const counts = document.querySelector(`[data-counts="${field.dataset.filter}"]`);
      if (counts) counts.textContent = word === "" ? "" : `${shown} of ${rows.length} rows`;
    });
  }

})();

// Figures wait until the page is whole: the script that draws them comes last, so that choosers and tables work at once.
addEventListener("DOMContentLoaded", () => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  // Curves: drawn when they come near the screen, in the colours of the reader's theme.
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const plots = all("[data-spec]");
  if (!plots.length || typeof Plotly === "undefined") return;
  // Paper shows every seed, whichever is looked at.
  const seeds = document.querySelector("[data-seeds]");
  const isShown = ({ legendgroup }) => "paper" in document.documentElement.dataset || !seeds?.value || [seeds.value, undefined].includes(legendgroup);
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const themed = ({ data, layout }) => {
    const axis = { gridcolor: token("rule"), linecolor: token("soft"), tickcolor: token("soft") };
    return {
      data: data.map((trace) => ({
        ...trace,
        visible: isShown(trace),
        line: { ...trace.line, color: token(trace.meta) },
        marker: { ...trace.marker, color: token(trace.meta) },
        ...(trace.fill ? { fillcolor: token(`${trace.meta}-band`) } : {}),
      })),
      layout: {
        ...layout,
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 11, color: token("ink") },
        hoverlabel: { bgcolor: token("raised"), font: { color: token("ink") } },
        xaxis: { ...layout.xaxis, ...axis },
        yaxis: { ...layout.yaxis, ...axis },
      },
    };
  };
  // Paper has its own width, which a figure that was drawn for the screen does not follow: three beside each other
  // fit A4 and Letter, and so does one alone.
  const paperWidth = (plot) => (plot.closest(".multiples") ? 214 : 660);
  const draw = (plot) => {
    const { data, layout } = themed(specs[plot.dataset.spec]);
    const width = "paper" in document.documentElement.dataset ? { width: paperWidth(plot) } : {};
    plot.dataset.drawn = "yes";
    return Plotly.react(plot, data, { ...layout, ...width }, { responsive: true, displayModeBar: false });
  };
  const drawn = () => plots.filter((plot) => plot.dataset.drawn);
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  plots.forEach((plot) => watcher.observe(plot));
  seeds?.addEventListener("change", () => drawn().forEach(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn().forEach(draw));
  // Paper is light whatever the screen is.
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.paper = "";
    all("[data-panel][hidden]").forEach((panel) => { panel.hidden = false; panel.dataset.unfolded = ""; });
    plots.forEach(draw);
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.paper;
    plots.forEach(draw);
    all("[data-unfolded]").forEach((panel) => { panel.hidden = true; delete panel.dataset.unfolded; });
  });
});
