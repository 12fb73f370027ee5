"use strict";
{
  /* All texts of rows are data: they reach the page as text nodes alone, never as markup. */
  const PAGE = 50;
  const CELLS = 4_000_000; // of the table that word differences need, before they are left out
  const UNSEEN =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
  const $ = (id) => document.getElementById(id);
  const rows = JSON.parse($("data").textContent);
  let found = [];
  let at = 0;

  const name = (mark) => "U+" + mark.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  const escape = (text) => String(text).replace(UNSEEN, name);

  function make(tag, names, ...children) {
    const element = document.createElement(tag);
    if (names) element.className = names;
    element.append(...children.flat().filter((child) => child !== null && child !== ""));
    return element;
  }

  /** The text as nodes, each control as a mark that can be seen. */
  function say(text) {
    const nodes = [];
    let from = 0;
    for (const match of text.matchAll(UNSEEN)) {
      nodes.push(text.slice(from, match.index), make("span", "control", name(match[0])));
      from = match.index + match[0].length;
    }
    nodes.push(text.slice(from));
    return nodes;
  }

  const explain = (row) => [row.stage, row.reason].filter(Boolean).join(": ");
  const round = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });

  /** Which words of one text the other lacks, by their longest common subsequence. */
  function compare(one, other) {
    let first = 0;
    while (first < one.length && first < other.length && one[first] === other[first]) first++;
    let last = 0;
    while (
      last < one.length - first && last < other.length - first &&
      one[one.length - 1 - last] === other[other.length - 1 - last]
    ) last++;
    const n = one.length - first - last, m = other.length - first - last, wide = m + 1;
    const same = [new Uint8Array(one.length).fill(1), new Uint8Array(other.length).fill(1)];
    if (n * m > CELLS) return null;
    same[0].fill(0, first, first + n);
    same[1].fill(0, first, first + m);
    const best = new Uint16Array((n + 1) * wide);
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        best[i * wide + j] = one[first + i] === other[first + j]
          ? best[(i + 1) * wide + j + 1] + 1
          : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < n && j < m;) {
      if (one[first + i] === other[first + j]) {
        same[0][first + i++] = same[1][first + j++] = 1;
      } else if (best[(i + 1) * wide + j] >= best[i * wide + j + 1]) i++;
      else j++;
    }
    return same;
  }

  /** Its words and marks, each with the white space after it. */
  const split = (text) => text.match(/^\s+|(?:[\p{L}\p{N}\p{M}_]+|[^\p{L}\p{N}\p{M}_\s])\s*/gu) ?? [];

  /** The words as nodes, runs of those that the other text lacks as marks. */
  function mark(words, same) {
    const nodes = [];
    for (let i = 0; i < words.length;) {
      let j = i;
      while (j < words.length && same[j] === same[i]) j++;
      const run = words.slice(i, j).join(""), end = run.trimEnd().length;
      if (same[i]) nodes.push(...say(run));
      else nodes.push(make("mark", "", say(run.slice(0, end))), run.slice(end));
      i = j;
    }
    return nodes;
  }

  function facts(pairs) {
    const list = make("dl", "facts");
    for (const [key, value] of pairs) {
      if (value === null || value === undefined || value === "") continue;
      const shown = typeof value === "number" ? round(value) : value;
      list.append(make("div", "", make("dt", "", key), make("dd", "", say(shown))));
    }
    return list;
  }

  function unfold(title, text) {
    return make("details", "", make("summary", "", title), make("pre", "words", say(text)));
  }

  function side(response, title, names, words, same) {
    const body = same ? mark(words, same) : say(response.text);
    const box = make("div", "box " + names, make("h4", "", title),
      make("span", "turn", say(response.policy ?? "")));
    if (response.thoughts) box.append(unfold("Thoughts", response.thoughts));
    box.append(make("div", "words", body));
    for (const call of response.calls ?? []) box.append(make("pre", "words", say(call)));
    return box;
  }

  function judge(row) {
    const [one, other] = row.decided ? ["chosen", "rejected"] : ["a", "b"];
    const head = ["judge", "dimension", "P(" + one + ")", "rewards", one + " first", other + " first"];
    const body = row.judgments.map((each) => {
      const who = [each.judge, each.annotator, each.group].filter(Boolean).join(" · ");
      const p = each.preference === null ? "Unscored" + (each.unscored ? ": " + each.unscored : "")
        : each.preference.toFixed(3);
      const rewards = each.reward_chosen === null || each.reward_rejected === null ? ""
        : round(each.reward_chosen) + " against " + round(each.reward_rejected);
      const orders = [each.chosen_first, each.rejected_first].map((x) => (x === null ? "" : x.toFixed(3)));
      const cells = [each.dimension, p, rewards, ...orders];
      const line = make("tr", "", make("th", "", say(who)), cells.map((x) => make("td", "", say(x))));
      line.firstChild.scope = "row";
      return line;
    });
    const titles = head.map((x) => make("th", "", x));
    for (const title of titles) title.scope = "col";
    const scroll = make("div", "scroll",
      make("table", "", make("thead", "", make("tr", "", titles)), make("tbody", "", body)));
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Judgments");
    const sides = row.decided ? " ([a] is the " + row.a_is + " response)" : "";
    const written = row.judgments.filter((each) => each.trace)
      .map((each) => unfold("What " + escape(each.judge) + " wrote" + sides, each.trace));
    return make("section", "", make("h4", "", "Judgments"), scroll, written);
  }

  function show(row) {
    const article = $("row");
    const pair = "Pair " + row.id.slice(0, 12) + (row.reason ? ": " + row.reason : "");
    const title = row.dropped ? "Dropped by " + row.stage + ": " + row.reason : pair;
    const parts = [make("h3", "", say(title))];
    if (row.detail) parts.push(make("p", "why words", say(row.detail)));
    parts.push(facts([
      ["margin", row.margin], ["label", row.soft_label], ["agreement", row.agreement],
      ["CHES", row.ches], ["CHES, length-normalised", row.ches_normalized], ["flag", row.flag],
      ["strategy", row.strategy], ["source", row.source], ["split", row.split],
      ["fault", row.fault ? "yes" : ""], ["from", row.origin],
      ["prompt", row.prompt_id ? row.prompt_id.slice(0, 12) : ""],
    ]));
    if (row.prompt.length) {
      const turns = row.prompt.map(([role, text]) =>
        make("div", "box", make("span", "turn", role), make("div", "words", say(text))));
      parts.push(make("h3", "", "Prompt"), ...turns);
    }
    const [one, other] = row.responses;
    if (one && other) {
      const words = [split(one.text), split(other.text)];
      const bare = words.map((list) => list.map((word) => word.trimEnd()));
      const same = $("differences").checked ? compare(...bare) : [];
      const titles = row.decided ? ["Chosen", "Rejected"] : ["Response a", "Response b"];
      const names = row.decided ? ["chosen", "rejected"] : ["", ""];
      parts.push(make("h3", "", "Responses"));
      if (same === null) parts.push(make("p", "turn", "Too long to compare word by word."));
      parts.push(make("div", "sides",
        side(one, titles[0], names[0], words[0], same?.[0]),
        side(other, titles[1], names[1], words[1], same?.[1])));
    } else if (one) {
      parts.push(make("h3", "", "Response"), side(one, "", "", [], null));
    }
    for (const [title, text] of row.rationales) {
      parts.push(make("h3", "", say(title)), make("p", "words", say(text)));
    }
    if (row.judgments.length) parts.push(judge(row));
    if (row.record) parts.push(unfold("The record", row.record));
    article.replaceChildren(...parts);
  }

  function select(place, focus) {
    if (!found.length) return;
    const page = Math.floor(at / PAGE);
    at = Math.min(Math.max(place, 0), found.length - 1);
    if (page !== Math.floor(at / PAGE) || !$("list").children.length) list();
    for (const button of $("list").querySelectorAll("button")) {
      if (Number(button.dataset.place) === at) {
        button.setAttribute("aria-current", "true");
        if (focus) button.focus();
      } else button.removeAttribute("aria-current");
    }
    show(found[at]);
  }

  function list() {
    const first = Math.floor(at / PAGE) * PAGE;
    const items = found.slice(first, first + PAGE).map((row, number) => {
      const last = row.prompt.length ? row.prompt[row.prompt.length - 1][1] : row.record ?? "";
      const note = row.dropped ? explain(row) : [row.reason ?? "pair", row.margin === null ? "" : "margin " + round(row.margin), row.source].filter(Boolean).join(" · ");
      const button = make("button", "",
        make("span", "excerpt", escape(last.slice(0, 160)).replace(/\s+/g, " ") || "(empty)"),
        make("span", "small", escape(note)));
      button.type = "button";
      button.dataset.place = first + number;
      return make("li", "", button);
    });
    $("list").replaceChildren(...items);
    const pages = Math.ceil(found.length / PAGE);
    $("place").textContent = pages > 1 ? "page " + (first / PAGE + 1) + " of " + pages : "";
    $("earlier").disabled = first === 0;
    $("later").disabled = first + PAGE >= found.length;
  }

  const gather = (row) => [
    row.prompt.map((turn) => turn[1]), row.responses.map((r) => [r.text, r.thoughts, r.calls]),
    row.judgments.map((j) => [j.trace, j.unscored]), row.rationales.map((r) => r[1]),
    row.detail, row.record, row.id, row.prompt_id, row.origin,
  ].flat(4).filter(Boolean).join("\n").toLowerCase();

  const side_of = (p) => (p === null ? "unscored" : p > 0.5 ? "chosen" : p < 0.5 ? "rejected" : "neither");

  function filter() {
    const text = $("text").value.toLowerCase();
    const [kind, reason, source, who, verdict] =
      ["kind", "reason", "source", "judge", "verdict"].map((id) => $(id).value);
    const [least, most] = ["least", "most"].map((id) => ($(id).value === "" ? null : Number($(id).value)));
    found = rows.filter((row) => {
      if (kind && (kind === "dropped") !== row.dropped) return false;
      if (reason && explain(row) !== reason) return false;
      if (source && row.source !== source) return false;
      if ((least !== null || most !== null) && row.margin === null) return false;
      if (least !== null && row.margin < least) return false;
      if (most !== null && row.margin > most) return false;
      if ((who || verdict) && !row.judgments.some((each) =>
        (!who || each.judge === who) && (!verdict || side_of(each.preference) === verdict))) return false;
      return !text || (row.text ??= gather(row)).includes(text);
    });
    at = 0;
    list();
    const count = (n) => n.toLocaleString("en");
    $("found").textContent = found.length
      ? count(found.length) + " of the " + count(rows.length) + " rows in this page"
      : "No row of this page is like that. Clear a filter.";
    if (found.length) select(0, false);
    else $("row").replaceChildren();
  }

  function offer(id, all, values) {
    const options = [["", all], ...[...new Set(values)].sort().map((value) => [value, value])];
    $(id).replaceChildren(...options.map(([value, text]) => {
      const option = make("option", "", escape(text));
      option.value = value;
      return option;
    }));
  }

  const present = (values) => values.filter((value) => value !== null && value !== undefined && value !== "");
  offer("kind", "all", []);
  for (const [value, text] of [["pairs", "pairs of the dataset"], ["dropped", "dropped records"]]) {
    const option = make("option", "", text);
    option.value = value;
    $("kind").append(option);
  }
  offer("reason", "any", rows.filter((row) => row.reason).map(explain));
  offer("source", "any", present(rows.map((row) => row.source)));
  offer("judge", "any", rows.flatMap((row) => row.judgments.map((each) => each.judge)));

  $("filters").addEventListener("input", (event) => {
    if (event.target.id === "differences") select(at, false);
    else filter();
  });
  $("filters").addEventListener("reset", () => setTimeout(filter));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("earlier").addEventListener("click", () => select((Math.floor(at / PAGE) - 1) * PAGE, true));
  $("later").addEventListener("click", () => select((Math.floor(at / PAGE) + 1) * PAGE, true));
  $("list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    select(Number(button.dataset.place), false);
    if (matchMedia("(max-width: 48rem)").matches) $("row").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "j") select(at + 1, true);
    else if (event.key === "k") select(at - 1, true);
    else if (event.key === "/") $("text").focus();
    else return;
    event.preventDefault();
  });
  filter();
}
