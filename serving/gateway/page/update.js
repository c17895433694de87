// Changes nodes in place, so that a reader's or screen reader's place in them stays while frames come.

// fresh: what old is to look like; it is used up.
export function update(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.childNodes.length !== fresh.childNodes.length) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.className !== fresh.className) old.className = fresh.className;
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  const children = [...fresh.childNodes];
  [...old.childNodes].forEach((child, index) => update(child, children[index]));
}

export function updateChildren(parent, fresh) {
  const old = [...parent.children];
  old.slice(fresh.length).forEach(child => child.remove());
  fresh.forEach((child, index) => old[index] ? update(old[index], child) : parent.append(child));
}
