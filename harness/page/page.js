"use strict";
(() => {
  const { config, specs } = JSON.parse(document.getElementById("charts").textContent);
  const options = { renderer: "svg", actions: false, logLevel: 1, config, tooltip: { disableDefaultStyle: true } };

  // A picture is drawn when it is first seen to have a width: those in a folded part wait.
  const draw = async (place) => {
    if (place.dataset.drawn || !place.clientWidth) return;
    place.dataset.drawn = "1";
    const spec = structuredClone(specs[place.dataset.key]);
    const narrow = place.clientWidth < 520;
    const look = { ...config, axisY: { labelLimit: narrow ? place.clientWidth * 0.36 : 240 } };
    if (narrow) look.legend = { ...config.legend, columns: 1, labelLimit: place.clientWidth - 60 };
    try {
      const { view } = await vegaEmbed(place, spec, { ...options, config: look });
      const save = place.parentElement.querySelector(".save");
      save.hidden = false;
      for (const button of save.querySelectorAll("button")) {
        button.onclick = async () => {
          const link = document.createElement("a");
          link.href = await view.toImageURL(button.dataset.save, 2);
          link.download = `${place.dataset.key}.${button.dataset.save}`;
          link.click();
        };
      }
    } catch (error) {
      place.textContent = `This picture could not be drawn: ${error.message}`;
    }
  };
  const drawAll = () => document.querySelectorAll(".chart").forEach(draw);
  drawAll();
  document.querySelectorAll("details.job").forEach((part) => part.addEventListener("toggle", drawAll));

  const sort = (table, place, heading) => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("thead th").forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.children[place].dataset.key;
    const compare = (one, other) => {
      const a = key(one), b = key(other);
      if (a === "" || b === "") return (a === "") - (b === "");  // what has no number comes last
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return descending ? -order : order;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((heading, place) => {
      heading.tabIndex = 0;
      heading.onclick = () => sort(table, place, heading);
      heading.onkeydown = (event) => { if (event.key === "Enter") sort(table, place, heading); };
    });
  }

  for (const filter of document.querySelectorAll(".filter")) {
    const [text, verdict, output] = ["input", "select", "output"].map((name) => filter.querySelector(name));
    const rows = [...filter.parentElement.querySelectorAll("tbody tr")];
    const apply = () => {
      const wanted = text.value.toLowerCase();
      for (const row of rows) {
        const fits = row.textContent.toLowerCase().includes(wanted);
        row.hidden = !fits || (verdict.value && row.dataset.verdict !== verdict.value);
      }
      output.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    };
    text.oninput = verdict.onchange = apply;
    filter.hidden = false;
    apply();
  }
})();
