// Elements without markup in strings: text is always text.

/** An element with properties (class, data, on.EVENT, attributes) and children: elements, text or null. */
export function element(tag, { class: className, data = {}, on = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  Object.assign(made.dataset, data);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Which one of a row of elements an arrow key, Home or End goes to from `index`; undefined for other keys. */
export function stepTo(key, index, length) {
  const targets = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: length - 1 };
  const target = targets[key];
  return target === undefined ? undefined : Math.min(length - 1, Math.max(0, target));
}
