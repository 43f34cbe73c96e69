"use strict";
document.documentElement.classList.add("js");
document.addEventListener("input", (event) => {
  const input = event.target;
  if (input.matches(".slider input")) {
    input.parentElement.style.setProperty("--cut", `${input.value}%`);
    input.setAttribute("aria-valuetext", `before ${Math.round(input.value)} %, after ${Math.round(100 - input.value)} %`);
  }
});
// A page that is shown again keeps what was moved in the inputs, but not in the pictures.
window.addEventListener("pageshow", () => {
  for (const input of document.querySelectorAll(".slider input")) {
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
});
