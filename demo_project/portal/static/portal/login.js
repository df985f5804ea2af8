"use strict";
// Why the page's script has sent somebody here, where no message of the portal says it already.

const why = sessionStorage.getItem("why");
sessionStorage.removeItem("why");
const messages = document.getElementById("messages");
if (why && !messages.querySelector(".message")) {
  const sentence = document.createElement("p");
  sentence.className = "message warning";
  sentence.textContent = why;
  messages.append(sentence);
}
