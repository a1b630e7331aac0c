// Small things every other module needs from the document. Text from outside is only ever set as text.

export const $ = (id) => document.getElementById(id);

export function show(id, visible) {
  $(id).hidden = !visible;
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let lastSpoken = "";

// Screen readers hear each stage and each quarter once, not every frame.
export function spoken(stage, fraction) {
  const quarter = Math.floor(fraction * 4) * 25;
  const text = `${stage}, ${quarter} percent`;
  if (text !== lastSpoken) $("progress-spoken").textContent = lastSpoken = text;
}
