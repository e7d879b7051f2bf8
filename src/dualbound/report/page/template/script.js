"use strict";
(() => {
  const root = document.documentElement;
  const FOLD = 25;
  root.classList.add("scripted");

  const stored = (value) => {
    try {
      if (value) localStorage.setItem("dualbound-theme", value);
      return localStorage.getItem("dualbound-theme");
    } catch {
      return null; // a browser may refuse to store anything for a file
    }
  };
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();

  const theming = () => {
    const button = document.getElementById("theme");
    const say = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      stored(root.dataset.theme);
      say();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
    say();
  };

  // A cell as a number; what is none goes last.
  const numeric = (text) => {
    const plain = text.replace(/[,\s%]/g, "").replace(/−/g, "-").replace(/^[<>]/, "");
    if (plain === "∞") return Infinity;
    const value = plain === "" ? NaN : Number(plain);
    return Number.isNaN(value) ? null : value;
  };

  const sortable = (box) => {
    const table = box.querySelector("table");
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const more = box.querySelector(".more");
    const input = box.querySelector("input");
    const output = box.querySelector("output");
    let rows = [...body.rows];
    let unfolded = false;
    let wanted = "";

    const show = (all) => {
      const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = words.length
        ? rows.filter((row) => {
            row.words ??= row.textContent.toLowerCase();
            return words.every((word) => row.words.includes(word));
          })
        : rows;
      const open = all || unfolded || kept.length <= FOLD + 10;
      body.replaceChildren(...(open ? kept : kept.slice(0, FOLD)));
      more.hidden = open && !unfolded;
      more.firstElementChild.textContent = open
        ? `Show ${FOLD} only`
        : `Show all ${kept.length.toLocaleString("en")}`;
      if (output) {
        output.textContent = words.length
          ? `${kept.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`
          : "";
      }
    };

    heads.forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const number = table.classList.contains(`n${column + 1}`);
        const keyed = rows.map((row) => {
          const text = row.cells[column].textContent.trim();
          return [number ? numeric(text) : text, row];
        });
        const missing = (key) => key === null || key === "";
        keyed.sort(([a], [b]) => {
          if (missing(a) || missing(b)) return missing(a) - missing(b);
          const order = number
            ? (a > b) - (a < b)
            : a.localeCompare(b, "en", { numeric: true });
          return down ? -order : order;
        });
        rows = keyed.map(([, row]) => row);
        show(false);
      });
    });

    let waiting = 0;
    input?.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { wanted = input.value; show(false); }, 120);
    });
    more.firstElementChild.addEventListener("click", () => { unfolded = !unfolded; show(false); });
    addEventListener("beforeprint", () => show(true));
    addEventListener("afterprint", () => show(false));
    show(false);
  };

  document.addEventListener("DOMContentLoaded", () => {
    theming();
    document.querySelectorAll(".table").forEach(sortable);
    let opened = [];
    addEventListener("beforeprint", () => {
      document.querySelectorAll("img").forEach((one) => { one.loading = "eager"; });
      opened = [...document.querySelectorAll("details:not([open])")];
      opened.forEach((one) => { one.open = true; });
    });
    addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
  });
})();
