"use strict";
document.documentElement.classList.add("js");
const isLine = (element) => element.matches(".slider input");
const set = (input, value) => {
  input.value = value;
  input.parentElement.style.setProperty("--cut", `${input.value}%`);
  input.setAttribute("aria-valuetext", `before ${Math.round(input.value)} %, after ${Math.round(100 - input.value)} %`);
};
document.addEventListener("input", ({ target }) => isLine(target) && set(target, target.value));
// A finger that scrolls the page begins like one that moves the line: the line goes back to where it was.
document.addEventListener("pointerdown", ({ target }) => {
  if (isLine(target)) target.dataset.before = target.value;
});
document.addEventListener("pointercancel", ({ target }) => {
  if (isLine(target)) set(target, target.dataset.before);
});
// A page that is shown again keeps what was moved in the inputs, but not in the pictures.
window.addEventListener("pageshow", () => {
  for (const input of document.querySelectorAll(".slider input")) set(input, input.value);
});
