"use strict";
// Shows what has been computed after a number of steps. Every number is in the page already.

const all = (query, root = document) => [...root.querySelectorAll(query)];
const steps = all(".steps li");
const entries = all(".entry");
const graph = document.querySelector(".graph");
const said = document.querySelector(".said");

// The labels of the picture, each with the step that computes it; a step that has not come yet
// has no labels: they are taken out of the document.
const labels = all(".edge .forward, .edge .gradient, .node > .gradient", graph).map((label) => {
  const group = label.parentNode;
  const entry = document.getElementById(group.dataset.source || group.dataset.node);
  const direction = label.classList.contains("forward") ? "forward" : "backward";
  return { label, group, step: Number(entry.dataset[direction]) };
});

let now = steps.length - 1;

function show(step) {
  now = step;
  for (const { label } of labels) label.remove();
  for (const { label, group, step: at } of labels) if (at <= now) group.append(label);
  for (const entry of entries) {
    for (const direction of ["forward", "backward"]) {
      const hidden = Number(entry.dataset[direction]) > now;
      for (const part of all(`.${direction}-part`, entry)) part.hidden = hidden;
    }
  }
  steps.forEach((each, place) => each.classList.toggle("now", place === now));
  said.textContent = `step ${now} of ${steps.length - 1}, ${steps[now].textContent}`;
}

function open(key) {
  for (const entry of entries) entry.classList.toggle("open", entry.id === key);
  for (const node of all(".node", graph)) {
    const chosen = node.dataset.node === key;
    node.classList.toggle("now", chosen);
    if (chosen) centre(node);
  }
}

// A wide picture is moved, and nothing but the picture.
function centre(node) {
  const { left, width } = node.getBoundingClientRect();
  const frame = graph.getBoundingClientRect();
  graph.scrollLeft += left + width / 2 - frame.left - frame.width / 2;
}

function go(step) {
  show(Math.min(Math.max(step, 0), steps.length - 1));
  const key = steps[now].dataset.node;
  open(key || entries[0].id);
}

function follow() {
  const [key, place] = decodeURIComponent(location.hash.slice(1)).split(".");
  const entry = document.getElementById(key);
  if (!entry) return;
  open(key);
  const scalar = place && document.getElementById(`${key}.${place}`);
  if (scalar) {
    scalar.open = true;
    scalar.scrollIntoView({ block: "nearest" });
  } else entry.focus({ preventScroll: true });
}

function digits(button) {
  const full = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", full);
  for (const number of all("data")) {
    number.dataset.shown ??= number.textContent;
    const exact = number.value.replace("-", "−").replace("inf", "∞").replace("nan", "not a number");
    number.textContent = full ? exact : number.dataset.shown;
  }
}

const actions = {
  first: () => go(0),
  back: () => go(now - 1),
  next: () => go(now === steps.length - 1 ? 0 : now + 1),
  last: () => go(steps.length - 1),
  digits,
};
const keys = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last" };

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-do]");
  const node = target.closest(".graph [data-node]");
  if (button) actions[button.dataset.do](button);
  else if (node) open(node.dataset.node);
});
document.addEventListener("keydown", (event) => {
  const node = event.target.closest?.(".graph [data-node]");
  if (node && event.key === "Enter") open(node.dataset.node);
  if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  actions[keys[event.key]]();
});
for (const node of all(".node", graph)) {
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "button");
}
for (const step of steps) step.addEventListener("click", () => go(steps.indexOf(step)));
addEventListener("hashchange", follow);

document.body.classList.add("stepping");
go(now);
open(entries[entries.length - 1].id);
follow();
