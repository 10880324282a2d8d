// What the server wrote into the page.

export const facts = JSON.parse(document.getElementById("facts").textContent);
