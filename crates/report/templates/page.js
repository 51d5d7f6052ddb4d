"use strict";
// Shows the list of findings, a page at a time, and the life of the one that is opened. All text is shown as text: nothing
// here makes HTML of what it reads.
(() => {
  const started = performance.now();
  const PAGE = 50;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { texts, lists, people, states, life, step, zero } = data;
  const many = life.rule.length;
  const byId = (id) => document.getElementById(id);

  // What is shown

  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const number = (value) => value.toLocaleString("en-US");
  const time = (seconds) =>
    seconds === null ? "" : new Date((seconds + zero) * 1000).toISOString().slice(0, 16).replace("T", " ");
  const duration = (seconds) => {
    if (seconds === null) return "";
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor((seconds % 86400) / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    if (days) return `${days} d ${hours} h`;
    if (hours) return `${hours} h ${minutes} min`;
    return minutes ? `${minutes} min` : `${seconds} s`;
  };
  const lastStep = (row) => (row + 1 < many ? life.steps[row + 1] : step.at.length) - 1;
  const outcomeOf = (row) => {
    for (let at = lastStep(row); at >= life.steps[row]; at -= 1) if (step.outcome[at]) return step.outcome[at];
    return 0;
  };
  const outcomes = life.rule.map((_, row) => outcomeOf(row));
  const firstSeen = (row) => life.seen[row] ?? life.found[row];

  // Which findings, and in which order

  const columns = { rule: life.rule, account: life.account, region: life.region, outcome: outcomes };
  const NETSKOPE = ["", "confirmed", "contested"];
  const filters = ["state", "rule", "account", "region", "outcome", "netskope"];
  const fill = (name, values) => {
    for (const [value, text] of values) {
      const option = make("option", text);
      option.value = value;
      byId(name).append(option);
    }
  };
  const words = (outcome) => texts[outcome].replaceAll("_", " ");
  fill("state", states.map((word, place) => [place, word]));
  for (const name of ["rule", "account", "region", "outcome"]) {
    const values = [...new Set(columns[name])].filter((value) => value !== 0);
    const shown = name === "outcome" ? words : (value) => texts[value];
    values.sort((a, b) => (texts[a] < texts[b] ? -1 : 1));
    fill(name, values.map((value) => [value, shown(value)]));
  }

  fill("netskope", NETSKOPE.map((word, place) => [place, word]).slice(1));

  let ranks;
  const rank = (text) => {
    if (!ranks) {
      const order = texts.map((_, place) => place).sort((a, b) => (texts[a] < texts[b] ? -1 : texts[a] > texts[b] ? 1 : 0));
      ranks = new Uint32Array(texts.length);
      order.forEach((place, at) => { ranks[place] = at; });
    }
    return ranks[text];
  };
  const LAST = Number.MAX_SAFE_INTEGER;
  const keys = {
    state: (row) => life.state[row],
    resource: (row) => rank(life.resource[row]),
    rule: (row) => rank(life.rule[row]),
    account: (row) => rank(life.account[row]),
    region: (row) => rank(life.region[row]),
    seen: firstSeen,
    listed: (row) => life.listed[row],
    took: (row) => life.took[row] ?? LAST,
  };

  // The text that is searched in, made when it is searched for the first time
  let searched;
  const searchable = (row) => {
    const last = lastStep(row);
    const parts = [life.resource, life.arn, life.control, life.account, life.rule].map((column) => texts[column[row]]);
    for (let at = life.steps[row]; at <= last; at += 1) {
      parts.push(texts[step.detail[at]]);
      for (const text of lists[step.changes[at]]) parts.push(texts[text]);
    }
    return parts.join("\n").toLowerCase();
  };

  let sort = { by: "state", down: false };
  let rows = [];
  let page = 0;

  const select = () => {
    const asked = {};
    for (const name of filters) asked[name] = byId(name).value === "" ? null : Number(byId(name).value);
    const text = byId("search").value.trim().toLowerCase();
    if (text && !searched) searched = life.rule.map((_, row) => searchable(row));
    rows = [];
    for (let row = 0; row < many; row += 1) {
      if (asked.state !== null && life.state[row] !== asked.state) continue;
      if (asked.rule !== null && life.rule[row] !== asked.rule) continue;
      if (asked.account !== null && life.account[row] !== asked.account) continue;
      if (asked.region !== null && life.region[row] !== asked.region) continue;
      if (asked.outcome !== null && outcomes[row] !== asked.outcome) continue;
      if (asked.netskope !== null && life.says[row] !== asked.netskope) continue;
      if (text && !searched[row].includes(text)) continue;
      rows.push(row);
    }
    for (const tile of document.querySelectorAll(".tile")) {
      tile.setAttribute("aria-pressed", String(asked.state !== null && states[asked.state] === tile.dataset.state));
    }
    order();
  };

  const order = () => {
    const key = keys[sort.by];
    const value = new Float64Array(many);
    for (const row of rows) value[row] = key(row);
    const sign = sort.down ? -1 : 1;
    rows.sort((a, b) => sign * (value[a] - value[b]) || firstSeen(a) - firstSeen(b) || a - b);
    for (const head of document.querySelectorAll("#list th")) {
      const is = head.firstElementChild.dataset.sort === sort.by;
      if (is) head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    page = 0;
    show();
  };

  // The list

  const stateOf = (state) => {
    const element = make("span");
    element.append(make("span", undefined, `dot ${states[state]}`), states[state]);
    return element;
  };

  const line = (row) => {
    const tr = make("tr");
    const cell = (content, kind) => {
      const td = make("td", undefined, kind);
      td.append(content);
      tr.append(td);
    };
    const open = make("button", texts[life.resource[row]], "link");
    open.type = "button";
    open.title = texts[life.resource[row]];
    open.setAttribute("aria-haspopup", "dialog");
    const stands = stateOf(life.state[row]);
    if (life.says[row]) stands.append(make("small", NETSKOPE[life.says[row]], "says-so"));
    cell(stands);
    cell(open, "resource");
    for (const column of ["rule", "account", "region"]) cell(texts[life[column][row]]);
    cell(time(firstSeen(row)));
    cell(time(life.listed[row]));
    cell(duration(life.took[row]));
    tr.dataset.row = row;
    return tr;
  };

  const show = () => {
    const from = page * PAGE;
    const shown = rows.slice(from, from + PAGE);
    byId("rows").replaceChildren(...shown.map(line));
    if (!shown.length) {
      const tr = make("tr");
      const td = make("td", many ? "No finding matches." : "No finding was listed in these days.", "empty");
      td.colSpan = 8;
      tr.append(td);
      byId("rows").append(tr);
    }
    const of = rows.length === many ? number(many) : `${number(rows.length)} (${number(many)} in all)`;
    byId("count").textContent = shown.length ? `${number(from + 1)}–${number(from + shown.length)} of ${of}` : `0 of ${number(many)}`;
    const end = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
    byId("first").disabled = byId("back").disabled = page === 0;
    byId("on").disabled = byId("last").disabled = page >= end;
  };

  const turn = (to) => {
    page = Math.min(Math.max(0, to), Math.max(0, Math.ceil(rows.length / PAGE) - 1));
    show();
    byId("list").scrollTop = 0;
  };

  // The life of one

  const SAYS = {
    already_compliant: "Found compliant",
    gone: "Gone",
    planned: "Planned",
    held: "Held",
    exempt: "Exempt",
    fixed: "Fixed",
    unverified: "Written, not proved",
    failed: "Failed",
    undone: "Undone",
    deferred: "Deferred to a later run",
  };
  const DOTS = {
    already_compliant: "closed", gone: "closed", planned: "open", held: "held", exempt: "exempt", fixed: "fixed",
    unverified: "failed", failed: "failed", undone: "undone", deferred: "open",
  };

  const approvedBy = (place) => {
    const [by, stored, at, why] = people[place - 1];
    const by_whom = stored ? `${texts[by]} (stored by ${texts[stored]})` : texts[by];
    return `Approved by ${by_whom}, ${time(at)}: ${texts[why]}`;
  };

  const event = (dot, when, says, ...rest) => {
    const li = make("li");
    li.append(make("span", undefined, `dot ${dot}`), make("div", when, "when"), make("div", says, "says"), ...rest);
    return li;
  };

  const told = (at) => {
    const outcome = texts[step.outcome[at]];
    const undo = step.undo[at] === 1;
    const rest = [];
    const add = (text, kind) => rest.push(make("p", text, kind));
    if (step.approver[at]) add(approvedBy(step.approver[at]));
    const changes = lists[step.changes[at]];
    if (changes.length) {
      const list = make("ul");
      for (const text of changes) list.append(make("li", texts[text]));
      rest.push(list);
      if (step.written[at]) add(`${step.written[at]} of ${changes.length} change${changes.length > 1 ? "s" : ""} ${undo ? "taken back" : "written"}`);
    }
    if (step.detail[at]) add(texts[step.detail[at]]);
    for (const note of lists[step.notes[at]]) add(`Note: ${texts[note]}`);
    if (step.proved[at] !== null) {
      const actions = lists[step.actions[at]].map((text) => texts[text]).join(", ");
      add(`Verified ${time(step.proved[at])}${actions ? ` with ${actions}` : ""}`);
    }
    for (const record of [step.plan[at], step.report[at]]) if (record) add(texts[record], "key");
    const again = step.times[at] > 1 ? ` – ${time(step.at[at] + step.more[at])}, ${number(step.times[at])} times` : "";
    if (step.says[at]) {
      const scanned = `by its scan at ${time(step.scanned[at])}`;
      if (step.says[at] === 1) return event("fixed", time(step.at[at]), "Confirmed by Netskope", make("p", `Passed ${scanned}`), ...rest);
      rest.unshift(make("p", `The fix is in force, but Netskope lists it as Failed ${scanned}`));
    }
    const says = step.says[at] ? "Contested by Netskope" : outcome ? SAYS[outcome] ?? outcome : "Planned";
    return event(step.says[at] ? "failed" : DOTS[outcome] ?? "open", time(step.at[at]) + again, undo && outcome !== "undone" ? `Undo: ${says.toLowerCase()}` : says, ...rest);
  };

  const openLife = (row) => {
    byId("life-name").textContent = texts[life.resource[row]];
    byId("life-state").replaceChildren(stateOf(life.state[row]));
    const facts = byId("facts");
    facts.replaceChildren();
    const fact = (name, text) => {
      if (text) facts.append(make("dt", name), make("dd", text));
    };
    fact("Control", texts[life.control[row]]);
    fact("Rule", texts[life.rule[row]]);
    fact("Account", texts[life.account[row]]);
    fact("Region", texts[life.region[row]]);
    fact("ARN", texts[life.arn[row]]);
    fact("Last listed", time(life.listed[row]));
    fact("Waits for a person", life.waits[row] === null ? "" : `since ${time(life.waits[row])}`);
    fact("Netskope says", life.says[row] ? `the fix is ${NETSKOPE[life.says[row]]}` : "");
    fact("Fought over", life.fought[row] === null ? "" : `since ${time(life.fought[row])}`);
    if (life.took[row] !== null) fact("Time to fix", duration(life.took[row]));
    const steps = [];
    if (life.seen[row] !== null) steps.push(event("found", time(life.seen[row]), "First seen by Netskope"));
    steps.push(event("found", time(life.found[row]), "Found by us"));
    for (let at = life.steps[row]; at <= lastStep(row); at += 1) steps.push(told(at));
    if (life.approved[row]) {
      steps.push(event("held", "", "Approved, and not carried out yet", make("p", approvedBy(life.approved[row]))));
    }
    byId("steps").replaceChildren(...steps);
    byId("life").showModal();
    byId("life").scrollTop = 0;
  };

  // What a person does

  const choose = (name, value) => {
    const option = [...byId(name).options].find((option) => option.textContent === value);
    byId(name).value = option ? option.value : "";
    select();
  };
  const toList = () => byId("findings").scrollIntoView({ block: "start" });

  byId("filters").addEventListener("submit", (happened) => happened.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(select));
  for (const name of filters) byId(name).addEventListener("change", select);
  let soon;
  byId("search").addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(select, many > 5000 ? 120 : 0);
  });
  byId("list").querySelector("thead").addEventListener("click", ({ target }) => {
    const by = target.dataset.sort;
    if (!by) return;
    sort = { by, down: sort.by === by && !sort.down };
    order();
  });
  byId("rows").addEventListener("click", ({ target }) => {
    const row = target.closest("tr").dataset.row;
    if (row !== undefined && !String(getSelection())) openLife(Number(row));
  });
  for (const tile of document.querySelectorAll(".tile")) {
    tile.addEventListener("click", () => {
      choose("state", tile.getAttribute("aria-pressed") === "true" ? "" : tile.dataset.state);
      toList();
    });
  }
  for (const name of ["rule", "account"]) {
    byId(`numbers-${name}`).addEventListener("click", ({ target }) => {
      if (target.dataset[name] === undefined) return;
      choose(name, target.dataset[name]);
      toList();
    });
  }
  byId("first").addEventListener("click", () => turn(0));
  byId("back").addEventListener("click", () => turn(page - 1));
  byId("on").addEventListener("click", () => turn(page + 1));
  byId("last").addEventListener("click", () => turn(Infinity));
  byId("close").addEventListener("click", () => byId("life").close());
  byId("life").addEventListener("click", (happened) => {
    if (happened.target === byId("life") && happened.offsetX < 0) byId("life").close();
  });

  for (const id of ["filters", "list", "pages"]) byId(id).hidden = false;
  select();
  document.documentElement.dataset.ready = String(Math.round(performance.now() - started));
})();
